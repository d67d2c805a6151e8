# A part of the engine's module: flows of datagrams, with the phases, schedules and figures of all.

cdef enum:
    # What has become of a request.
    PENDING = 1, ANSWERED, GIVEN_UP

    HISTORY = 256   # requests of a flow, at least, whose fate is known
    AT_ONCE = 64    # datagrams taken from one flow before the others have their turn
    TAG_AT = 6


cdef class DatagramWorker(Worker):
    """One thread's flows: connected UDP sockets, on each of which answers come in any order or not.

    A connection loses nothing, so there a sequence number and a count say which requests are
    outstanding. Here each request has a fate of its own, in a ring that is longer than the depth:
    so an answer that comes late or twice is known as such. `answered` is the oldest request that
    is pending, and a flow also waits when its ring has no place left after that.
    """

    def __init__(self, load, exchange, share):
        Worker.__init__(self, load, exchange, share)
        self.batch = 1
        for index in range(self.count):
            self.connections[index].fates = <uint8_t *>calloc(self.ring + 1, 1)
            if self.connections[index].fates is NULL:
                raise MemoryError

    cdef uint64_t places(self, uint64_t depth):
        cdef uint64_t places = HISTORY
        while places < 2 * depth:
            places *= 2
        return places

    cdef bint expects_more(self) noexcept nogil:
        """Whether answers may still be late: what was lost is told from what was only slow."""
        return self.errors[LOST] > self.errors[LATE]

    cdef void connect_one(self, Connection *connection) noexcept nogil:
        cdef epoll_event event
        connection.since = monotonic_ns()
        connection.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if connection.fd < 0:
            self.errors[NO_DESCRIPTORS] += 1
            return
        connection.state = OPEN
        connection.wants_write = False
        if connect(connection.fd, <sockaddr *>&self.address, sizeof(self.address)) < 0:
            self.fail(connection, connect_error(errno), connection.since)
            return
        event.events = EPOLLIN
        event.data.ptr = connection
        if epoll_ctl(self.poll, EPOLL_CTL_ADD, connection.fd, &event) < 0:
            self.fail(connection, NO_DESCRIPTORS, connection.since)
            return
        self.connecting[slot(monotonic_ns() - connection.since)] += 1
        self.flush(connection)

    cdef void look_after(self, int64_t now) noexcept nogil:
        """Give up what has not been answered in time, and open again what failed a tick ago."""
        cdef Connection *connection
        cdef int index
        cdef bint lost
        for index in range(self.count):
            connection = &self.connections[index]
            if connection.state == OPEN:
                lost = False
                while (
                    connection.answered < connection.sent
                    and now - connection.sent_at[connection.answered & self.ring]
                    > self.request_timeout
                ):
                    self.end_request(connection, connection.answered, LOST, now)
                    lost = True
                if lost:
                    self.flush(connection)
            elif self.sending and now - connection.since >= TICK_NS:
                self.connect_one(connection)

    cdef void end_request(
        self, Connection *connection, uint64_t sequence, Error error, int64_t now
    ) noexcept nogil:
        """Count a request that has no right answer, with its age."""
        self.errors[error] += 1
        if self.phase >= MEASURING:
            self.unanswered[slot(now - connection.due_at[sequence & self.ring])] += 1
        self.settle_request(connection, sequence, GIVEN_UP)

    cdef void settle_request(
        self, Connection *connection, uint64_t sequence, uint8_t fate
    ) noexcept nogil:
        connection.fates[sequence & self.ring] = fate
        connection.pending -= 1
        self.outstanding -= 1
        while (
            connection.answered < connection.sent
            and connection.fates[connection.answered & self.ring] != PENDING
        ):
            connection.answered += 1

    cdef void give_up(self, Connection *connection, Error error, int64_t now) noexcept nogil:
        cdef uint64_t sequence
        for sequence in range(connection.answered, connection.sent):
            if connection.fates[sequence & self.ring] == PENDING:
                self.errors[error] += 1
                if self.phase >= MEASURING:
                    self.unanswered[slot(now - connection.due_at[sequence & self.ring])] += 1

    cdef void shut(self, Connection *connection, int64_t now) noexcept nogil:
        cdef uint64_t sequence
        for sequence in range(connection.answered, connection.sent):
            if connection.fates[sequence & self.ring] == PENDING:
                self.settle_request(connection, sequence, GIVEN_UP)
        connection.begun = False
        Worker.shut(self, connection, now)

    cdef uint64_t room(self, Connection *connection) noexcept nogil:
        return min(
            self.depth - connection.pending,
            self.ring + 1 - (connection.sent - connection.answered),
        )

    cdef void flush(self, Connection *connection) noexcept nogil:
        """Send what may begin, a datagram each, until the kernel takes no more."""
        cdef uint64_t latest
        while connection.owed or self.begin_requests(connection):
            latest = connection.sent - 1
            if not connection.begun:
                connection.fates[latest & self.ring] = PENDING
                connection.pending += 1
                connection.begun = True
            self.request.patch(0, connection.number, latest)
            if send(connection.fd, self.request.bytes_, connection.owed, MSG_NOSIGNAL) >= 0:
                connection.owed = 0
                connection.begun = False
            elif errno == EAGAIN:
                self.watch(connection, True)
                return
            elif errno != EINTR:
                self.fail(connection, connect_error(errno), monotonic_ns())
                return
        self.watch(connection, False)
        self.set_free(connection)

    cdef void receive(self, Connection *connection) noexcept nogil:
        cdef ssize_t got
        cdef int64_t now
        cdef int taken
        for taken in range(AT_ONCE):
            got = recv(connection.fd, self.input, READ_BYTES, 0)
            if got < 0:
                if errno == EAGAIN:
                    break
                if errno != EINTR:
                    self.fail(connection, connect_error(errno), monotonic_ns())
                    return
                continue
            now = monotonic_ns()
            if now >= self.end and self.phase != DRAINING:
                self.sending = False  # the phase is over; its loop ends after this turn
            self.take(connection, got, now)
            if not connection.pending:
                break
        self.flush(connection)

    cdef void take(self, Connection *connection, size_t size, int64_t now) noexcept nogil:
        """Count a datagram as what it is to the request that it says it answers."""
        cdef int64_t found = self.request_of(connection, size)
        cdef uint64_t sequence = <uint64_t>found, place = sequence & self.ring
        cdef Error error = MISMATCH if found < 0 else self.judge_datagram(
            connection, sequence, size
        )
        cdef bint known = found >= 0 and connection.sent - sequence <= self.ring + 1
        if known and connection.fates[place] == PENDING:
            if error == ERRORS:
                self.settle_request(connection, sequence, ANSWERED)
                self.count_answer(connection, place, now)
            else:
                self.end_request(connection, sequence, error, now)
        elif error != ERRORS:
            self.errors[error] += 1
        elif known and connection.fates[place] == ANSWERED:
            self.errors[DUPLICATED] += 1
        else:
            self.errors[LATE] += 1
            if known:
                connection.fates[place] = ANSWERED

    cdef int64_t request_of(self, Connection *connection, size_t size) noexcept nogil:
        """Return the latest request with the tag, or the mark, of what came in; -1: there is none.
        """
        cdef size_t at = TAG_AT if self.answer.framed else self.answer.patch_at
        cdef uint64_t tag, back
        if size < at + 2:
            return -1
        if self.answer.framed:
            tag = <uint64_t>self.input[at] << 8 | self.input[at + 1]
        else:
            tag = <uint64_t>self.input[at + 1] << 8 | self.input[at]
        back = (connection.sent - 1 - tag) & 0xFFFF
        return <int64_t>(connection.sent - 1 - back) if back < connection.sent else -1

    cdef Error judge_datagram(
        self, Connection *connection, uint64_t sequence, size_t size
    ) noexcept nogil:
        """Compare a datagram with the whole answer; ERRORS: nothing is wrong."""
        self.answer.patch(0, connection.number, sequence)
        if size == self.answer.length and not memcmp(self.input, self.answer.bytes_, size):
            return ERRORS
        if self.answer.framed and self.input[KIND_AT] == ERROR_FRAME_KIND:
            return ERROR_FRAME
        return MISMATCH
