"""What a request means: the one service that every model offers.

A reply is bytes ready to be sent or, where the model has to do something in between, an iterator
of the steps in servers/steps.py: bytes to send, or a `Wait`, `SendFile` or `Run` that each driver
carries out in its own way (a sleep, a timer; the kernel's sendfile). No socket, no clock in here.

What may come depends on where the conversation is. So a session looks each kind up in a table:
HANDLERS between requests, RECEIVING from a PUT to its END, SWALLOWING from a refusal to that END.
"""

from __future__ import annotations

__all__ = ["MOST_UPLOADS_AT_ONCE", "MOST_UPLOAD_BYTES", "Service", "Session", "compute"]

from functools import partial

from servers.protocol import (
    ANSWER,
    BYE,
    COMPUTE,
    DATA,
    DEFAULT_LIMIT,
    ECHO,
    END,
    ERROR,
    EXEC,
    FAULT,
    GET,
    LIST,
    META,
    PUT,
    UPPER,
    WAIT,
    BodyError,
    Connection,
    Frame,
    IdleError,
    KindError,
    LimitError,
    NoExecError,
    NoRootError,
    ProtocolError,
    RequestError,
    StateError,
    StorageError,
    frame,
    pack_header,
)
from servers.steps import (
    TURN,
    CutShort,
    DrainFor,
    IdlePeer,
    Report,
    Reset,
    ShutSending,
    StuckPeer,
    Wait,
)

# Importing typing would be measured with every model; everything under this is for mypy only.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from servers.commands import Commands
    from servers.datagrams import Conversation
    from servers.files import Files
    from servers.life.timeouts import Timeouts
    from servers.steps import LastStep, Step
    from servers.uploads import Upload

ECHO_ANSWER = ECHO + ANSWER
PORTION = 256
"""So many requests may be answered together. An answer that is bytes is no longer than its request
or than SENTENCE_BYTES, and a driver receives little at a time: that is a bound in bytes."""
SENTENCE_BYTES = 256
MOST_ROUNDS = 10**8
MOST_WAIT_MICROSECONDS = 60_000_000
MOST_UPLOAD_BYTES = 16 * 2**30
MOST_UPLOADS_AT_ONCE = 64
"""As many as a pool has workers, so that it holds no pool back; a peer with a thousand connections
cannot have a thousand files grow on the disk."""


class Service:
    """What all connections of a server share."""

    def __init__(
        self,
        limit: int = DEFAULT_LIMIT,
        root: str | None = None,
        timeouts: Timeouts | None = None,
        most_upload_bytes: int = MOST_UPLOAD_BYTES,
        uploads_at_once: int = MOST_UPLOADS_AT_ONCE,
        commands: Commands | None = None,
    ) -> None:
        """Refuse frames whose body has more than `limit` bytes; offer the files under `root`.

        Uploads are bounded in size and in number; 0: not. OSError when `root` is no directory to
        read.
        """
        self._limit = limit
        self.timeouts = timeouts
        self._commands = commands
        self.make_session: Callable[..., Session] = Session
        self._files: Files | None = None
        if root is not None:
            from servers.files import Files  # brings json and hashlib

            self._files = Files(root, limit, most_upload_bytes, uploads_at_once)

    def session(self) -> Session:
        """Return the service's side of a new connection."""
        return self.make_session(self._limit, self._files, self.timeouts, self._commands)

    def datagrams(self, drop: Callable[[str], object]) -> Conversation:
        """Return the service's side of all datagrams; `drop` is told why one is not answered."""
        from servers.datagrams import Conversation  # which a server of connections has no use for

        session = self.session()
        session.hear_datagrams()
        return Conversation(session.respond, self._limit, drop)


