"""Rows of chapters 2 and 3 of the course: sockets, datagrams."""

from __future__ import annotations

__all__ = ["NETWORK"]

from bench.experiments.row import Experiment

NETWORK: tuple[Experiment, ...] = (
    Experiment(
        "empty",
        "2.3.3, 2.4",
        "What does an empty send do on TCP and on UDP?",
        "Nothing on TCP; on UDP an empty datagram arrives.",
        "transport",
        "whether something arrives, and how many bytes it has",
        "something that arrives on TCP, or nothing on UDP",
        "On TCP never wait for an answer to nothing; on UDP take b'' for a message, not for an "
        "end.",
        "sockets.empty",
    ),
    Experiment(
        "backlog",
        "2.3.5",
        "How many may wait to be accepted, what befalls the next, when is its SYN sent again?",
        "With listen(5) five may wait; the sixth is refused or times out.",
        "backlog given to listen()",
        "connections that come in, the fate of the next, when SYN is repeated",
        "another number than five, or a SYN that is repeated at another time than after 1 s",
        "Give a backlog for bursts; a full one costs its client a second, and tells it nothing.",
        "sockets.backlog",
    ),
    Experiment(
        "command",
        "2.5",
        "What does a command cost that a server runs for a request?",
        "A command for each request is run by a shell, and its output is the answer.",
        "how the command is run",
        "time from the start of the command to its end",
        "a shell that costs no more than a command spawned directly",
        "Run a list of words, not a line of a shell: it is cheaper, and no input can become a "
        "command.",
        "sockets.command",
    ),
    Experiment(
        "sticky",
        "2.5.1-2.5.5",
        "How many receives do 100 sends of 20 B take, and of what sizes are they?",
        "Messages stick together on a stream; a header with the length mends it.",
        "how messages are told apart",
        "receives, and messages that came out as they were sent",
        "as many receives as sends without a header, or a message lost or changed with one",
        "Never take a receive for a message: put the length before it, as docs/wire.md does.",
        "sockets.sticky",
    ),
    Experiment(
        "receive-size",
        "2.5.1",
        "What does recv(1024) leave of an answer of 68 KB?",
        "The rest stays, and sticks to the next answer.",
        "how the answer is received",
        "share of the answer, receives, time to read it all",
        "one receive that gets all of it, or a next answer that begins with itself",
        "Receive until you have what its header promised; from 64 KiB on larger receives gain "
        "little.",
        "sockets.receive_size",
    ),
    Experiment(
        "nagle",
        "2.5.4",
        "What do two small writes and a read cost, with and without NODELAY?",
        "Nagle's algorithm merges small writes that follow each other closely.",
        "NODELAY of the client, ACKs of the server",
        "time of an exchange, and receives of a request",
        "an exchange with Nagle and delayed ACKs as fast as one with NODELAY",
        "Write a message at once, or set NODELAY: a request in two writes may wait 40 ms.",
        "sockets.nagle",
    ),
    Experiment(
        "digest",
        "2.5.7",
        "What does checking a file cost while it is sent?",
        "The course checks a file with MD5.",
        "digest",
        "CPU per MiB of both ends together, and throughput",
        "checking that costs less than sending again, or a digest that is cheaper than MD5",
        "Do not choose MD5 for its speed: with SHA instructions SHA-256 is no dearer, and it "
        "is safe.",
        "sockets.digest",
    ),
    Experiment(
        "udp-edges",
        "2.6",
        "Do datagrams keep their boundaries, their order and all their bytes?",
        "Datagrams do not stick; what does not fit the buffer is dropped.",
        "what is sent, and how it is received",
        "what arrives, and how",
        "a receive with two messages, or the rest of one that is read next",
        "Receive with the largest size that is sent; send at most 1,472 B, or 512 to be sure; "
        "expect loss.",
        "sockets.udp_edges",
    ),
    Experiment(
        "udp-delay",
        "3.2",
        "How long do 8 clients of a datagram server wait that needs 50 ms for each?",
        "A datagram server without threads only looks concurrent.",
        "how the server works",
        "the first and the last answer, in units of what one takes",
        "a last client that waits less than 7 times as long as one takes",
        "Without connections there is still a queue: hand long work to threads, or answer later.",
        "sockets.udp_delay",
    ),
)
