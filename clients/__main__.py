"""`python -m clients HOST:PORT`: one load on one server, and its figures; usable alone.

A first word `get`, `put` or `list` means the file client, `clients.transfer.commands`, instead.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from clients import address
from clients.load import REQUEST_KINDS, Load

if TYPE_CHECKING:
    from clients.tally import Tally

INTERVALS = 50
"""Steps of the time axis."""
LIMITING_SHARE = 0.9
"""Of a core: a generator that used more may have been what limited the result (docs/method.md)."""

EXAMPLES = """
Examples:

  python -m clients 127.0.0.1:4000 --connections 64 --size 1024 --seconds 5

  python -m clients 127.0.0.1:4000 --session 1 --json        (a connection per request)

  python -m clients 127.0.0.1:4000 --rate 5000 --arrivals poisson   (an open loop)

  python -m clients 127.0.0.1:7 --framing rawecho --size 512  (any echo server)

Files: python -m clients get, put and list move files; each has its own --help.
"""

FILE_COMMANDS = {"get", "put", "list"}


def load_server(
    target: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The server.")],
    connections: Annotated[int, typer.Option(help="Connections at a time.")] = 64,
    depth: Annotated[int, typer.Option(help="Requests outstanding on each connection.")] = 1,
    session: Annotated[
        int, typer.Option(help="Requests in a connection's life; 0: it lives for the run.")
    ] = 0,
    kind: Annotated[str, typer.Option(help=f"Request: {', '.join(REQUEST_KINDS)}.")] = "ECHO",
    size: Annotated[
        int, typer.Option(help="Bytes of payload in a request, or of the file of a GET or PUT.")
    ] = 64,
    argument: Annotated[int, typer.Option(help="Rounds of COMPUTE, microseconds of WAIT.")] = 0,
    framing: Annotated[
        str, typer.Option(help="frames, or rawecho: SIZE bytes out, the same bytes back.")
    ] = "frames",
    length_prefix: Annotated[
        int, typer.Option(help="rawecho: of the SIZE bytes, the first N say how many follow.")
    ] = 0,
    rate: Annotated[
        float, typer.Option(help="Open loop: requests due per second; 0: a closed loop.")
    ] = 0.0,
    arrivals: Annotated[str, typer.Option(help="Of an open loop: uniform or poisson.")] = "uniform",
    seed: Annotated[int, typer.Option(help="Of Poisson arrivals.")] = 0,
    spin: Annotated[
        bool, typer.Option("--spin", help="Never sleep: with a CPU to itself, send on time.")
    ] = False,
    idle: Annotated[
        int, typer.Option(help="Further connections, which make one request and then keep quiet.")
    ] = 0,
    threads: Annotated[int, typer.Option(help="Threads of the load engine.")] = 1,
    seconds: Annotated[float, typer.Option(help="The measured window.", min=0.001)] = 5.0,
    warm_up: Annotated[float, typer.Option(help="Seconds of load before it.", min=0)] = 0.5,
    drain: Annotated[float, typer.Option(help="Seconds for late answers after it.", min=0)] = 1.0,
    timeout: Annotated[float, typer.Option(help="Seconds until a request counts as lost.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Load a server, verify every byte, and print what came back."""
    try:
        host, port = _address(target)
        load = Load(
            host=host,
            port=port,
            connections=connections,
            depth=depth,
            session=session,
            kind=kind.upper(),
            size=size,
            argument=argument,
            framing=framing,
            length_prefix=length_prefix,
            rate=rate,
            arrivals=arrivals,
            seed=seed,
            spin=spin,
            idle=idle,
            threads=threads,
            request_timeout_seconds=timeout,
        )
    except ValueError as error:
        _stop(f"{error}.", code=2)
    tally = _drive(load, seconds, warm_up, drain)
    print(json.dumps(tally.to_json()) if as_json else _report(target, load, tally))
    if not tally.requests:
        _stop(f"{target} answered nothing.", code=1)


def _drive(load: Load, seconds: float, warm_up: float, drain: float) -> Tally:
    # Here, because the file commands need neither, and not numpy with its threads.
    from clients.engine.driver import Engine
    from clients.tally import Tally

    engine = Engine(load)
    try:
        engine.open()
        if warm_up:
            engine.warm_up(warm_up)
        engine.measure(seconds, seconds / INTERVALS)
        engine.drain(drain)
        return Tally.from_raw(engine.tally())
    finally:
        engine.close()


def _address(target: str) -> tuple[str, int]:
    host, port = address.split(target)
    if ":" in host:
        raise ValueError(f"the load engine speaks IPv4 only, and {host} is an IPv6 address")
    try:
        return socket.gethostbyname(host), port
    except (OSError, UnicodeError) as error:  # UnicodeError: no host can have this name
        reason = getattr(error, "strerror", None) or "it is no name of a host"
        raise ValueError(f"no IPv4 address for {host!r}: {reason}") from error


def _report(target: str, load: Load, tally: Tally) -> str:
    figures = tally.to_json()
    cpu = tally.generator_cpu_seconds
    cores = cpu / tally.seconds
    request = load.kind if load.framing == "frames" else load.framing
    errors = [f"{count:,} {kind}" for kind, count in tally.errors.items() if count]
    generator = [f"{cores:.2f} cores"]
    if tally.requests:
        generator.append(f"{cpu / tally.requests * 1e6:.1f} us per request")
    if load.spin:
        generator.append("spinning")
    elif cores > LIMITING_SHARE * load.threads:
        generator.append("it may have been the limit")
    lines = {
        "load": f"{target}, {load.connections} x {load.depth} {request} of {load.size:,} B,"
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


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] and sys.argv[1] in FILE_COMMANDS:
        from clients.transfer import commands as files

        files.app(prog_name="python -m clients")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(epilog=EXAMPLES)(load_server)
    app()


if __name__ == "__main__":
    main()
