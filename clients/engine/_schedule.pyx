# cython: language_level=3, cdivision=True
# cython: auto_pickle=False, autotestdict=False
"""When the requests of an open loop are due: `clients.pacing.due_times` in C, number by number."""

from libc.math cimport log
from libc.stdint cimport uint64_t

cdef double TWO_TO_MINUS_53 = 2.0 ** -53


cdef class Schedule:
    """A schedule and how far it has been followed."""

    def __init__(self, double rate, arrivals, uint64_t seed, double first_ns=0.0):
        self.gap_ns = 1e9 / rate
        self.first_ns = self.next_ns = first_ns
        self.random = seed
        self.poisson = arrivals == "poisson"
        if self.poisson:
            self.advance()

    cdef void advance(self) noexcept nogil:
        cdef uint64_t mixed
        if self.poisson:
            self.random += 0x9E3779B97F4A7C15ULL
            mixed = (self.random ^ (self.random >> 30)) * 0xBF58476D1CE4E5B9ULL
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL
            mixed = ((mixed ^ (mixed >> 31)) >> 11) + 1
            self.next_ns += -log(<double>mixed * TWO_TO_MINUS_53) * self.gap_ns
        else:
            self.number += 1
            self.next_ns = self.first_ns + self.number * self.gap_ns

    def take(self, int count):
        """Return when the next `count` requests are due, in ns, and go on to those after them."""
        times = []
        for _ in range(count):
            times.append(self.next_ns)
            self.advance()
        return times
