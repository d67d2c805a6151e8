"""A server's command line: what it says, refuses and imports, and that it outlives nobody."""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measure import meter
from servers.__main__ import UsageError, check_runnable
from servers.catalog import MODELS, UnknownModel, find
from servers.protocol import ECHO, ERROR
from tests.commands import servers_in_process
from tests.conftest import DEADLINE_SECONDS, StartServer, environment_of, eventually, workers_of
from tests.flow import Flow
from tests.peer import Peer
from tests.rows import ALL_RUNNABLE

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
NAMES = [model.name for model in ALL_RUNNABLE]
POOLS = [model.name for model in ALL_RUNNABLE if model.workers]
ONE_OF_EACH_FAMILY = {model.family: model.name for model in reversed(ALL_RUNNABLE)}.values()
CLIENTS: dict[str, type[Peer | Flow]] = {"tcp": Peer, "udp": Flow}


def servers(
    *arguments: str, environment: dict[str, str] = ENVIRONMENT
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "servers", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


# The catalogue.


def test_no_two_models_have_one_name() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS)


def test_every_model_file_is_in_the_catalogue() -> None:
    files = {path.stem for path in (ROOT / "servers" / "models").glob("[a-z]*.py")}
    assert {model.module for model in MODELS} == files


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownModel, match="did you mean 'thread'") as caught:
        find("thred")
    assert caught.value.nearest == "thread"


# What it says.


@pytest.mark.parametrize("name", NAMES)
def test_the_ready_line_says_where_and_who(start_server: StartServer, name: str) -> None:
    server = start_server(name, *workers_of(name, 2))
    assert server.ready == {
        "ready": True,
        "model": name,
        "host": "127.0.0.1",
        "port": server.port,
        "transport": find(name).transport,
        "pid": server.pid,
        "workers": 2 if find(name).workers else 0,
        "implementation": sys.implementation.name,
        "python": platform.python_version(),
        "free_threaded": "t" in getattr(sys, "abiflags", ""),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "jit": sys._jit.is_enabled() if hasattr(sys, "_jit") else None,
        "switch_interval": sys.getswitchinterval(),
    }
    with CLIENTS[find(name).transport](server.port) as client:
        assert client.ask(ECHO, 1, b"hi") == (ECHO + 128, 1, b"hi")


@pytest.mark.parametrize("name", POOLS)
def test_the_workers_of_a_pool_run_before_the_ready_line(
    start_server: StartServer, name: str
) -> None:
    server = start_server(name, "--workers", "5")
    main, *others = meter.tree(server.pid)
    workers = server.children()
    children = [each for each in others if each.pid in workers]
    in_children = sum(child.threads - 1 for child in children)
    assert 5 in {len(children), main.threads - 1, in_children}  # whichever they are


def test_help_has_the_models_and_examples() -> None:
    done = servers_in_process("--help")
    assert done.returncode == 0
    assert all(f"  {model.name} " in done.stdout for model in MODELS)
    assert "Examples:" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 80


def test_the_limit_is_the_one_asked_for(start_server: StartServer) -> None:
    server = start_server("serial", "--limit=10")
    with server.peer() as peer:
        assert peer.ask(ECHO, 1, b"x" * 10)[0] == ECHO + 128
        assert peer.ask(ECHO, 1, b"x" * 11)[0] == ERROR