class Session:
    """The service's side of one connection; to be closed with it."""

    __slots__ = (
        "_commands",
        "_connection",
        "_files",
        "_handlers",
        "_is_leaving",
        "_sending",
        "_upload",
        "_upload_tag",
        "closing",
        "timeouts",
    )

    def __init__(
        self,
        limit: int = DEFAULT_LIMIT,
        files: Files | None = None,
        timeouts: Timeouts | None = None,
        commands: Commands | None = None,
    ) -> None:
        self._connection = Connection(limit)
        self._commands = commands
        self.timeouts = timeouts  # for the driver, which does the waiting
        self._files = files
        self._handlers = HANDLERS
        self._sending: Generator[Step, None, None] | None = None
        self._upload: Upload | None = None
        self._upload_tag = 0
        self._is_leaving = False
        self.closing = False  # nothing more is to be read once the steps so far are done

    def hear_datagrams(self) -> None:
        """Answer what may come in a datagram, and nothing that would need a connection."""
        self._handlers = DATAGRAMS

    def close(self) -> None:
        """Let go of what a reply under way has, and leave nothing of an upload."""
        if self._sending is not None:
            self._sending.close()  # not left to whoever holds it: a traceback may, for long
            self._sending = None
        if self._upload is not None:
            self._upload.close()
            self._upload = None

    def receive(self, data: bytes) -> Iterable[Step]:
        """Return the steps that `data` calls for; () when it completes no frame, and only then.

        Each is made when it is asked for, and a driver asks when it has done the one before. So a
        reply is made when those ahead of it are on their way, and what a connection has ready to be
        sent is bounded, whatever it asks for and however slowly it reads: by one reply or, of small
        ones, by those to PORTION requests.
        """
        requests = self._connection.receive(data)
        if len(requests) == 1:  # the usual case, spared a generator: a fifth of an echo's cost
            reply = self.respond(requests[0])
            return (reply,) if isinstance(reply, bytes) else reply
        if len(requests) > PORTION:
            return self._portions(requests)
        return self._steps(requests) if requests else ()

    def _portions(self, requests: list[Frame]) -> Iterator[Step]:
        """Give the others on an event loop their turn after each portion."""
        for start in range(0, len(requests), PORTION):
            yield from self._steps(requests[start : start + PORTION])
            if self.closing:
                return
            yield TURN

    def _steps(self, requests: list[Frame]) -> Iterator[Step]:
        """Send replies that are ready together, and not after one that takes time."""
        ready: list[bytes] = []
        for request in requests:
            reply = self.respond(request)
            if isinstance(reply, bytes):
                ready.append(reply)
                if self.closing:
                    break
            elif reply is not NOTHING:
                if ready:
                    yield b"".join(ready)
                    ready.clear()
                yield from reply
                if self.closing:
                    return
                yield TURN
        if ready:
            yield b"".join(ready)

    def farewell(self, fault: type[OSError] | None) -> tuple[LastStep, ...]:
        """Return what is to be done before the close, now that nothing more is to be answered.

        `fault` is what ended the conversation, None for the peer's end or ours. To be asked again
        with what has befallen these steps, until there are none.
        """
        was_leaving, self._is_leaving, timeouts = self._is_leaving, True, self.timeouts
        if fault is None:
            return TAKE_LEAVE if self.closing and not was_leaving else ()
        if fault is CutShort:
            return (RESET,)
        if timeouts and fault is StuckPeer:  # a frame may have been cut
            return RESET, Report(partial(timeouts.count, StuckPeer))
        if timeouts and fault is IdlePeer and not was_leaving:
            error = IdleError(f"No whole frame has arrived for {timeouts.idle:g} s.")
            last_words = frame(ERROR, 0, error.body())
            # Reported while the peer still has an address.
            return Report(partial(timeouts.count, IdlePeer)), last_words, *TAKE_LEAVE
        return ()

    def respond(self, request: Frame) -> Reply:
        """Return the reply to one request."""
        kind, tag, body = request
        try:
            return self._handlers[kind](self, tag, body)
        except (ProtocolError, OSError) as error:
            return self._refusal(tag, error)

    def _refusal(self, tag: int, error: ProtocolError | OSError) -> bytes:
        """Return what the peer is told instead of an answer."""
        if isinstance(error, OSError):
            error = StorageError.of(error)
        self.closing = not isinstance(error, RequestError)
        return frame(ERROR, tag, error.body())

    def _in_its_turn(self, kind: int, tag: int, work: Callable[[], bytes]) -> Iterator[bytes]:
        """Work only when asked for the step, so that earlier replies are on their way."""
        try:
            yield frame(kind + ANSWER, tag, work())
        except (ProtocolError, OSError) as error:
            yield self._refusal(tag, error)

    def _echo(self, tag: int, body: bytes) -> Reply:
        # As frame() does it; spelled out because every echo scenario measures this line.
        return pack_header(len(body), ECHO_ANSWER, 0, tag) + body

    def _upper(self, tag: int, body: bytes) -> Reply:
        return frame(UPPER + ANSWER, tag, body.upper())

    def _compute(self, tag: int, body: bytes) -> Reply:
        rounds, payload = argument_of(body)
        if rounds > MOST_ROUNDS:
            raise LimitError(f"{rounds} rounds are more than {MOST_ROUNDS}.")
        return self._compute_steps(tag, rounds, payload)

    def _compute_steps(self, tag: int, rounds: int, payload: bytes) -> Iterator[bytes]:
        """Compute only when asked for the step, so that earlier replies are on their way."""
        compute(rounds)
        yield frame(COMPUTE + ANSWER, tag, payload)

    def _wait(self, tag: int, body: bytes) -> Reply:
        microseconds, payload = argument_of(body)
        if microseconds > MOST_WAIT_MICROSECONDS:
            raise LimitError(f"{microseconds} us are more than {MOST_WAIT_MICROSECONDS}.")
        return iter((Wait(microseconds / 1e6), frame(WAIT + ANSWER, tag, payload)))

    def _get(self, tag: int, body: bytes) -> Reply:
        self._sending = self._root().get(tag, body)
        return self._sending

    def _exec(self, tag: int, body: bytes) -> Reply:
        if self._commands is None:
            raise NoExecError("This server runs no commands.")
        self._sending = self._commands.answer(tag, body)
        return self._sending

    def _list(self, tag: int, _body: bytes) -> Reply:
        return self._in_its_turn(LIST, tag, self._root().listing)

    def _put(self, tag: int, body: bytes) -> Reply:
        self._upload_tag = tag
        self._handlers = SWALLOWING
        self._upload = self._root().put(body)
        self._handlers = RECEIVING
        return NOTHING

    def _meta(self, tag: int, body: bytes) -> Reply:
        return self._receive_part(self._under_way(tag).meta, body)

    def _data(self, tag: int, body: bytes) -> Reply:
        return self._receive_part(self._under_way(tag).data, body)

    def _receive_part(self, receive: Callable[[bytes], None], body: bytes) -> Reply:
        try:
            receive(body)
        except (RequestError, OSError):
            self._handlers = SWALLOWING
            self.close()
            raise
        return NOTHING

    def _end(self, tag: int, body: bytes) -> Reply:
        upload = self._under_way(tag)
        self._handlers = HANDLERS
        return self._in_its_turn(PUT, tag, partial(self._finish, upload, body))

    def _finish(self, upload: Upload, body: bytes) -> bytes:
        try:
            return upload.end(body)
        finally:
            self.close()

    def _under_way(self, tag: int) -> Upload:
        self._check_tag(tag)
        if self._upload is None:
            raise StateError("No PUT is under way.")
        return self._upload

    def _swallow(self, tag: int, _body: bytes) -> Reply:
        self._check_tag(tag)
        return NOTHING

    def _swallow_end(self, tag: int, _body: bytes) -> Reply:
        self._check_tag(tag)
        self._handlers = HANDLERS
        return NOTHING

    def _out_of_turn(self, _tag: int, _body: bytes) -> Reply:
        raise StateError("META, DATA and END come after a PUT, and nothing else before its END.")

    def _check_tag(self, tag: int) -> None:
        if tag != self._upload_tag:
            raise StateError(f"The tag of the PUT under way is {self._upload_tag}.")

    def _root(self) -> Files:
        if self._files is None:
            raise NoRootError("This server has no files.")
        return self._files

    def _bye(self, tag: int, _body: bytes) -> Reply:
        self.closing = True
        return frame(BYE + ANSWER, tag)

    def _fault(self, tag: int, body: bytes) -> Reply:
        self.closing = True
        return frame(ERROR, tag, body)

    def _unknown(self, _tag: int, _body: bytes) -> Reply:
        raise KindError("No request is of this kind.")


