"""python -m servers MODEL: bind, say where in one line of JSON, and serve until a signal.

A server imports its own model and nothing else, because its start and its memory are measured.
Hence no argparse and no json in here.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from select import select  # as in notices.py

from servers.catalog import UnknownModel, find, names
from servers.life.notices import StandardError, have_standard_descriptors, voice
from servers.life.stopping import GRACE_SECONDS, CannotStart
from servers.life.timeouts import LEAST_SECONDS, Timeouts
from servers.protocol import DEFAULT_LIMIT
from servers.service import MOST_UPLOAD_BYTES, MOST_UPLOADS_AT_ONCE, Service

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from servers.catalog import Model
    from servers.commands import Commands

STDOUT = 1
JSON = {True: "true", False: "false", None: "null"}
UNESCAPED = {chr(code) for code in range(0x20, 0x7F)} - {'"', "\\"}
NUMBERS = {
    "--port": range(65_536),
    "--workers": range(1, 10_001),
    "--backlog": range(1, 65_536),
    "--receive-buffer": range(1, 2**30),
    "--limit": range(2**32),
    "--max-connections": range(1_000_001),
    "--max-upload": range(2**63),
    "--max-uploads-at-once": range(1_001),
    "--exec-at-once": range(1_001),
}
TIMEOUTS = {"--idle-timeout": 60.0, "--write-timeout": 30.0}
"""With what they are unless told: for a server run by hand. bench measures without them."""
SECONDS = {**TIMEOUTS, "--grace": GRACE_SECONDS}
TAKEN_BY = {
    "tcp": {
        "--backlog",
        "--max-connections",
        "--root",
        "--max-upload",
        "--max-uploads-at-once",
        "--exec",
        "--exec-at-once",
    },
    "udp": {"--receive-buffer"},
}
"""Options that mean nothing to models with another transport."""
MOST_SECONDS = 86_400
MOST_DIGITS = 20
SWITCH = "--switch-interval"
LEAST_SWITCH_SECONDS, MOST_SWITCH_SECONDS = 1e-6, 10.0
REPEATED = "--exec"
VALUES = {"--host", "--root", SWITCH, REPEATED, *NUMBERS, *SECONDS}
FLAGS = {"--watch-stdin", "--help"}


class Unheard(Exception):  # noqa: N818 - it says what happened
    """The ready line cannot be written: nobody will know where to connect."""


class UsageError(Exception):
    """A command line that cannot be followed; the message is a sentence for the user."""


def main(arguments: list[str]) -> int:
    """Serve as the command line says, and return the exit code."""
    try:
        words, options, programs = parse(arguments)
        if "--help" in options:
            from servers.usage import usage

            write(usage())
            return 0
        model = chosen(words, options)
        if model.early:
            module_of(model)
        numbers = {name: number(name, options[name]) for name in NUMBERS if name in options}
        timeouts = Timeouts(*(seconds(name, options) for name in TIMEOUTS))
        grace_seconds = seconds("--grace", options)
        if SWITCH in options:
            sys.setswitchinterval(switch_interval(options[SWITCH]))
        if timeouts:
            voice.ration()
        commands = commanding(programs, numbers) if programs else None
        service = serving(numbers, options.get("--root"), timeouts, commands)
    except (UsageError, UnknownModel) as error:
        print(error, file=sys.stderr)
        return 2
    except Unheard as error:
        print(error, file=sys.stderr)
        return 1
    if "--watch-stdin" in options:
        import_module("servers.life.parent").die_with_stdin()
    host, port = options.get("--host", "127.0.0.1"), numbers.get("--port", 0)
    try:
        listener = OPENED[model.transport](host, port, model, numbers, grace_seconds)
    except OSError as error:
        print(f"Cannot listen on {host} port {port}: {error.strerror}.", file=sys.stderr)
        return 1
    with listener:
        listener.stop.at_exit = partial(say_the_rest, timeouts, listener)
        try:
            run(model, listener, service, numbers.get("--workers", model.workers))
        except (Unheard, CannotStart) as error:
            listener.stop.begin()
            print(error, file=sys.stderr)
            return 1
        listener.stop.at_exit()
    return 0


def listener_of(
    host: str, port: int, model: Model, numbers: dict[str, int], grace_seconds: float
) -> Any:
    """Open the socket that connections come to."""
    from servers.life.endpoint import DEFAULT_BACKLOG
    from servers.life.listener import Listener

    return Listener(
        host,
        port,
        numbers.get("--backlog", DEFAULT_BACKLOG),
        max_connections=numbers.get("--max-connections", 0),
        when_full=model.when_full,
        grace_seconds=grace_seconds,
    )


def mailbox_of(
    host: str, port: int, _model: Model, numbers: dict[str, int], grace_seconds: float
) -> Any:
    """Open the socket that datagrams come to."""
    from servers.life.mailbox import Mailbox

    return Mailbox(host, port, numbers.get("--receive-buffer", 0), grace_seconds=grace_seconds)


OPENED = {"tcp": listener_of, "udp": mailbox_of}
"""By transport. Each imports what it needs itself: what a server imports is measured."""


def say_the_rest(timeouts: Timeouts, listener: Any) -> None:
    """Say what has not been said so far, and the sum of it; then what has become of the GIL."""
    voice.catch_up(at_once=True)
    timeouts.sum_up()
    listener.sum_up()
    # Whoever has read the ready line may have gone, or not read on: that is worth no error.
    with suppress(OSError):
        if select([], [STDOUT], [], 0)[1]:
            os.write(STDOUT, (last_line() + "\n").encode())


def commanding(programs: list[str], numbers: dict[str, int]) -> Commands:
    """Return the commands to offer; UsageError when they cannot be."""
    from servers.commands import commands_of

    for needed in ("servers.drivers.running", "json"):  # or each child would, once forked
        import_module(needed)
    try:
        return commands_of(
            programs, numbers.get("--exec-at-once"), numbers.get("--limit", DEFAULT_LIMIT)
        )
    except ValueError as error:
        raise UsageError(f"--exec {error}.") from None


def serving(
    numbers: dict[str, int], root: str | None, timeouts: Timeouts, commands: Commands | None
) -> Service:
    """Return the service to offer."""
    try:
        return Service(
            numbers.get("--limit", DEFAULT_LIMIT),
            root,
            timeouts,
            numbers.get("--max-upload", MOST_UPLOAD_BYTES),
            numbers.get("--max-uploads-at-once", MOST_UPLOADS_AT_ONCE),
            commands,
        )
    except OSError as error:
        raise UsageError(f"Cannot serve the files in {root}: {error.strerror}.") from None


def run(model: Model, listener: Any, service: Service, workers: int) -> None:
    """Serve until a signal."""
    listener.stop.on_signals()
    pool = {"workers": workers} if workers else {}
    serve = getattr(module_of(model), model.entry)
    serve(
        listener,
        service,
        lambda: write(ready_line(model, listener, workers) + "\n"),
        **pool,
        **dict(model.options),
    )


def module_of(model: Model) -> Any:
    """Import a model's file."""
    return import_module(f"servers.models.{model.module}")


