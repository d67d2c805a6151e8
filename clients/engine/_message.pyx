# cython: language_level=3
# cython: auto_pickle=False, autotestdict=False
"""The bytes of one direction of an exchange: `clients.engine.exchange.Message` in C."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef enum:
    HEADER_BYTES = 8
    KIND_AT = 4


cdef class Message:
    """One direction of the exchange: equal bytes but for the tag and the sequence number.

    `bytes_` holds the message `count` times. The sequence number and the connection's number
    stand in the first 8 bytes of the payload, as far as it is that long, if it is marked.
    """

    def __init__(self, message, size_t count):
        payload = message.payload.upper() if message.upper else message.payload
        self.storage = bytearray((message.head + payload) * count)
        self.bytes_ = self.storage
        self.length = message.length
        self.patch_at = len(message.head)
        self.patch_length = min(8, len(payload)) if message.marked else 0
        self.framed = message.framed
        self.tagged = message.tagged
        self.upper = message.upper

    cdef size_t kind_at(self, size_t position) noexcept nogil:
        """Return where the kind of the frame stands to which the byte at `position` belongs."""
        cdef size_t start = 0, end = 0
        cdef uint8_t *size
        while end <= position:
            start = end
            size = self.bytes_ + start
            end += HEADER_BYTES + (
                <size_t>size[0] << 24 | <size_t>size[1] << 16 | <size_t>size[2] << 8 | size[3]
            )
        return start + KIND_AT

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