if TYPE_CHECKING:
    Reply = bytes | Iterable[Step]
    Handler = Callable[[Session, int, bytes], Reply]

NOTHING: Iterator[Step] = iter(())
"""The reply to a frame that is not answered: no step, yet true, for a whole frame has come."""


DRAIN_SECONDS = 1.0
"""How long a peer that we take leave of may go on sending."""
RESET = Reset()
TAKE_LEAVE: tuple[LastStep, ...] = ShutSending(), DrainFor(DRAIN_SECONDS)


def table(known: dict[int, Handler], otherwise: Handler) -> tuple[Handler, ...]:
    """Return the handlers by kind; a tuple, because that is the fastest look-up there is."""
    return tuple(known.get(kind, otherwise) for kind in range(FAULT + 1))


HANDLERS = table(
    {
        ECHO: Session._echo,
        UPPER: Session._upper,
        COMPUTE: Session._compute,
        WAIT: Session._wait,
        EXEC: Session._exec,
        GET: Session._get,
        PUT: Session._put,
        LIST: Session._list,
        META: Session._out_of_turn,
        DATA: Session._out_of_turn,
        END: Session._out_of_turn,
        BYE: Session._bye,
        FAULT: Session._fault,
    },
    Session._unknown,
)
DATAGRAMS = table(
    {
        ECHO: Session._echo,
        UPPER: Session._upper,
        COMPUTE: Session._compute,
        WAIT: Session._wait,
    },
    Session._unknown,
)
"""A datagram has no connection that a transfer or a BYE could belong to."""
RECEIVING = table(
    {META: Session._meta, DATA: Session._data, END: Session._end, FAULT: Session._fault},
    Session._out_of_turn,
)
SWALLOWING = table(
    {
        META: Session._swallow,
        DATA: Session._swallow,
        END: Session._swallow_end,
        FAULT: Session._fault,
    },
    Session._out_of_turn,
)


def argument_of(body: bytes) -> tuple[int, bytes]:
    """Split the body of a COMPUTE or a WAIT into its number and its payload."""
    if len(body) < 4:
        raise BodyError(f"The body must begin with a number of 4 bytes, and has {len(body)}.")
    return int.from_bytes(body[:4], "big"), body[4:]


def compute(rounds: int) -> None:
    """Keep the interpreter busy: the work is docs/wire.md's to the letter, so that it compares."""
    total = 0
    for i in range(rounds):
        total += i
