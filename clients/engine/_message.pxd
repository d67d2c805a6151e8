# cython: language_level=3
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef class Message:
    cdef bytearray storage  # what bytes_ points into
    cdef uint8_t *bytes_
    cdef size_t length, patch_at, patch_length
    cdef bint framed, tagged, upper

    cdef size_t kind_at(self, size_t position) noexcept nogil
    cdef void patch(self, size_t index, uint32_t number, uint64_t sequence) noexcept nogil