# What it refuses.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["thred"], "did you mean 'thread'?", id="a model misspelt"),
        pytest.param(["zzz"], "serial, thread,", id="no such model"),
        pytest.param([], "Name one model", id="no model"),
        pytest.param(["thread", "process"], "Name one model", id="two models"),
        pytest.param(["serial", "--prot", "1"], "no option --prot", id="an option misspelt"),
        pytest.param(["serial", "--port"], "--port needs a value", id="no value"),
        pytest.param(["serial", "--port", "65536"], "0 to 65535, not '65536'", id="out of range"),
        pytest.param(["serial", "--port", "9" * 5000], "0 to 65535", id="thousands of digits"),
        pytest.param(["serial", "--max-upload", "-1"], "0 to 9223372036854775807", id="negative"),
        pytest.param(["serial", "--max-uploads-at-once", "1001"], "0 to 1000", id="many uploads"),
        pytest.param(["serial", "--port", "http"], "0 to 65535, not 'http'", id="not a number"),
        pytest.param(["serial", "--workers", "2"], "not a pool", id="workers without a pool"),
        pytest.param(
            ["udp", "--root", "."], "udp speaks udp and takes no --root", id="files over datagrams"
        ),
        pytest.param(
            ["serial", "--receive-buffer", "9"],
            "speaks tcp and takes",
            id="a socket's of datagrams",
        ),
        pytest.param(["thread-pool", "--workers", "0"], "1 to", id="a pool without workers"),
        pytest.param(
            ["serial", "--idle-timeout", "0.0000001"],
            "0.01 to 86400 seconds, or 0 for none, not '0.0000001'",
            id="a timeout too small to be kept",
        ),
        pytest.param(["serial", "--root", "/no/such"], "No such file or directory.", id="no root"),
        pytest.param(["serial", "--root", "/dev/null"], "Not a directory.", id="a root no folder"),
        pytest.param(["serial", "--exec", "a=b"], "--exec must be NAME=/PATH", id="no program"),
        pytest.param(
            ["serial", "--exec=a=/b", "--exec", "a=/c"],
            "--exec must not name a command twice.",
            id="a command twice",
        ),
        pytest.param(["udp", "--exec", "a=/b"], "takes no --exec.", id="commands by datagram"),
    ],
)
def test_a_bad_command_line_gets_one_sentence(arguments: list[str], sentence: str) -> None:
    done = servers_in_process(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_busy_port_gets_one_sentence() -> None:
    name = NAMES[0]  # the port is taken before any model has a say
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = servers(name, "--port", str(port))
    assert done.returncode == 1
    assert done.stderr == f"Cannot listen on 127.0.0.1 port {port}: Address already in use.\n"


# What it imports.

HEAVY = {
    "argparse",
    "asyncio",
    "concurrent.futures",
    "dataclasses",
    "difflib",
    "hashlib",
    "inspect",
    "json",
    "logging",
    "multiprocessing",
    "socketserver",
    "subprocess",
    "threading",
    "typing",
}
"""What a server must not load unless its model is built on it."""

FUTURES = {"concurrent.futures", "logging", "threading"}
LOOP = FUTURES | {"asyncio", "inspect", "subprocess", "typing"}
BUILT_ON = {
    "thread": {"threading"},
    **{name: {"socketserver", "threading"} for name in ("socketserver", "forking")},
    "thread-pool": FUTURES,
    **{
        name: FUTURES | {"multiprocessing", "subprocess"}
        for name in ("process-pool", "process-pool-spawn", "process-pool-forkserver")
    },
    **dict.fromkeys(("asyncio", "prefork-asyncio", "thread-loops", "asyncio-threads"), LOOP),
    "asyncio-processes": LOOP | {"multiprocessing"},
    **dict.fromkeys(("asyncio-protocol", "asyncio-buffered", "asyncio-sock"), LOOP),
    "prethread": {"threading"},
    "udp-socketserver": {"socketserver", "threading"},
    "udp-thread-pool": FUTURES,
    "udp-asyncio": LOOP,
}
"""What else a model of ours may import; what a library brings along is its own affair."""


SERVE_AND_LIST_MODULES = """
import sys
from servers.__main__ import main
main(sys.argv[1:])
print(*sys.modules)
"""


def imported_by(name: str, *arguments: str) -> set[str]:
    """Return the modules that a server has imported when it ends."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", SERVE_AND_LIST_MODULES, name, *arguments],
        env=environment_of(name),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert json.loads(process.stdout.readline())["ready"]
            process.terminate()
            output, _ = process.communicate(timeout=DEADLINE_SECONDS)
        finally:
            process.kill()
    return set(output.split())


@pytest.mark.parametrize("name", NAMES)
def test_a_server_imports_its_own_model_and_nothing_else(name: str) -> None:
    imported = imported_by(name, *workers_of(name, 2))
    assert not {"servers.files", "servers.usage"} & imported
    if not find(name).needs:
        assert imported & HEAVY <= BUILT_ON.get(name, set())
    row = find(name)  # which may build on the file of another model
    assert {each for each in imported if each.startswith("servers.models.")} == {
        f"servers.models.{each}" for each in (row.module, dict(row.options).get("model")) if each
    }


def test_a_server_with_a_root_imports_what_files_need_and_no_more(tmp_path: Path) -> None:
    imported = imported_by("serial", "--root", str(tmp_path))
    assert imported & HEAVY == {"hashlib", "json"}


def test_a_server_with_commands_imports_what_starts_them_and_no_other_does() -> None:
    imported = imported_by("serial", "--exec", "true=/bin/true")
    assert imported & HEAVY - {"threading"} == {"hashlib", "json", "subprocess"}
    assert "servers.drivers.running" in imported
    for without in (imported_by("serial"), imported_by("thread")):
        assert not without & {"subprocess", "servers.commands", "servers.drivers.running"}


# Whom it outlives.

PARENT = """
import subprocess, sys, time
server = subprocess.Popen(
    [sys.executable, "-S", "-m", "servers", *sys.argv[1:], "--watch-stdin"],
    stdin=subprocess.PIPE,
)
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_server_does_not_outlive_a_parent_that_was_killed(name: str) -> None:
    """The server is in its parent's session and group at first, and must leave the group."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, name],
        env=environment_of(name),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with parent:
        try:
            assert parent.stdout
            lines = sorted(parent.stdout.readline() for _ in range(2))
            pid, ready = int(lines[0]), json.loads(lines[1])
            with CLIENTS[find(name).transport](ready["port"]) as client:
                assert client.ask(ECHO, 1)
                assert pid in meter.running(parent.pid)
                parent.kill()
                assert eventually(lambda: not meter.running(parent.pid))
        finally:
            parent.kill()


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_a_server_whose_standard_input_is_over_at_its_start_ends(name: str) -> None:
    done = servers(name, "--watch-stdin", environment=environment_of(name))
    assert done.returncode == -signal.SIGIO
    assert done.stdout == ""


# What a model lacks.


@pytest.mark.parametrize(
    ("lacking", "sentence"),
    [
        ({"needs": ("no_such_library",)}, "serial needs no_such_library, which"),
        ({"python": (9, 9)}, "serial needs Python 9.9; this is"),
    ],
)
def test_a_model_that_cannot_run_here_is_one_sentence(
    lacking: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        check_runnable(find("serial")._replace(**lacking))
