# cython: language_level=3
# cython: auto_pickle=False, autotestdict=False
"""The bytes of one direction of an exchange: `clients.exchange.Message` in C."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef class Message:
    """One direction of the exchange: equal frames but for the tag and the sequence number.

    `bytes_` holds `count` frames back to back. The sequence number and the connection's number
    stand in the first 8 bytes of the payload, as far as it is that long.
    """

    def __init__(self, message, size_t count):
        payload = message.payload.upper() if message.upper else message.payload
        self.storage = bytearray((message.head + payload) * count)
        self.bytes_ = self.storage
        self.length = message.length
        self.patch_at = len(message.head)
        self.patch_length = min(8, len(payload))
        self.tagged = message.tagged
        self.upper = message.upper

    cdef void patch(self, size_t index, uint32_t number, uint64_t sequence) noexcept nogil:
        cdef uint8_t *frame = self.bytes_ + index * self.length
        cdef uint8_t mark[8]
        cdef size_t at
        memcpy(mark, &sequence, 4)
        memcpy(mark + 4, &number, 4)
        if self.upper:
            for at in range(8):
                if c'a' <= mark[at] <= c'z':
                    mark[at] -= 32
        memcpy(frame + self.patch_at, mark, self.patch_length)
        if self.tagged:
            frame[6] = <uint8_t>(sequence >> 8)
            frame[7] = <uint8_t>sequence
