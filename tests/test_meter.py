"""The meter agrees with the kernel's own account, also of children that came and went."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from bench.measure import meter
from bench.measure.launch import Server
from bench.measure.meter import Process, Reading, Switches, Usage, parse_stat, tree_of, usage
from bench.measure.placement import allowed_cpus
from clients.probe import Probe
from reports.serving import Serving
from servers.catalog import find

STAT = (
    "4242 (a (b) c) S 1 4242 4240 0 -1 4194304 11 22 0 0 101 102 203 204 20 0 7 0 9999 1 1 1"
    " 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0"
)

BURNERS = """
import json, os, resource, sys, time
sys.stdin.readline()
spent = 0.0
def burn():
    end = time.process_time() + 0.02
    while time.process_time() < end: pass
began = time.process_time()
for _ in range(15):
    pids = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            burn()
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        used = os.wait4(pid, 0)[2]
        spent += used.ru_utime + used.ru_stime
print(json.dumps({"cpu": spent + time.process_time() - began}), flush=True)
sys.stdin.read()
"""

SHARERS = """
import os, sys
shared = bytearray(os.urandom(1)) * (32 << 20)
for _ in range(3):
    if not os.fork():
        sys.stdin.read()
        os._exit(0)
print("{}", flush=True)
sys.stdin.read()
for _ in range(3): os.wait()
"""


@contextmanager
def script(text: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python script in a session of its own until the end of its standard input."""
    with subprocess.Popen(
        [sys.executable, "-c", text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]  # it is a pipe


def answer(process: subprocess.Popen[str], line: str = "") -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    return json.loads(process.stdout.readline())


@pytest.mark.quiet
def test_children_that_start_and_end_inside_the_window_agree_with_the_kernels_account() -> None:
    with script(BURNERS) as process:
        before = meter.settle(process.pid)
        kernel_seconds = answer(process, "go\n")["cpu"]
        after = meter.settle(process.pid)
    assert [row.pid for row in after.processes] == [process.pid]  # all children have gone
    assert usage(before, after).cpu_seconds == pytest.approx(kernel_seconds, rel=0.1)
    assert usage(before, after).minor_faults > 30  # a forked child has some of its own


@pytest.mark.quiet
def test_the_process_model_under_churn_agrees_with_the_kernels_account_of_it() -> None:
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Server(find("process"), cpus=allowed_cpus()) as server:
        server.wait_until_answering()
        before = meter.settle(server.pid)
        for _ in range(400):
            with Probe(server.host, server.port) as probe:
                probe.echo(b"x" * 64)
        after = meter.settle(server.pid)
    # The server and all that it reaped have been reaped by this process, and nothing else was.
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    kernel_seconds = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    assert after.cpu_ns / meter.NS == pytest.approx(kernel_seconds, rel=0.1)
    in_window = usage(before, after).cpu_seconds
    assert in_window == pytest.approx(kernel_seconds - before.cpu_ns / meter.NS, rel=0.1)


@pytest.mark.quiet
def test_memory_shared_within_the_tree_counts_once() -> None:
    with script(SHARERS) as process:
        answer(process)
        held = meter.footprint(process.pid)
    assert (held.processes, held.threads) == (4, 4)
    assert held.descriptors >= 4 * 3
    assert 32 << 20 < held.pss_bytes < 2 * 32 << 20


def test_what_has_ended_is_no_error_and_holds_nothing() -> None:
    with script("") as process:
        pass
    assert meter.tree(process.pid) == []
    assert meter.settle(process.pid).cpu_ns == 0
    assert meter.footprint(process.pid) == meter.Footprint(0, 0, 0, 0)


def test_a_process_that_ends_between_listing_and_reading_is_skipped() -> None:
    with script("") as process:
        pass
    gone = parse_stat(STAT)._replace(pid=process.pid)
    assert meter._clocks_ns([gone]) == {}
    assert meter._switches([gone]) == {}
    assert meter._pss_bytes(process.pid) == 0
    assert meter._descriptors(process.pid) == 0


def test_a_zombie_is_in_the_tree_but_does_not_run() -> None:
    zombie = "import os, sys\nif os.fork():\n os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)\n"
    zombie += " print('{}', flush=True)\n sys.stdin.read()\n"
    with script(zombie) as process:
        answer(process)
        assert len(meter.tree(process.pid)) == 2
        assert meter.running(process.pid) == [process.pid]


def test_a_stat_line_is_read_also_when_the_name_holds_brackets() -> None:
    assert parse_stat(STAT) == Process(
        pid=4242,
        state="S",
        parent=1,
        session=4240,
        minor_faults=11 + 22,
        user_ticks=101 + 203,
        system_ticks=102 + 204,
        reaped_ticks=203 + 204,
        threads=7,
    )


def row(pid: int, parent: int, session: int, **figures: int) -> Process:
    zeros = {"minor_faults": 0, "user_ticks": 0, "system_ticks": 0, "reaped_ticks": 0, "threads": 1}
    return Process(pid=pid, state="S", parent=parent, session=session, **(zeros | figures))


def test_the_tree_is_the_session_and_all_descendants() -> None:
    rows = [
        row(10, 1, 10),  # the root
        row(11, 10, 10),  # a child
        row(12, 1, 10),  # an orphan in its session
        row(13, 11, 13),  # a grandchild in a session of its own
        row(14, 13, 13),
        row(20, 1, 20),  # a stranger
        row(21, 20, 20),
    ]
    assert [member.pid for member in tree_of(10, rows)] == [10, 11, 12, 13, 14]


def reading(*rows: Process, clocks: dict[int, int], switches: dict[int, Switches]) -> Reading:
    return Reading(list(rows), clocks, switches)


def test_usage_is_the_clocks_plus_the_reaped_split_as_the_ticks_are() -> None:
    before = reading(
        row(1, 0, 1, user_ticks=10, system_ticks=10, minor_faults=5),
        row(2, 1, 1, user_ticks=1),
        clocks={1: 200_000_000, 2: 14_000_000},
        switches={1: Switches(10, 1), 2: Switches(4, 4)},
    )
    after = reading(  # process 2 was reaped, 3 is new
        row(1, 0, 1, user_ticks=19, system_ticks=11, minor_faults=25, reaped_ticks=2),
        row(3, 1, 1, user_ticks=1, minor_faults=3),
        clocks={1: 280_000_000, 3: 14_000_000},
        switches={1: Switches(15, 3), 3: Switches(2, 0)},
    )
    used = usage(before, after)
    assert used.user_seconds == pytest.approx(0.1 * 9 / 10)
    assert used.system_seconds == pytest.approx(0.1 * 1 / 10)
    assert (used.voluntary_switches, used.involuntary_switches) == (5 + 2, 2)
    assert used.minor_faults == 20 + 3


def test_a_window_in_which_nothing_happened_used_nothing() -> None:
    same = reading(row(1, 0, 1), clocks={1: 5}, switches={1: Switches(1, 1)})
    assert usage(same, same) == Usage(0.0, 0.0, 0, 0, 0)


def test_connections_are_counted_by_the_process_that_holds_them() -> None:
    row = find("prefork-asyncio")
    with Server(row, Serving(workers=2), cpus=allowed_cpus()) as server, ExitStack() as stack:
        server.wait_until_answering()
        for _ in range(9):
            probe = stack.enter_context(Probe(server.host, server.port))
            probe.echo(b"hi")  # it has been accepted
        counts = meter.connections(server.pid)
        assert len(counts) == 2  # the parent, which holds none, is not among them
        assert sum(counts) == 9
        assert counts == sorted(counts)