def write(text: str) -> None:
    """Write to standard output, or raise Unheard."""
    try:
        print(text, end="", flush=True)
    except OSError as error:
        # What is left in Python's buffer will be written at its exit, where this should not recur.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        raise Unheard(f"Cannot write to standard output: {error.strerror}.") from None


def parse(arguments: list[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Split the command line into words, options and the values of the one that is repeated.

    The value of a flag is empty.
    """
    words = []
    options = {}
    repeated = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if not argument.startswith("-"):
            words.append(argument)
        elif argument in FLAGS:
            options[argument] = ""
        elif name in VALUES:
            options[name] = value if equals else next(rest, "")
            if not options[name]:
                raise UsageError(f"{name} needs a value.")
            if name == REPEATED:
                repeated.append(options[name])
        else:
            raise UsageError(f"There is no option {argument}; see --help.")
    return words, options, repeated


def chosen(words: list[str], options: dict[str, str]) -> Model:
    """Return the model to serve with."""
    if len(words) != 1:
        raise UsageError(f"Name one model of {', '.join(names())}.")
    model = find(words[0])
    check_runnable(model)
    if "--workers" in options and not model.workers:
        raise UsageError(f"{model.name} is not a pool and takes no --workers.")
    for transport, taken in TAKEN_BY.items():
        if transport != model.transport and (strange := sorted(taken & options.keys())):
            raise UsageError(f"{model.name} speaks {model.transport} and takes no {strange[0]}.")
    return model


def check_runnable(model: Model) -> None:
    """Raise UsageError when this interpreter is too old for a model, or lacks what it needs."""
    if sys.version_info < model.python:
        oldest = ".".join(map(str, model.python))
        raise UsageError(f"{model.name} needs Python {oldest}; this is {sys.version.split()[0]}.")
    for name in model.needs:
        if find_spec(name) is None:
            raise UsageError(f"{model.name} needs {name}, which this interpreter does not find.")


def number(name: str, value: str) -> int:
    """Return the number that an option's value stands for."""
    allowed = NUMBERS[name]
    # int() itself refuses thousands of digits, in other words.
    is_number = value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS
    if not is_number or int(value) not in allowed:
        raise UsageError(f"{name} must be {allowed[0]} to {allowed[-1]}, not {value[:80]!r}.")
    return int(value)


def seconds(name: str, options: dict[str, str]) -> float:
    """Return the duration that an option asks for, or its default."""
    value = options.get(name, str(SECONDS[name]))
    try:
        asked = float(value)
    except ValueError:
        asked = -1
    if asked != 0 and not LEAST_SECONDS <= asked <= MOST_SECONDS:
        bounds = f"{LEAST_SECONDS} to {MOST_SECONDS} seconds, or 0 for none"
        raise UsageError(f"{name} must be {bounds}, not {value!r}.")
    return asked


def switch_interval(value: str) -> float:
    """Return the seconds that a thread may keep the GIL for while others wait."""
    try:
        asked = float(value)
    except ValueError:
        asked = -1
    if not LEAST_SWITCH_SECONDS <= asked <= MOST_SWITCH_SECONDS:
        bounds = f"{LEAST_SWITCH_SECONDS:.6f} to {MOST_SWITCH_SECONDS:g} seconds"
        raise UsageError(f"{SWITCH} must be {bounds}, not {value!r}.")
    return asked


def ready_line(model: Model, listener: Any, workers: int) -> str:
    """Return the announcement that the server can be talked to."""
    host, port = listener.getsockname()[:2]
    values = {
        "ready": "true",
        "model": quoted(model.name),
        "host": quoted(host),
        "port": str(port),
        "transport": quoted(model.transport),
        "pid": str(os.getpid()),
        "workers": str(workers),
        "implementation": quoted(sys.implementation.name),
        "python": quoted(sys.version.split()[0]),
        "free_threaded": JSON["t" in getattr(sys, "abiflags", "")],
        "gil": JSON[has_gil()],
        "jit": JSON[has_jit()],
        "switch_interval": str(sys.getswitchinterval()),
    }
    return json_object(values)


def last_line() -> str:
    """Return what a server says when it ends: an import may have switched the GIL back on."""
    values = {"ended": "true", "gil": JSON[has_gil()], "jit": JSON[has_jit()]}
    return json_object(values)


def json_object(values: dict[str, str]) -> str:
    """Return an object as JSON has it, of values that are written already."""
    return "{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}"


def quoted(text: str) -> str:
    """Return a text as JSON has it, in ASCII."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = [high << 8 | low for high, low in zip(units[::2], units[1::2], strict=True)]
    plain = (chr(code) if chr(code) in UNESCAPED else f"\\u{code:04x}" for code in codes)
    return '"' + "".join(plain) + '"'


def has_gil() -> bool:
    """Whether this interpreter runs one thread at a time."""
    is_enabled = getattr(sys, "_is_gil_enabled", None)  # since 3.13; all before that have one
    return is_enabled is None or is_enabled()


def has_jit() -> bool | None:
    """Whether this interpreter compiles what it runs; None where it does not say."""
    if "pypyjit" in sys.builtin_module_names:
        return True
    jit = getattr(sys, "_jit", None)  # since 3.14
    return None if jit is None else jit.is_enabled()


if __name__ == "__main__":
    have_standard_descriptors()
    sys.stderr = StandardError()
    sys.exit(main(sys.argv[1:]))
