"""The command line of the load engine, and the engine in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clients.engine.generator import Generator, GeneratorError
from clients.load import ERROR_KINDS, AimedLoad
from tests import scripted
from tests.commands import clients_in_process


def clients(*arguments: str, descriptors: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m clients`, with a limit on its descriptors if one is given."""
    command = [sys.executable, "-m", "clients", *arguments]
    if descriptors is not None:
        command = ["/bin/sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_json_has_the_names_that_others_rely_on() -> None:
    with scripted.scripted_server(scripted.echo) as port:
        done = clients(
            f"127.0.0.1:{port}", "--connections", "3", "--size", "1024",
            "--seconds", "0.2", "--warm-up", "0.05", "--json",
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["requests"] > 0
    assert result["seconds"] == pytest.approx(0.2)
    assert result["throughput"] == pytest.approx(result["requests"] / result["seconds"])
    assert result["errors"] == dict.fromkeys(ERROR_KINDS, 0)
    assert {"mean", "p50", "p90", "p99", "p999", "max"} <= set(result["latency_ns"])
    assert result["connections"] == {
        "offered": 3,
        "served": 3,
        "jain": pytest.approx(1, abs=0.5),
    }
    assert result["generator_cpu_seconds"] > 0


def test_an_open_loop_has_response_service_and_send_lag_in_its_json() -> None:
    with scripted.scripted_server(scripted.echo) as port:
        done = clients(
            f"127.0.0.1:{port}", "--rate", "1000", "--arrivals", "poisson", "--spin",
            "--seconds", "0.2", "--warm-up", "0", "--json",
        )  # fmt: skip
    result = json.loads(done.stdout)
    assert result["rate"] == 1000
    assert result["latency_ns"] == result["response_ns"]
    assert result["service_ns"]["mean"] <= result["response_ns"]["mean"]
    assert result["send_lag_ns"]["mean"] >= 0


def test_the_readable_result_fits_80_columns_and_says_what_was_asked_and_what_came() -> None:
    with scripted.scripted_server(scripted.echo) as port:
        done = clients(f"127.0.0.1:{port}", "--connections", "3", "--seconds", "0.2")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "3 x 1 ECHO of 64 B" in done.stdout
    assert "3 of 3 served" in done.stdout
    assert "requests/s" in done.stdout


def test_a_host_name_is_looked_up() -> None:
    with scripted.scripted_server(scripted.echo) as port:
        done = clients_in_process(f"localhost:{port}", "--seconds", "0.05", "--warm-up", "0")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "'nowhere' is not of the form HOST:PORT"),
        (["127.0.0.1:99999"], "port must be 1 to 65535"),
        (["[::1]:4000"], "the load engine speaks IPv4 only"),
        (["127.0.0.1:1", "--connections", "0"], "connections must be 1 to"),
        (["127.0.0.1:1", "--kind", "SING"], "kind must be one of ECHO"),
        (["127.0.0.1:1", "--framing", "rawecho", "--size", "0"], "rawecho needs a size"),
        (["127.0.0.1:1", "--length-prefix", "2"], "belongs to the rawecho framing"),
    ],
)
def test_a_load_that_cannot_be_is_refused_in_one_sentence(
    arguments: list[str], sentence: str
) -> None:
    done = clients_in_process(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_on_which_nobody_listens_is_said_before_any_load_is_tried() -> None:
    done = clients_in_process("127.0.0.1:1", "--seconds", "5")
    assert done.returncode == 1
    assert done.stderr == "clients: nobody listens on 127.0.0.1:1: the connection was refused.\n"
    assert not done.stdout


def test_a_server_that_answers_nothing_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        words = ("--connections", "1", "--seconds", "0.05", "--warm-up", "0", "--drain", "0")
        done = clients_in_process(where, *words)
    assert done.returncode == 1
    assert "answered nothing" in done.stderr
    assert "unfinished" in done.stdout


def test_running_out_of_descriptors_counts_under_its_own_name() -> None:
    with scripted.scripted_server(scripted.echo) as port:
        done = clients(
            f"127.0.0.1:{port}", "--connections", "40", "--seconds", "0.1", "--json", descriptors=30
        )
    result = json.loads(done.stdout)
    assert result["errors"]["no_descriptors"] > 0
    assert 0 < result["connections"]["served"] < 30


def test_the_generator_is_pinned_and_gives_a_tally() -> None:
    cpu = min(os.sched_getaffinity(0))
    with scripted.scripted_server(scripted.echo) as port, Generator([cpu]) as generator:
        generator.open(AimedLoad(port=port, connections=2))
        assert os.sched_getaffinity(generator.pid) == {cpu}
        generator.warm_up(0.05)
        generator.measure(0.1, 0.05)
        generator.drain(1.0)
        tally = generator.tally()
        generator.close()
    assert tally.requests == sum(tally.interval_requests) > 0
    assert not Path(f"/proc/{generator.pid}").exists()


def test_a_generator_that_dies_is_an_error_that_says_so() -> None:
    with Generator(os.sched_getaffinity(0)) as generator:
        os.kill(generator.pid, signal.SIGKILL)
        with pytest.raises(GeneratorError, match="ended"):
            generator.open(AimedLoad(port=1, connections=1))


def test_a_phase_before_open_is_an_error_and_the_generator_lives() -> None:
    with Generator(os.sched_getaffinity(0)) as generator:
        with pytest.raises(GeneratorError, match="no phase 'measure'"):
            generator.measure(0.1, 0.1)
        generator.open(AimedLoad(port=1, connections=1))


def test_a_generator_ends_with_the_process_that_started_it() -> None:
    script = (
        "import os, time\n"
        "from clients.engine.generator import Generator\n"
        "from clients.load import AimedLoad\n"
        "with Generator(os.sched_getaffinity(0)) as generator:\n"
        "    generator.open(AimedLoad(port=1, connections=1))\n"
        "    print(generator.pid, flush=True)\n"
        "    generator.measure(60.0, 1.0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as conductor:
        assert conductor.stdout is not None
        pid = int(conductor.stdout.readline())
        conductor.kill()
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline, f"process {pid} outlived its conductor"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    """Whether the process exists and is not a zombie that nobody has reaped yet."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
