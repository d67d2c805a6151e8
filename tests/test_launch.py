"""A server is started, awaited and stopped so that nothing of it is left, whatever it does."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from bench.gate.worktree import copy_servers
from bench.measure import launch, meter
from bench.measure.launch import Server, ServerDied, command, import_path
from clients.probe import Probe
from reports.serving import Serving
from servers.catalog import MODELS, find
from tests.conftest import ROOT

CPUS = sorted(os.sched_getaffinity(0))
READY = 'print(\'{"ready": true, "host": "127.0.0.1", "port": 1}\', flush=True)\n'

# Blocked before the ready line and then waited for: a handler could be run just before the script
# goes to sleep, and not end it.
UNTIL_SIGTERM = (
    "signal.pthread_sigmask(signal.SIG_BLOCK, [15])\n" + READY + "signal.sigwait([15])\n"
)

Scripted = Callable[[str], Server]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Return a function that makes a Server of a Python script instead of a model."""

    def make(script: str) -> Server:
        line = [sys.executable, "-S", "-c", "import os, signal, sys, time\n" + script]
        monkeypatch.setattr(launch, "command", lambda *_: line)
        return Server(MODELS[0], cpus=CPUS)

    return make


def live(server: Server, end: Callable[[Server], None] = lambda _: None) -> None:
    """Take a server from its start to its end, with `end` in between."""
    with server:
        server.wait_until_answering()
        end(server)


def kill(server: Server) -> None:
    os.kill(server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)


def start_and_stop(server: Server) -> None:
    """Take a server that only prints its ready line from its start to its end."""
    with server:
        server._first_line()


def test_a_server_answers_on_its_cpus_and_leaves_nothing_behind() -> None:
    with Server(find("thread"), cpus=CPUS[:1]) as server:
        server.wait_until_answering()
        assert os.sched_getaffinity(server.pid) == set(CPUS[:1])
        assert 0 < server.ready_seconds <= server.first_answer_seconds
        with Probe(server.host, server.port) as probe:
            probe.echo(b"again")
        server.check_alive()
    assert meter.running(server.pid) == []
    assert os.sched_getaffinity(0) == set(CPUS)


def test_a_pool_gets_its_workers_and_all_of_them_end() -> None:
    with Server(find("process-pool"), Serving(workers=3), cpus=CPUS) as server:
        server.wait_until_answering()
        assert meter.footprint(server.pid).processes >= 4
    assert meter.running(server.pid) == []


def test_only_a_model_that_needs_a_distribution_finds_what_is_installed(tmp_path: Path) -> None:
    look = "import importlib.util, sys; print(bool(importlib.util.find_spec('psutil')), sys.flags)"
    for needs, found in (((), "False"), (("psutil",), "True")):
        model = MODELS[0]._replace(needs=needs)
        asked = subprocess.run(
            [*takewhile(lambda word: word != "-m", command(model, Serving())), "-c", look],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": import_path(model, tmp_path)},
            check=True,
            capture_output=True,
            text=True,
        )
        assert asked.stdout.startswith(found)
        assert "no_site=1" in asked.stdout


NEEDY = """
import psutil
from servers.models import thread

def serve_with(listener, service, ready, *, said):
    import sys
    print("site" in sys.modules, psutil.__name__, said, file=sys.stderr)
    thread.serve(listener, service, ready)
"""


def test_a_row_over_a_library_serves_by_its_entry_with_its_options_and_without_site(
    tmp_path: Path,
) -> None:
    copy_servers(ROOT, tmp_path)
    (tmp_path / "servers" / "models" / "needy.py").write_text(NEEDY)
    catalog = tmp_path / "servers" / "catalog.py"
    row = "'needy', '', 'threads', 'needy', 'serve_with', (('said', 7),), needs=('psutil',)"
    head, rows, tail = catalog.read_text().partition("MODELS: tuple[Model, ...] = (")
    catalog.write_text(f"{head}{rows}Model({row}),{tail}")
    model = MODELS[0]._replace(name="needy", module="needy", needs=("psutil",))
    with Server(model, cpus=CPUS, home=tmp_path) as server:
        server.wait_until_answering()
        assert server._with_last_words("").endswith("False psutil 7")


def test_only_a_pool_is_told_a_size() -> None:
    assert "--workers" not in command(find("thread"), Serving())
    assert command(find("thread-pool"), Serving(workers=8))[-2:] == ["--workers", "8"]


def test_a_server_that_dies_at_its_start_shows_its_last_words(scripted: Scripted) -> None:
    with pytest.raises(ServerDied, match=r"(?s)died at its start \(exit code 1\).*no such thing"):
        live(scripted("sys.exit('no such thing')"))


