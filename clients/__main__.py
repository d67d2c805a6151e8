"""`python -m clients HOST:PORT`: one load on one server, and its figures; usable alone.

A first word `get`, `put` or `list` means the file client, `clients.transfer.commands`, instead, and
`exec` has a server run one of its commands, `clients.transfer.execution`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, NoReturn, get_type_hints

import typer

from clients import address
from clients.load import REQUEST_KINDS, AimedLoad
from clients.probe import Probe
from reports.load import Load
from reports.tally import Tally

INTERVALS = 50
"""Steps of the time axis."""
LIMITING_SHARE = 0.9
"""Of a core: a generator that used more may have been what limited the result (docs/method.md)."""

SERVED_SECONDS = 1.0
"""How long the end of the connection that comes before a load is waited for."""

EXAMPLES = """
Examples:

  python -m clients 127.0.0.1:4000 --connections 64 --size 1024 --seconds 5

  python -m clients 127.0.0.1:4000 --session 1 --json        (a connection per request)

  python -m clients 127.0.0.1:4000 --rate 5000 --arrivals poisson   (an open loop)

  python -m clients 127.0.0.1:7 --framing rawecho --size 512  (any echo server)

  python -m clients 127.0.0.1:4000 --transport udp --flows 64 --timeout 0.5   (datagrams)

Files: python -m clients get, put and list move files; exec runs one of the server's commands. Each
has its own --help.
"""

FILE_COMMANDS = {"get", "put", "list"}
EXEC_COMMAND = "exec"


def load_server(
    target: str, seconds: float, warm_up: float, drain: float, as_json: bool, **fields: Any
) -> None:
    """Load a server, verify every byte, and print what came back."""
    try:
        host, port = _address(target)
        load = AimedLoad(host=host, port=port, **fields | {"kind": fields["kind"].upper()})
    except ValueError as error:
        _stop(f"{error}.", code=2)
    if not _listens(load):
        _stop(f"nobody listens on {target}: the connection was refused.", code=1)
    tally = _drive(load, seconds, warm_up, drain)
    print(json.dumps(figures_of(tally, load)) if as_json else _report(target, load, tally))
    if not tally.requests:
        _stop(f"{target} answered nothing.", code=1)


def _listens(load: AimedLoad) -> bool:
    """Whether a first connection is not refused, which a load would only count, to its end.

    Whatever else is wrong with a server shows, and is counted, under load.
    """
    if load.transport != "tcp":
        return True
    try:
        socket.create_connection((load.host, load.port), load.connect_timeout_seconds).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        pass  # it may be slow, or out of room: that is what the figures are there to say
    return True


OTHERS: Mapping[str, tuple[object, object]] = {
    "seconds": (Annotated[float, typer.Option(help="Measure so many seconds.", min=0.001)], 5.0),
    "warm_up": (
        Annotated[
            float, typer.Option(help="Load the server for so many seconds before that.", min=0)
        ],
        0.5,
    ),
    "drain": (
        Annotated[
            float, typer.Option(help="Wait so many seconds for late answers after that.", min=0)
        ],
        1.0,
    ),
    "as_json": (Annotated[bool, typer.Option("--json", help="Print one JSON object.")], False),
}
"""The options that are no fields of a load: their types and defaults."""


def _command() -> Callable[..., None]:
    """Return `load_server` with the signature that typer reads: every field of a load an option."""
    hints = get_type_hints(Load)
    target = Annotated[str, typer.Argument(metavar="HOST:PORT", help="Load this server.")]
    options = {
        **{
            each.name: (Annotated[hints[each.name], _option(each)], each.default)
            for each in dataclasses.fields(Load)
        },
        **OTHERS,
    }
    named = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("target", named, annotation=target),
        *(
            inspect.Parameter(name, named, default=default, annotation=annotation)
            for name, (annotation, default) in options.items()
        ),
    ]

    @functools.wraps(load_server)
    def command(**values: Any) -> None:
        load_server(**values)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _option(field: dataclasses.Field[Any]) -> Any:
    """Return the command line's option for a field of a load."""
    words = field.metadata["words"]
    if field.name == "kind":
        words += f"{', '.join(REQUEST_KINDS)}."
    name = field.metadata["option"] or f"--{field.name.replace('_', '-')}"
    return typer.Option(*filter(None, (name, field.metadata["alias"])), help=words)


def _be_served(load: AimedLoad) -> None:
    """Open a connection and end it, so that what is measured is a server that has served."""
    if load.transport == "tcp":
        with (
            suppress(OSError),
            Probe(load.host, load.port, timeout_seconds=SERVED_SECONDS) as probe,
        ):
            probe.end()  # of one that cannot be reached the load itself will tell


def _drive(load: AimedLoad, seconds: float, warm_up: float, drain: float) -> Tally:
    _be_served(load)
    if load.engine_processes > 1:
        return _drive_beside(load, seconds, warm_up, drain)
    from clients.engine.driver import Engine  # the file commands need none, and no numpy

    engine = Engine(load)
    try:
        engine.open()
        if warm_up:
            engine.warm_up(warm_up)
        engine.measure(seconds, seconds / INTERVALS)
        engine.drain(drain)
        raw = engine.tally()
    finally:
        engine.close()
    return Tally.from_raw(raw)  # which imports numpy, when there are descriptors for it again


