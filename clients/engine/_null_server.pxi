# A part of the engine's module: the least that a server can do, against which the engine is weighed.

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


def null_datagrams(int endpoint, int lifeline):
    """Send every datagram back to where it came from; the rest as `null_server`."""
    cdef int poll = epoll_create1(EPOLL_CLOEXEC), ready, index
    cdef epoll_event events[2]
    cdef bint serving = True
    cdef sockaddr_in source
    cdef socklen_t length
    cdef ssize_t got
    storage = bytearray(READ_BYTES)
    cdef uint8_t *data = storage
    if poll < 0:
        raise OSError(errno, "epoll_create1")
    poll_in(poll, endpoint)
    poll_in(poll, lifeline)
    with nogil:
        while serving:
            ready = epoll_wait(poll, events, 2, -1)
            for index in range(ready):
                if events[index].data.u32 == <uint32_t>lifeline:
                    serving = False
                    continue
                length = sizeof(source)
                got = recvfrom(
                    endpoint, data, READ_BYTES, MSG_DONTWAIT, <sockaddr *>&source, &length
                )
                if got >= 0:
                    sendto(endpoint, data, got, MSG_NOSIGNAL, <sockaddr *>&source, length)
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