def test_a_server_that_is_never_ready_is_given_up_and_stopped(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "READY_SECONDS", 0.05)
    server = scripted("sys.stdin.read()")
    with pytest.raises(ServerDied, match="not ready after"):
        live(server)
    assert meter.running(server.pid) == []


SAYS = {"implementation": "pypy", "python": "3.11.13", "gil": True, "jit": True}


@pytest.mark.parametrize("says", [SAYS, {"gil": False}, {}], ids=["all", "a part", "an older one"])
def test_what_a_ready_line_says_of_the_interpreter_is_kept(
    scripted: Scripted, says: dict[str, Any]
) -> None:
    line = json.dumps({"ready": True, "host": "127.0.0.1", "port": 1, "pid": 7, **says})
    server = scripted(f"print({line!r}, flush=True); sys.stdin.read()")
    with pytest.raises(ServerDied, match="no first answer"):  # there is nothing at its port
        live(server)
    assert server.identity() == says


def test_a_server_that_says_something_else_first_is_not_ready(scripted: Scripted) -> None:
    with pytest.raises(ServerDied, match="no ready line: b'hello"):
        live(scripted("print('hello', flush=True); sys.stdin.read()"))


def test_a_server_that_is_not_where_it_says_has_no_first_answer(scripted: Scripted) -> None:
    with pytest.raises(ServerDied, match=r"no first answer: .*refused"):
        live(scripted(READY + "sys.stdin.read()"))


def test_a_server_that_is_killed_is_found_dead_and_what_it_left_is_killed() -> None:
    server = Server(find("process-pool"), Serving(workers=2), cpus=CPUS)
    with pytest.raises(ServerDied, match=r"the server died \(SIGKILL\)"):
        live(server, kill)
    assert meter.running(server.pid) == []


def test_a_dead_server_is_told_while_it_should_run() -> None:
    def kill_and_check(server: Server) -> None:
        server.check_alive()
        kill(server)
        with pytest.raises(ServerDied, match=r"the server died \(SIGKILL\)"):
            server.check_alive()

    with pytest.raises(ServerDied):
        live(Server(find("serial"), cpus=CPUS), kill_and_check)


def test_a_server_that_ignores_sigterm_is_killed_and_reported(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "STOP_SECONDS", 0.1)
    server = scripted("signal.signal(15, signal.SIG_IGN)\n" + READY + "time.sleep(60)")
    with pytest.raises(ServerDied, match=r"still ran 0\.1 s after SIGTERM"):
        start_and_stop(server)
    assert meter.running(server.pid) == []


def test_a_server_that_misses_a_sigterm_gets_another(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "REPEAT_SECONDS", 0.05)
    server = scripted(UNTIL_SIGTERM + "signal.sigwait([15])")
    start_and_stop(server)
    assert meter.running(server.pid) == []


def test_a_server_that_ends_on_sigterm_with_a_failure_is_reported(scripted: Scripted) -> None:
    with pytest.raises(ServerDied, match=r"(?s)SIGTERM ended the server with exit code 1.*cannot"):
        start_and_stop(scripted(UNTIL_SIGTERM + "sys.exit('cannot')"))


def test_a_process_that_a_server_leaves_behind_is_killed_and_reported(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "GROUP_SECONDS", 0.05)
    server = scripted("if not os.fork(): time.sleep(60)\n" + UNTIL_SIGTERM)
    with pytest.raises(ServerDied, match="left 1 of its processes behind"):
        start_and_stop(server)
    assert meter.running(server.pid) == []


def test_an_error_under_way_is_not_hidden_by_how_the_server_ends(scripted: Scripted) -> None:
    with pytest.raises(KeyboardInterrupt), scripted("sys.exit(1)"):
        raise KeyboardInterrupt


def test_a_server_does_not_outlive_a_conductor_that_is_killed() -> None:
    conductor = (
        "import os, signal\n"
        "from bench.measure.launch import Server\n"
        "from servers.catalog import find\n"
        "from reports.serving import Serving\n"
        f"server = Server(find('process-pool'), Serving(workers=2), cpus={CPUS}).__enter__()\n"
        "server.wait_until_answering()\n"
        "print(server.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # Its output goes on a pipe that the server does not hold, so the end of the output comes.
    line = [sys.executable, "-c", conductor]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    await_end(int(done.stdout))


def await_end(root: int) -> None:
    """Wait, by the kernel's own notice, until each process of a tree has ended."""
    for pid in meter.running(root):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:  # just now
            continue
        try:
            assert select.select([descriptor], [], [], 10)[0], f"{pid} still runs"
        finally:
            os.close(descriptor)
    assert meter.running(root) == []
