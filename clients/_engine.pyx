# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, autotestdict=False
"""The load engine: a closed loop over epoll without the GIL, which verifies every byte.

A Python server spends 5 to 25 us of CPU on a request, most of it in the kernel. To measure that
and not itself, the engine must stay near the cost of its own system calls: one `recv`, one
`send`, and a share of an `epoll_wait`. Hence:

*Nothing is kept that can be computed.* The bytes of request k on connection c follow from (c, k),
and so do those of its answer. A connection holds no buffers: an unfinished write is a number of
bytes still owed, an unfinished answer the number of bytes that have matched so far.

*A thread shares nothing.* Each `Worker` owns its connections, its epoll and its histograms; the
results are added up when a phase is over.

*Phases are calls.* `open`, `warm_up`, `measure`, `drain` and `close` work on the same connections.
Between them the engine holds still, with its requests outstanding, so that whoever measures the
server can read its CPU at the very edges of the window.

What counts where is MEASURE.md's; `clients.reference` says the same in plain Python, and the
tests hold the two against each other.
"""

from libc.errno cimport (
    EADDRNOTAVAIL, EAGAIN, ECONNREFUSED, EINPROGRESS, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM,
    ETIMEDOUT, errno,
)
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close


cdef inline int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef inline size_t slot(int64_t value_ns) noexcept nogil:
    cdef uint64_t value = <uint64_t>value_ns if value_ns > 0 else 0
    cdef int bucket = bit_length(value | (2 * HALF_BUCKET - 1)) - HALF_BUCKET_BITS
    cdef size_t found = bucket * HALF_BUCKET + <size_t>(value >> bucket)
    return found if found < SLOTS else SLOTS - 1


def slot_of(int64_t value_ns):
    """Return the histogram slot of a duration in ns, as `reports.histogram.slot_of` does."""
    return slot(value_ns)


cdef list pairs(uint64_t *counts):
    """Return a histogram as [slot, count] pairs, empty slots left out."""
    return [[index, counts[index]] for index in range(SLOTS) if counts[index]]


cdef uint64_t *counters(size_t count) except NULL:
    cdef uint64_t *zeros = <uint64_t *>calloc(count, sizeof(uint64_t))
    if zeros is NULL:
        raise MemoryError
    return zeros


cdef class _Message:
    """One direction of the exchange: equal frames but for the tag and the sequence number.

    `bytes_` holds `count` frames back to back. The sequence number and the connection's number
    stand in the first 8 bytes of the payload, as far as it is that long.
    """

    cdef bytearray storage
    cdef uint8_t *bytes_
    cdef size_t length, patch_at, patch_length
    cdef bint tagged, upper

    def __init__(self, bytes head, bytes payload, size_t count, bint tagged, bint upper=False):
        if upper:
            payload = payload.upper()
        self.storage = bytearray((head + payload) * count)
        self.bytes_ = self.storage
        self.length = len(head) + len(payload)
        self.patch_at = len(head)
        self.patch_length = min(8, len(payload))
        self.tagged = tagged
        self.upper = upper

    cdef inline void patch(self, size_t index, uint32_t number, uint64_t sequence) noexcept nogil:
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