def _drive_beside(load: AimedLoad, seconds: float, warm_up: float, drain: float) -> Tally:
    """Do the same with the engine in processes of its own."""
    from clients.engine.generator import Generator

    with Generator(os.sched_getaffinity(0)) as generator:
        generator.open(load)
        if warm_up:
            generator.warm_up(warm_up)
        generator.measure(seconds, seconds / INTERVALS)
        generator.drain(drain)
        tally = generator.tally()
        generator.close()
    return tally


def _address(target: str) -> tuple[str, int]:
    host, port = address.split(target)
    if ":" in host:
        raise ValueError(f"the load engine speaks IPv4 only, and {host} is an IPv6 address")
    try:
        return socket.gethostbyname(host), port
    except (OSError, UnicodeError) as error:  # UnicodeError: no host can have this name
        reason = getattr(error, "strerror", None) or "it is no name of a host"
        raise ValueError(f"no IPv4 address for {host!r}: {reason}") from error


def figures_of(tally: Tally, load: Load) -> dict[str, Any]:
    """Return the figures under the names that users of `python -m clients --json` rely on."""
    from reports.histogram import Histogram, summarize  # with numpy, as above

    latency = summarize(tally.answered, tally.unanswered)
    open_loop = {
        "rate": load.rate,
        "response_ns": latency,
        "service_ns": summarize(tally.services, Histogram()),
        "send_lag_ns": summarize(tally.send_lags, Histogram()),
    }
    return {
        "requests": tally.requests,
        "seconds": tally.seconds,
        "throughput": tally.throughput,
        "errors": dict(tally.errors),
        "latency_ns": latency,
        **(open_loop if load.rate else {}),
        "connect_ns": summarize(tally.connecting, Histogram()),
        "connect_retries": tally.connect_retries,
        "open_seconds": tally.open_seconds,
        **({"company_requests": tally.company_requests} if load.company else {}),
        "connections": {
            "offered": len(tally.requests_per_connection),
            "served": tally.served,
            "jain": tally.jain(),
        },
        "generator_cpu_seconds": tally.generator_cpu_seconds,
    }


def _report(target: str, load: Load, tally: Tally) -> str:
    figures = figures_of(tally, load)
    cpu = tally.generator_cpu_seconds
    cores = cpu / tally.seconds
    request = load.kind if load.framing == "frames" else load.framing
    errors = [f"{count:,} {kind}" for kind, count in tally.troubles.items()]
    generator = [f"{cores:.2f} cores"]
    if tally.requests:
        generator.append(f"{cpu / tally.requests * 1e6:.1f} us per request")
    if load.spin:
        generator.append("spinning")
    elif cores > LIMITING_SHARE * load.engine_threads:
        generator.append("it may have been the limit")
    lines = {
        "load": f"{target}, {load.connections} x {load.depth} {request} of {load.size_bytes:,} B,"
        f" {tally.seconds:g} s" + (f", {load.rate:g}/s due, {load.arrivals}" if load.rate else ""),
        "throughput": f"{tally.throughput:,.0f} requests/s",
        **(
            {
                "response": _durations(figures["response_ns"]),
                "service": _durations(figures["service_ns"]),
                "send lag": _durations(figures["send_lag_ns"]),
            }
            if load.rate
            else {"latency": _durations(figures["latency_ns"])}
        ),
        "connects": _durations(figures["connect_ns"]),
        "connections": f"{tally.served:,} of {load.connections:,} served,"
        f" Jain's index {tally.jain():.3f}",
        "errors": ", ".join(errors) or "none",
        "generator": ", ".join(generator),
    }
    return "\n".join(f"{name:12} {text}" for name, text in lines.items())


def _durations(figures: dict[str, Any]) -> str:
    """Return mean, percentiles and maximum in microseconds; those not known are left out."""
    known = [
        f"{name} {'>= ' if figures.get(f'{name}_at_least') else ''}{figure / 1000:,.0f}"
        for name, figure in figures.items()
        if isinstance(figure, float)
    ]
    return f"{'  '.join(known)} us" if known else "none"


def _stop(sentence: str, code: int) -> NoReturn:
    print(f"clients: {sentence}", file=sys.stderr)
    raise typer.Exit(code)


def command_line() -> typer.Typer:
    """Return the command, with every field of a load among its options."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(epilog=EXAMPLES)(_command())
    return app


def main() -> None:
    """Run it, or the file client's."""
    if sys.argv[1:2] and sys.argv[1] in FILE_COMMANDS:
        from clients.transfer import commands as files

        files.app(prog_name="python -m clients")
    if sys.argv[1:2] == [EXEC_COMMAND]:
        from clients.transfer import execution

        execution.app(prog_name="python -m clients")
    command_line()()


if __name__ == "__main__":
    main()
