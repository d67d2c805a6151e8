# cython: language_level=3
"""The kernel's interfaces that the load engine uses, its limits, and what it knows of a connection."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void *ptr
        uint32_t u32
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int maxevents, int timeout)
    enum:
        EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP
        EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CLOEXEC

cdef extern from "<sys/syscall.h>" nogil:
    enum:
        SYS_epoll_pwait2

cdef extern from "<unistd.h>" nogil:
    long syscall(long number, ...)

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    cdef struct sockaddr:
        pass
    int socket(int domain, int type, int protocol)
    int bind(int fd, const sockaddr *address, socklen_t length)
    int connect(int fd, const sockaddr *address, socklen_t length)
    int accept4(int fd, sockaddr *address, socklen_t *length, int flags)
    int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
    int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
    ssize_t recv(int fd, void *buffer, size_t length, int flags)
    ssize_t recvfrom(
        int fd, void *buffer, size_t size, int flags, sockaddr *address, socklen_t *length
    )
    ssize_t sendto(
        int fd, const void *buffer, size_t size, int flags, const sockaddr *to, socklen_t length
    )
    ssize_t send(int fd, const void *buffer, size_t length, int flags)
    enum:
        AF_INET, SOCK_STREAM, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_CLOEXEC, SOL_SOCKET, SO_ERROR
        MSG_NOSIGNAL, MSG_DONTWAIT

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        IPPROTO_TCP, TCP_NODELAY, TCP_INFO
    cdef struct tcp_info:
        uint32_t tcpi_total_retrans

cdef extern from "<arpa/inet.h>" nogil:
    cdef struct in_addr:
        uint32_t s_addr
    cdef struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    int inet_pton(int family, const char *text, void *address)
    uint16_t htons(uint16_t value)
    uint32_t htonl(uint32_t value)
    uint32_t ntohl(uint32_t value)
    enum:
        IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT

cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, unsigned long argument)
    enum:
        PR_SET_PDEATHSIG

cdef extern from *:
    """
    static inline int bit_length(unsigned long long value) { return 64 - __builtin_clzll(value); }
    """
    int bit_length(unsigned long long value) nogil


cdef enum:
    # The HdrHistogram layout of reports.histogram, which explains it.
    HALF_BUCKET = 1024
    HALF_BUCKET_BITS = 11  # HALF_BUCKET.bit_length()
    SLOTS = 27 * HALF_BUCKET

    ERROR_FRAME_KIND = 255
    KIND_AT = 4
    READ_BYTES = 256 * 1024
    BATCH_BYTES = 64 * 1024  # pipelined requests go out together up to this size
    EVENTS = 512
    RETRIED_NS = 200_000_000  # a connect that took so long may have had its SYN sent again
    LOOPBACK_NET = 0x7F
    FIRST_SOURCE = 0x7F010001  # 127.1.0.1
    TICK_NS = 5_000_000  # how often timeouts are looked for and failed connections tried again

ctypedef int Error

cdef enum:
    # In the order of clients.load.ERROR_KINDS.
    REFUSED, CONNECT_TIMEOUT, RESET, EOF, MISMATCH, ERROR_FRAME, TIMEOUT, UNFINISHED
    NO_DESCRIPTORS, NO_PORTS, LOST, LATE, DUPLICATED
    ERRORS

ctypedef int Phase

cdef enum:
    OPENING, WARMING, MEASURING, DRAINING

ctypedef int State

cdef enum:
    CLOSED, CONNECTING, OPEN

cdef struct Connection:
    int fd
    State state
    bint wants_write        # EPOLLOUT is asked for
    bint unsettled          # counts among those that are being opened
    bint idle               # makes one request when it opens, and none after that
    bint free               # stands in the queue of connections that a due request can take
    uint32_t number         # among all connections of the engine
    uint32_t in_session     # requests begun in this connection's life
    uint64_t sent           # requests begun; the next one's sequence number
    uint64_t answered       # answers complete; the sequence number of the one that is due
    uint64_t counted        # answers in the window
    size_t owed             # bytes of requests begun that are still to be written
    size_t matched          # bytes of the answer under way that have come in
    bint wrong              # one of them was wrong, and the kind byte has yet to say more
    int64_t since           # ns: when the connect began; when CLOSED, when it closed
    int64_t *sent_at        # ns: a ring of `depth` send times, by sequence number
    int64_t *due_at         # ns: the same of intended times; in a closed loop the same ring
    # Of a flow of datagrams only.
    uint8_t *fates          # what has become of each request: a ring like those
    uint32_t pending        # how many of them can still be answered
    bint begun              # the latest is among them, and still to be sent
