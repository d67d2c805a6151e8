"""What a request means: the one service that every model offers.

A reply is bytes ready to be sent or, where the model has to do something in between, an iterator
of steps: bytes to send, or a `Wait` that each model carries out in its own way (a sleep, a timer).
No socket and no clock in here.
"""

from __future__ import annotations

from servers.protocol import (
    ANSWER,
    BYE,
    COMPUTE,
    DEFAULT_LIMIT,
    ECHO,
    ERROR,
    FAULT,
    UPPER,
    WAIT,
    BodyError,
    Connection,
    Frame,
    KindError,
    LimitError,
    ProtocolError,
    frame,
    pack_header,
)

# Importing typing would be measured with every model, and everything under this is for mypy only.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ECHO_ANSWER = ECHO + ANSWER
MOST_ROUNDS = 10**8
MOST_WAIT_MICROSECONDS = 60_000_000


class Wait:
    """A step: let at least `seconds` pass before the next one."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Service:
    """What all connections of a server share."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        """Refuse frames whose body has more than `limit` bytes."""
        self._limit = limit

    def session(self) -> Session:
        """Return the service's side of a new connection."""
        return Session(self._limit)


class Session:
    """The service's side of one connection."""

    __slots__ = ("_connection", "closing")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._connection = Connection(limit)
        self.closing = False  # nothing more is to be read once the steps so far are done

    def receive(self, data: bytes) -> Iterable[bytes | Wait]:
        """Return the steps that `data` calls for."""
        requests = self._connection.receive(data)
        if len(requests) == 1:  # the usual case, spared a generator: a fifth of an echo's cost
            reply = self.respond(requests[0])
            return (reply,) if isinstance(reply, bytes) else reply
        return self._steps(requests)

    def _steps(self, requests: list[Frame]) -> Iterator[bytes | Wait]:
        """Send replies that are ready together, and not after one that takes time."""
        ready: list[bytes] = []
        for request in requests:
            reply = self.respond(request)
            if isinstance(reply, bytes):
                ready.append(reply)
                if self.closing:
                    break
            else:
                if ready:
                    yield b"".join(ready)
                    ready.clear()
                yield from reply
        if ready:
            yield b"".join(ready)

    def respond(self, request: Frame) -> Reply:
        """Return the reply to one request."""
        kind, tag, body = request
        try:
            return HANDLERS[kind](self, tag, body)
        except ProtocolError as error:
            return frame(ERROR, tag, error.body())

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

    def _bye(self, tag: int, _body: bytes) -> Reply:
        self.closing = True
        return frame(BYE + ANSWER, tag)

    def _fault(self, tag: int, body: bytes) -> Reply:
        self.closing = True
        return frame(ERROR, tag, body)

    def _unknown(self, _tag: int, _body: bytes) -> Reply:
        raise KindError("No request is of this kind.")


if TYPE_CHECKING:
    Reply = bytes | Iterator[bytes | Wait]
    Handler = Callable[[Session, int, bytes], Reply]

_KNOWN: dict[int, Handler] = {
    ECHO: Session._echo,
    UPPER: Session._upper,
    COMPUTE: Session._compute,
    WAIT: Session._wait,
    BYE: Session._bye,
    FAULT: Session._fault,
}
HANDLERS = tuple(_KNOWN.get(kind, Session._unknown) for kind in range(FAULT + 1))
"""By kind; a tuple, because that is the fastest look-up there is."""


def argument_of(body: bytes) -> tuple[int, bytes]:
    """Split the body of a COMPUTE or a WAIT into its number and its payload."""
    if len(body) < 4:
        raise BodyError(f"The body must begin with a number of 4 bytes, and has {len(body)}.")
    return int.from_bytes(body[:4], "big"), body[4:]


def compute(rounds: int) -> None:
    """Keep the interpreter busy: the work is WIRE.md's to the letter, so that it compares."""
    total = 0
    for i in range(rounds):
        total += i
