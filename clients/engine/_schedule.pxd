# cython: language_level=3
from libc.stdint cimport uint64_t


cdef class Schedule:
    cdef readonly double next_ns    # when the next request is due, from the schedule's begin
    cdef double first_ns, gap_ns
    cdef uint64_t number, random
    cdef bint poisson

    cdef void advance(self) noexcept nogil
