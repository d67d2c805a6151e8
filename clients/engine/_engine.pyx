# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, autotestdict=False
"""The load engine: closed and open loop over epoll without the GIL, every byte verified.

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

*Datagrams are the same but for what can happen to them.* `DatagramWorker` replaces how a flow is
opened, written to and read from; nothing of that is asked for on a connection's way.

*A schedule needs no queue.* In an open loop the requests that are due and not yet sent are those
between the next one of the schedule and now: to be late is not to advance. Nothing is ever dropped.

What counts where is in docs/method.md; `clients.engine.reference` says the same in plain Python,
and the tests hold the two against each other.
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

from cython cimport final

from clients.engine._message cimport Message
from clients.engine._schedule cimport Schedule


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


cdef class Worker:
    """One thread's connections, and what it counted on them."""

    cdef Connection *connections
    cdef epoll_event *events
    cdef uint8_t *input
    cdef uint64_t *latencies    # one histogram per interval of the window, one for the drain
    cdef uint64_t *arrivals     # answers, per interval
    cdef uint64_t *services     # of an open loop: from the send, where latencies are from the due time
    cdef uint64_t *lags         # of an open loop: from the due time to the send
    cdef uint64_t *unanswered
    cdef uint64_t *connecting
    cdef uint64_t errors[ERRORS]
    cdef uint64_t connect_retries
    cdef Message request, answer
    cdef sockaddr_in address
    cdef int poll
    cdef int count, busy, at_once, unsettled
    cdef Phase phase
    cdef bint sending
    cdef volatile bint cancelled
    cdef uint32_t depth, session
    cdef uint64_t ring          # the ring's size less one; a power of two less one
    cdef size_t batch
    cdef uint64_t outstanding   # requests sent and not answered, over all connections
    cdef int64_t connect_timeout, request_timeout
    cdef int64_t begin, end     # ns: of the phase; of the window while it is measured or drained
    cdef int64_t interval, interval_end
    cdef int intervals, current
    # The open loop: its schedule, and the connections that can take a request, as a ring.
    cdef bint open_loop, spin
    cdef Schedule schedule
    cdef int64_t elapsed        # ns of the schedule that earlier phases have covered
    cdef Connection **free
    cdef int free_first, free_count

    def __cinit__(self):
        self.poll = -1

    def __init__(self, load, exchange, share):
        cdef Connection *connection
        self.busy = share.busy
        self.count = share.busy + share.idle
        self.at_once = load.connect_at_once
        self.depth = load.depth
        self.session = load.session
        self.connect_timeout = int(load.connect_timeout_seconds * 1e9)
        self.request_timeout = int(load.request_timeout_seconds * 1e9)
        self.ring = self.places(load.depth) - 1
        self.batch = max(1, min(load.depth, BATCH_BYTES // exchange.request.length))
        self.request = Message(exchange.request, self.batch)
        self.answer = Message(exchange.answer, 1)

        self.schedule = share.schedule
        self.open_loop = share.schedule is not None
        self.spin = load.spin

        self.address.sin_family = AF_INET
        self.address.sin_port = htons(load.port)
        inet_pton(AF_INET, load.host.encode(), &self.address.sin_addr)

        self.connections = <Connection *>calloc(self.count, sizeof(Connection))
        self.events = <epoll_event *>calloc(EVENTS, sizeof(epoll_event))
        self.input = <uint8_t *>calloc(READ_BYTES, 1)
        self.free = <Connection **>calloc(self.count, sizeof(Connection *))
        if (
            self.connections is NULL
            or self.events is NULL
            or self.input is NULL
            or self.free is NULL
        ):
            raise MemoryError
        self.services = counters(SLOTS)
        self.lags = counters(SLOTS)
        self.unanswered = counters(SLOTS)
        self.connecting = counters(SLOTS)
        for index in range(self.count):
            connection = &self.connections[index]
            connection.fd = -1
            connection.number = share.first + index
            connection.idle = index >= self.busy
            connection.sent_at = <int64_t *>counters(self.ring + 1)
            connection.due_at = connection.sent_at
            if self.open_loop:
                connection.due_at = <int64_t *>counters(self.ring + 1)
        self.poll = epoll_create1(EPOLL_CLOEXEC)
        if self.poll < 0 or self.wait(0) < 0:
            raise OSError(errno, "epoll_pwait2 (it needs Linux 5.11)")

    def __dealloc__(self):
        if self.connections is not NULL:
            for index in range(self.count):
                if self.connections[index].state != CLOSED:
                    close(self.connections[index].fd)
                if self.open_loop:
                    free(self.connections[index].due_at)
                free(self.connections[index].sent_at)
                free(self.connections[index].fates)
        if self.poll >= 0:
            close(self.poll)
        free(self.connections)
        free(self.events)
        free(self.input)
        free(self.latencies)
        free(self.arrivals)
        free(self.services)
        free(self.lags)
        free(self.unanswered)
        free(self.connecting)
        free(self.free)

    cdef uint64_t places(self, uint64_t depth):
        """Return for how many requests each connection keeps times: a power of two."""
        cdef uint64_t places = 1
        while places < depth:
            places *= 2
        return places

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
            while (tried < self.count or self.unsettled) and not self.cancelled:
                while tried < self.count and self.unsettled < self.at_once:
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
        memset(self.services, 0, SLOTS * sizeof(uint64_t))
        memset(self.lags, 0, SLOTS * sizeof(uint64_t))
        memset(self.unanswered, 0, SLOTS * sizeof(uint64_t))
        for index in range(self.busy):
            self.connections[index].counted = 0
        self.current = 0
        self.interval_end = begin + interval
        with nogil:
            self.run(MEASURING, begin, end)

    def drain(self, int64_t deadline):
        """Take the answers that are still due; then count the requests left without one.

        An open loop goes on to send what was due before the window's end.
        """
        cdef int64_t now
        cdef int index
        with nogil:
            self.phase = DRAINING
            self.sending = self.open_loop
            now = monotonic_ns()
            while (
                (self.outstanding or self.overdue(now) or self.expects_more())
                and now < deadline and not self.cancelled
            ):
                self.dispatch()
                self.turn(deadline)
                now = monotonic_ns()
                self.look_after(now)
            self.sending = False
            for index in range(self.count):
                self.give_up(&self.connections[index], UNFINISHED, now)
            while self.overdue(now):
                self.errors[UNFINISHED] += 1
                self.unanswered[slot(now - self.due())] += 1
                self.schedule.advance()

    cdef bint expects_more(self) noexcept nogil:
        """Whether something may still come in when every request has been settled."""
        return False

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
                "connect_retries": [self.connect_retries],
                "services": pairs(self.services),
                "send_lags": pairs(self.lags),
                "requests_per_connection": [
                    self.connections[index].counted for index in range(self.busy)
                ],
                "idle_served": [
                    sum(
                        self.connections[index].state == OPEN and self.connections[index].answered
                        for index in range(self.busy, self.count)
                    )
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
        self.elapsed += self.end - self.begin  # of the phase before
        self.phase = phase
        self.begin = begin
        self.end = end
        self.sending = True
        for index in range(self.count):
            self.resume(&self.connections[index])
        while now < end and not self.cancelled:
            self.dispatch()
            self.turn(min(end, next_tick))
            now = monotonic_ns()
            if now >= next_tick:
                self.look_after(now)
                next_tick = now + TICK_NS
        self.sending = False

    cdef void turn(self, int64_t deadline) noexcept nogil:
        """Wait until the deadline, or until a request is due that can be sent; handle events."""
        cdef Connection *connection
        cdef int index, ready
        if self.free_count and self.overdue(deadline):
            deadline = self.due()
        ready = self.wait(0 if self.spin else max(0, deadline - monotonic_ns()))
        for index in range(ready):
            connection = <Connection *>self.events[index].data.ptr
            if connection.state == CONNECTING:
                self.finish_connect(connection)
                continue
            if self.events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR):
                self.receive(connection)
            if self.events[index].events & EPOLLOUT and connection.state == OPEN:
                self.flush(connection)

    cdef int wait(self, int64_t timeout_ns) noexcept nogil:
        """Let the kernel say what is ready; its timeout has a resolution of ns, not of ms."""
        cdef timespec timeout
        timeout.tv_sec = timeout_ns // 1_000_000_000
        timeout.tv_nsec = timeout_ns % 1_000_000_000
        return <int>syscall(
            SYS_epoll_pwait2, self.poll, self.events, <int>EVENTS, &timeout, NULL, <size_t>0
        )

    # The schedule of an open loop.

    cdef int64_t due(self) noexcept nogil:
        """Return when the next request is due, in ns of the monotonic clock."""
        return self.begin - self.elapsed + <int64_t>self.schedule.next_ns

    cdef bint overdue(self, int64_t now) noexcept nogil:
        """Whether a request is due by `now` that belongs to this phase or to an earlier one."""
        return self.open_loop and self.due() <= now and self.due() < self.end

    cdef void dispatch(self) noexcept nogil:
        """Give requests that are due to connections that are free, the longest free one first."""
        cdef Connection *connection
        while self.free_count and self.overdue(monotonic_ns()):
            connection = self.free[self.free_first]
            self.free_first = (self.free_first + 1) % self.count
            self.free_count -= 1
            connection.free = False
            if connection.state == OPEN:
                self.flush(connection)

    cdef void set_free(self, Connection *connection) noexcept nogil:
        """Queue a connection for the next request that is due, if it can take one."""
        if self.open_loop and not connection.free and self.room(connection):
            self.free[(self.free_first + self.free_count) % self.count] = connection
            self.free_count += 1
            connection.free = True

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
        connection.unsettled = True
        self.unsettled += 1
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
        if now - connection.since > RETRIED_NS:
            self.connect_retries += retransmits(connection.fd)
        connection.state = OPEN
        self.connecting[slot(now - connection.since)] += 1
        if not connection.idle:
            self.settle(connection)
        self.flush(connection)

    cdef void settle(self, Connection *connection) noexcept nogil:
        """The connection is open, or given up; an idle one is open once the server answered."""
        self.unsettled -= connection.unsettled
        connection.unsettled = False

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
                self.unanswered[slot(now - connection.due_at[sequence & self.ring])] += 1

    cdef void shut(self, Connection *connection, int64_t now) noexcept nogil:
        if connection.state == CLOSED:
            return
        self.settle(connection)
        close(connection.fd)  # which takes it out of the epoll, too
        connection.state = CLOSED
        connection.since = now
        self.outstanding -= connection.sent - connection.answered
        connection.answered = connection.sent
        connection.owed = 0
        connection.matched = 0
        connection.wrong = False

    # Requests and answers.

    cdef uint64_t room(self, Connection *connection) noexcept nogil:
        """Return how many more requests the connection could have outstanding now."""
        cdef uint64_t room
        if connection.idle:
            return connection.sent == 0
        room = self.depth - (connection.sent - connection.answered)
        return min(room, self.session - connection.in_session) if self.session else room

    cdef uint64_t begin_requests(self, Connection *connection) noexcept nogil:
        """Begin as many requests as may begin now, up to a batch; return their number."""
        cdef uint64_t room = min(self.room(connection), self.batch), count = 0
        cdef int64_t now, due_at
        if not room or not (self.sending or connection.idle):
            return 0
        now = monotonic_ns()
        if self.open_loop and not connection.idle:
            while count < room and self.overdue(now):
                due_at = self.due()
                connection.due_at[(connection.sent + count) & self.ring] = due_at
                if self.phase >= MEASURING and due_at >= self.begin:
                    self.lags[slot(now - due_at)] += 1
                self.schedule.advance()
                count += 1
            room = count
        for count in range(room):
            connection.sent_at[(connection.sent + count) & self.ring] = now
        connection.sent += room
        connection.in_session += <uint32_t>room
        connection.owed = room * self.request.length
        self.outstanding += room
        return room

    cdef void flush(self, Connection *connection) noexcept nogil:
        """Write what is owed and what may begin, until the kernel takes no more."""
        cdef uint64_t count
        cdef size_t index, length = self.request.length
        cdef ssize_t written
        while connection.owed or self.begin_requests(connection):
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
        self.set_free(connection)

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
        cdef size_t matched = connection.matched, wrong_at = 0, kind_at
        cdef uint8_t *expected = self.answer.bytes_ + matched
        self.answer.patch(0, connection.number, connection.answered)
        if not connection.wrong and not memcmp(data, expected, size):
            return ERRORS
        if not self.answer.framed:
            return MISMATCH
        while not connection.wrong and data[wrong_at] == expected[wrong_at]:
            wrong_at += 1
        kind_at = self.answer.kind_at(matched + wrong_at)
        if kind_at < matched:
            return MISMATCH
        if matched + size <= kind_at:
            connection.wrong = True  # the next bytes tell whether this is an error frame
            return ERRORS
        return ERROR_FRAME if data[kind_at - matched] == ERROR_FRAME_KIND else MISMATCH

    cdef void complete(self, Connection *connection, int64_t now) noexcept nogil:
        """Count the answer that has come in."""
        cdef uint64_t place = connection.answered & self.ring
        connection.answered += 1
        connection.matched = 0
        self.outstanding -= 1
        if connection.idle:
            self.settle(connection)
            return
        self.count_answer(connection, place, now)

    @final
    cdef inline void count_answer(
        self, Connection *connection, uint64_t place, int64_t now
    ) noexcept nogil:
        """Count an answer to the request with this place in the ring."""
        cdef int64_t due_at = connection.due_at[place]
        if self.phase < MEASURING:
            return
        if now < self.end:
            while now >= self.interval_end:
                self.interval_end += self.interval
                self.current += 1
            self.arrivals[self.current] += 1
            connection.counted += 1
        if due_at >= self.begin:
            # An answer of the drain has a histogram of its own, after those of the intervals.
            self.latencies[
                (self.current if now < self.end else self.intervals) * SLOTS + slot(now - due_at)
            ] += 1
            if self.open_loop:
                self.services[slot(now - connection.sent_at[place])] += 1


cdef uint32_t retransmits(int fd) noexcept nogil:
    """Return how often the kernel has sent a segment of this connection again."""
    cdef tcp_info info
    cdef socklen_t length = sizeof(info)
    memset(&info, 0, sizeof(info))
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length)
    return info.tcpi_total_retrans


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


include "_null_server.pxi"
include "_datagrams.pxi"