cdef class Worker:
    """One thread's connections, and what it counted on them."""

    cdef Connection *connections
    cdef epoll_event *events
    cdef uint8_t *input
    cdef uint64_t *latencies    # one histogram per interval of the window, one for the drain
    cdef uint64_t *arrivals     # answers, per interval
    cdef uint64_t *unanswered
    cdef uint64_t *connecting
    cdef uint64_t errors[ERRORS]
    cdef _Message request, answer
    cdef sockaddr_in address
    cdef int poll
    cdef int count, busy_connecting
    cdef Phase phase
    cdef bint sending
    cdef volatile bint cancelled
    cdef uint32_t depth, session
    cdef uint64_t ring          # the ring's size less one; a power of two less one
    cdef size_t batch
    cdef bint framed
    cdef uint64_t outstanding   # requests sent and not answered, over all connections
    cdef int64_t connect_timeout, request_timeout
    cdef int64_t begin, end     # ns: of the phase; of the window while it is measured or drained
    cdef int64_t interval, interval_end
    cdef int intervals, current

    def __cinit__(self):
        self.poll = -1

    def __init__(self, load, exchange, int first, int count):
        self.count = count
        self.depth = load.depth
        self.session = load.session
        self.connect_timeout = int(load.connect_timeout_seconds * 1e9)
        self.request_timeout = int(load.request_timeout_seconds * 1e9)
        self.framed = exchange.framed
        self.ring = (1 << (load.depth - 1).bit_length()) - 1
        request_bytes = len(exchange.request_head) + len(exchange.payload)
        self.batch = max(1, min(load.depth, BATCH_BYTES // request_bytes))
        self.request = _Message(exchange.request_head, exchange.payload, self.batch, exchange.framed)
        self.answer = _Message(exchange.answer_head, exchange.payload, 1, exchange.framed, exchange.upper)

        self.address.sin_family = AF_INET
        self.address.sin_port = htons(load.port)
        inet_pton(AF_INET, load.host.encode(), &self.address.sin_addr)

        self.connections = <Connection *>calloc(count, sizeof(Connection))
        self.events = <epoll_event *>calloc(EVENTS, sizeof(epoll_event))
        self.input = <uint8_t *>calloc(READ_BYTES, 1)
        if self.connections is NULL or self.events is NULL or self.input is NULL:
            raise MemoryError
        self.unanswered = counters(SLOTS)
        self.connecting = counters(SLOTS)
        for index in range(count):
            self.connections[index].fd = -1
            self.connections[index].number = first + index
            self.connections[index].sent_at = <int64_t *>counters(self.ring + 1)
        self.poll = epoll_create1(EPOLL_CLOEXEC)
        if self.poll < 0:
            raise OSError(errno, "epoll_create1")

    def __dealloc__(self):
        if self.connections is not NULL:
            for index in range(self.count):
                if self.connections[index].state != CLOSED:
                    close(self.connections[index].fd)
                free(self.connections[index].sent_at)
        if self.poll >= 0:
            close(self.poll)
        free(self.connections)
        free(self.events)
        free(self.input)
        free(self.latencies)
        free(self.arrivals)
        free(self.unanswered)
        free(self.connecting)

    # The phases, each called by a thread of its own.

    def cancel(self):
        """End the phase under way soon; called from another thread."""
        self.cancelled = True

    def open(self):
        """Connect, a limited number at a time; each connection is tried once."""
        cdef int tried = 0
        with nogil:
            self.phase = OPENING
            self.sending = False
            while (tried < self.count or self.busy_connecting) and not self.cancelled:
                while tried < self.count and self.busy_connecting < CONNECTING_AT_ONCE:
                    self.connect_one(&self.connections[tried])
                    tried += 1
                self.turn(monotonic_ns() + TICK_NS)
                self.look_after(monotonic_ns())

    def warm_up(self, int64_t begin, int64_t end):
        """Load the server outside every figure."""
        with nogil:
            self.run(WARMING, begin, end)

    def measure(self, int64_t begin, int64_t end, int64_t interval):
        """Load the server and count."""
        self.interval = interval
        self.intervals = <int>((end - begin + interval - 1) // interval)
        free(self.latencies)
        free(self.arrivals)
        self.latencies = NULL
        self.arrivals = NULL
        self.latencies = counters((self.intervals + 1) * SLOTS)
        self.arrivals = counters(self.intervals)
        memset(self.unanswered, 0, SLOTS * sizeof(uint64_t))
        for index in range(self.count):
            self.connections[index].counted = 0
        self.current = 0
        self.interval_end = begin + interval
        with nogil:
            self.run(MEASURING, begin, end)

    def drain(self, int64_t deadline):
        """Take the answers that are still due; then count the requests left without one."""
        cdef int64_t now
        cdef int index
        with nogil:
            self.phase = DRAINING
            self.sending = False
            now = monotonic_ns()
            while self.outstanding and now < deadline and not self.cancelled:
                self.turn(deadline)
                now = monotonic_ns()
                self.look_after(now)
            for index in range(self.count):
                self.give_up(&self.connections[index], UNFINISHED, now)

    def close(self):
        """Close every connection."""
        for index in range(self.count):
            self.shut(&self.connections[index], 0)

    def results(self):
        """Return what was counted, as plain values; histograms as [slot, count] pairs."""
        cdef int index
        cdef size_t at
        cdef uint64_t *answered = counters(SLOTS)
        try:
            for index in range(self.intervals + 1 if self.latencies is not NULL else 0):
                for at in range(SLOTS):
                    answered[at] += self.latencies[index * SLOTS + at]
            return {
                "errors": [self.errors[index] for index in range(ERRORS)],
                "answered": pairs(answered),
                "unanswered": pairs(self.unanswered),
                "connecting": pairs(self.connecting),
                "requests_per_connection": [
                    self.connections[index].counted for index in range(self.count)
                ],
                "interval_requests": [self.arrivals[index] for index in range(self.intervals)],
                "interval_latencies": [
                    pairs(self.latencies + index * SLOTS) for index in range(self.intervals)
                ],
            }
        finally:
            free(answered)

    # The loop.

    cdef void run(self, Phase phase, int64_t begin, int64_t end) noexcept nogil:
        cdef int index
        cdef int64_t now = monotonic_ns(), next_tick = now + TICK_NS
        self.phase = phase
        self.begin = begin
        self.end = end
        self.sending = True
        for index in range(self.count):
            self.resume(&self.connections[index])
        while now < end and not self.cancelled:
            self.turn(min(end, next_tick))
            now = monotonic_ns()
            if now >= next_tick:
                self.look_after(now)
                next_tick = now + TICK_NS
        self.sending = False

    cdef void turn(self, int64_t deadline) noexcept nogil:
        """Handle what is ready; wait for it until the deadline, rounded up to a millisecond."""
        cdef Connection *connection
        cdef int index, ready
        cdef int64_t left = deadline - monotonic_ns()
        ready = epoll_wait(
            self.poll, self.events, EVENTS, <int>((left + 999_999) // 1_000_000) if left > 0 else 0
        )
        for index in range(ready):
            connection = <Connection *>self.events[index].data.ptr
            if connection.state == CONNECTING:
                self.finish_connect(connection)
                continue
            if self.events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR):
                self.receive(connection)
            if self.events[index].events & EPOLLOUT and connection.state == OPEN:
                self.flush(connection)

    cdef void look_after(self, int64_t now) noexcept nogil:
        """Time out what takes too long, and connect again what failed a tick ago."""
        cdef Connection *connection
        cdef int index
        for index in range(self.count):
            connection = &self.connections[index]
            if connection.state == CONNECTING:
                if now - connection.since > self.connect_timeout:
                    self.fail(connection, CONNECT_TIMEOUT, now)
            elif connection.state == OPEN:
                if (
                    connection.sent > connection.answered
                    and now - connection.sent_at[connection.answered & self.ring]
                    > self.request_timeout
                ):
                    self.fail(connection, TIMEOUT, now)
            elif self.sending and now - connection.since >= TICK_NS:
                self.connect_one(connection)

    cdef void resume(self, Connection *connection) noexcept nogil:
        """Go on after the engine held still: sessions that ended then begin anew."""
        if connection.state == CLOSED:
            self.connect_one(connection)
        elif connection.state == OPEN:
            self.flush(connection)

    # Connecting, failing, closing.

    cdef void connect_one(self, Connection *connection) noexcept nogil:
        cdef int one = 1
        cdef epoll_event event
        cdef sockaddr_in source
        connection.since = monotonic_ns()
        connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if connection.fd < 0:
            self.errors[NO_DESCRIPTORS] += 1
            return
        connection.state = CONNECTING
        self.busy_connecting += 1
        connection.in_session = 0
        setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
        if ntohl(self.address.sin_addr.s_addr) >> 24 == LOOPBACK_NET:
            # A source address for each connection. With one for all, short connections fill its
            # ports with TIME_WAIT within half a second, and the kernel's search for a free one
            # then costs more than all the rest.
            source.sin_family = AF_INET
            source.sin_port = 0
            source.sin_addr.s_addr = htonl(FIRST_SOURCE + connection.number)
            setsockopt(connection.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one))
            bind(connection.fd, <sockaddr *>&source, sizeof(source))
        if (
            connect(connection.fd, <sockaddr *>&self.address, sizeof(self.address)) < 0
            and errno != EINPROGRESS
        ):
            self.fail(connection, connect_error(errno), connection.since)
            return
        event.events = EPOLLIN | EPOLLOUT
        event.data.ptr = connection
        connection.wants_write = True
        if epoll_ctl(self.poll, EPOLL_CTL_ADD, connection.fd, &event) < 0:
            self.fail(connection, NO_DESCRIPTORS, connection.since)

    cdef void finish_connect(self, Connection *connection) noexcept nogil:
        cdef int64_t now = monotonic_ns()
        cdef int error = 0
        cdef socklen_t length = sizeof(error)
        getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &length)
        if error:
            self.fail(connection, connect_error(error), now)
            return
        self.busy_connecting -= 1
        connection.state = OPEN
        self.connecting[slot(now - connection.since)] += 1
        self.flush(connection)

    cdef void fail(self, Connection *connection, Error error, int64_t now) noexcept nogil:
        """Count what ended the connection, once for each request that it took along."""
        if connection.sent == connection.answered:
            self.errors[error] += 1
        self.give_up(connection, error, now)
        self.shut(connection, now)

    cdef void give_up(self, Connection *connection, Error error, int64_t now) noexcept nogil:
        """Count the connection's outstanding requests, with their age, as ended by `error`."""
        cdef uint64_t sequence
        for sequence in range(connection.answered, connection.sent):
            self.errors[error] += 1
            if self.phase >= MEASURING:
                self.unanswered[slot(now - connection.sent_at[sequence & self.ring])] += 1

    cdef void shut(self, Connection *connection, int64_t now) noexcept nogil:
        if connection.state == CLOSED:
            return
        if connection.state == CONNECTING:
            self.busy_connecting -= 1
        close(connection.fd)  # which takes it out of the epoll, too
        connection.state = CLOSED
        connection.since = now
        self.outstanding -= connection.sent - connection.answered
        connection.answered = connection.sent
        connection.owed = 0
        connection.matched = 0
        connection.wrong = False

    # Requests and answers.

    cdef uint64_t allowance(self, Connection *connection) noexcept nogil:
        """Return how many requests may begin on the connection now."""
        cdef uint64_t count
        if not self.sending:
            return 0
        count = self.depth - (connection.sent - connection.answered)
        if self.session:
            count = min(count, self.session - connection.in_session)
        return min(count, self.batch)

    cdef void flush(self, Connection *connection) noexcept nogil:
        """Write what is owed and what may begin, until the kernel takes no more."""
        cdef uint64_t count, sequence
        cdef size_t index, length = self.request.length
        cdef ssize_t written
        cdef int64_t now
        while True:
            if not connection.owed:
                count = self.allowance(connection)
                if not count:
                    break
                now = monotonic_ns()
                for sequence in range(connection.sent, connection.sent + count):
                    connection.sent_at[sequence & self.ring] = now
                connection.sent += count
                connection.in_session += <uint32_t>count
                connection.owed = count * length
                self.outstanding += count
            count = (connection.owed + length - 1) // length
            for index in range(count):
                self.request.patch(index, connection.number, connection.sent - count + index)
            written = send(
                connection.fd,
                self.request.bytes_ + count * length - connection.owed,
                connection.owed,
                MSG_NOSIGNAL,
            )
            if written >= 0:
                connection.owed -= written
            elif errno == EAGAIN:
                self.watch(connection, True)
                return
            elif errno != EINTR:
                self.fail(connection, RESET, monotonic_ns())
                return
        self.watch(connection, False)

    cdef void watch(self, Connection *connection, bint write) noexcept nogil:
        """Ask the kernel to tell of answers, and of writability only while something is owed."""
        cdef epoll_event event
        if connection.wants_write == write:
            return
        event.events = EPOLLIN | EPOLLOUT if write else EPOLLIN
        event.data.ptr = connection
        epoll_ctl(self.poll, EPOLL_CTL_MOD, connection.fd, &event)
        connection.wants_write = write

    cdef void receive(self, Connection *connection) noexcept nogil:
        cdef ssize_t got = recv(connection.fd, self.input, READ_BYTES, 0)
        cdef int64_t now = monotonic_ns()
        cdef uint8_t *data = self.input
        cdef size_t left, taken
        cdef Error error
        if got < 0:
            if errno != EAGAIN and errno != EINTR:
                self.fail(connection, RESET, now)
            return
        if got == 0:
            self.fail(connection, EOF, now)
            return
        if now >= self.end and self.phase != DRAINING:
            self.sending = False  # the phase is over; its loop ends after this turn
        left = got
        while left:
            if connection.sent == connection.answered:
                self.fail(connection, MISMATCH, now)  # more than was asked for
                return
            taken = min(left, self.answer.length - connection.matched)
            error = self.judge(connection, data, taken)
            if error != ERRORS:
                self.fail(connection, error, now)
                return
            connection.matched += taken
            data += taken
            left -= taken
            if connection.matched == self.answer.length:
                self.complete(connection, now)
        if self.session and connection.in_session == self.session and (
            connection.sent == connection.answered
        ):
            self.shut(connection, now)
            if self.sending:
                self.connect_one(connection)
        else:
            self.flush(connection)

    cdef Error judge(self, Connection *connection, uint8_t *data, size_t size) noexcept nogil:
        """Compare the next `size` bytes with the answer that is due; ERRORS: nothing is wrong."""
        cdef size_t matched = connection.matched
        self.answer.patch(0, connection.number, connection.answered)
        if not connection.wrong and not memcmp(data, self.answer.bytes_ + matched, size):
            return ERRORS
        if not self.framed or matched > KIND_AT:
            return MISMATCH
        if matched + size <= KIND_AT:
            connection.wrong = True  # the next bytes tell whether this is an error frame
            return ERRORS
        return ERROR_FRAME if data[KIND_AT - matched] == ERROR_FRAME_KIND else MISMATCH

    cdef void complete(self, Connection *connection, int64_t now) noexcept nogil:
        """Count the answer that has come in."""
        cdef int64_t sent_at = connection.sent_at[connection.answered & self.ring]
        connection.answered += 1
        connection.matched = 0
        self.outstanding -= 1
        if self.phase < MEASURING:
            return
        if now < self.end:
            while now >= self.interval_end:
                self.interval_end += self.interval
                self.current += 1
            self.arrivals[self.current] += 1
            connection.counted += 1
            if sent_at >= self.begin:
                self.latencies[self.current * SLOTS + slot(now - sent_at)] += 1
        elif sent_at >= self.begin:
            self.latencies[self.intervals * SLOTS + slot(now - sent_at)] += 1


cdef Error connect_error(int error) noexcept nogil:
    """Return the kind under which a failed connect counts."""
    if error == ECONNREFUSED:
        return REFUSED
    if error == EADDRNOTAVAIL:
        return NO_PORTS
    if error == ETIMEDOUT:
        return CONNECT_TIMEOUT
    if error in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
        return NO_DESCRIPTORS
    return RESET


def die_with_parent():
    """Have the kernel kill this process when the thread that started it ends (Linux)."""
    prctl(PR_SET_PDEATHSIG, 9)


def null_server(int listener, int lifeline):
    """Echo raw bytes on every connection until `lifeline` is readable or its peer has gone.

    The least that a server can do: what the engine cannot reach with it, it can reach with none.
    Both arguments are file descriptors; the listener must not block.
    """
    cdef int poll = epoll_create1(EPOLL_CLOEXEC), ready, index, fd
    cdef epoll_event events[EVENTS]
    cdef bint serving = True
    storage = bytearray(READ_BYTES)
    cdef uint8_t *data = storage
    if poll < 0:
        raise OSError(errno, "epoll_create1")
    poll_in(poll, listener)
    poll_in(poll, lifeline)
    with nogil:
        while serving:
            ready = epoll_wait(poll, events, EVENTS, -1)
            for index in range(ready):
                fd = events[index].data.u32
                if fd == lifeline:
                    serving = False
                elif fd == listener:
                    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)
                    if fd >= 0:
                        poll_in(poll, fd)
                else:
                    echo(fd, data)
    close(poll)


cdef void poll_in(int poll, int fd) noexcept nogil:
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.u32 = fd
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event)


cdef void echo(int fd, uint8_t *data) noexcept nogil:
    cdef ssize_t got = recv(fd, data, READ_BYTES, MSG_DONTWAIT), sent = 0, written
    if got < 0 and (errno == EAGAIN or errno == EINTR):
        return
    while sent < got:
        written = send(fd, data + sent, got - sent, MSG_NOSIGNAL)
        if written < 0 and errno != EINTR:
            got = 0
        elif written > 0:
            sent += written
    if got <= 0:
        close(fd)
