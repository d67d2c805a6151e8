"""What a server's whole process tree has used, and what it holds.

The rules are those of docs/method.md, "CPU and memory".

`settle` reads the tree at an edge of the window, `usage` subtracts two such readings, `footprint`
weighs its memory. `/proc` is read directly: psutil opens each file again for each figure, tells
no reaped children's faults, and counts the context switches of a process's first thread only.

CPU
    A process's CPU clock is exact to the nanosecond and lives until the process is reaped; what
    it used is then in its parent's `cutime` and `cstime`, of which `/proc` shows ticks of 10 ms.
    The tree's CPU is the clocks of its processes plus those ticks: children that came and went
    are in it, and only they are rounded, to a tick or two per parent.
    The tree must stand still while it is read, or a child would be counted twice or never when it
    is reaped between two files. So it is read until two readings agree.
    User and system are told apart by ticks alone; their proportion is laid on the exact total.
Switches
    The kernel shows them per thread, and forgets them with the thread. Those of threads and
    children that ended inside the window are not in the figure: under churn it is a lower bound.
The tree
    The children of the server and theirs, and everything in the server's session: a worker whose
    parent died belongs to it still.
"""

from __future__ import annotations

__all__ = [
    "Footprint",
    "Reading",
    "Usage",
    "connections",
    "footprint",
    "running",
    "settle",
    "usage",
]

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

NS = 1_000_000_000
TICK_NS = NS // os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS = 0.25
"""How long a tree may take to stand still before it is read as it is."""

PROC = Path("/proc")


class Process(NamedTuple):
    """The fields of /proc/PID/stat that are needed here."""

    pid: int
    state: str
    parent: int
    session: int
    minor_faults: int  # this and the next two with those of reaped children
    user_ticks: int
    system_ticks: int
    reaped_ticks: int  # user and system, of reaped children
    threads: int


def parse_stat(line: str) -> Process:
    """Read one /proc/PID/stat; the command's name may hold blanks and brackets."""
    pid, _, rest = line.partition(" (")
    state, *numbers = rest[rest.rindex(")") + 2 :].split()
    field = [int(number) for number in numbers]  # field[n] is the manual's field n + 4
    user, system, reaped_user, reaped_system = field[10:14]
    return Process(
        pid=int(pid),
        state=state,
        parent=field[0],
        session=field[2],
        minor_faults=field[6] + field[7],
        user_ticks=user + reaped_user,
        system_ticks=system + reaped_system,
        reaped_ticks=reaped_user + reaped_system,
        threads=field[16],
    )


def tree_of(root: int, processes: Iterable[Process]) -> list[Process]:
    """Return the processes in the session of `root` and all its descendants, `root` included."""
    children = defaultdict(list)
    members = {}
    for process in processes:
        children[process.parent].append(process)
        if root in (process.pid, process.session):
            members[process.pid] = process
    unvisited = list(members)
    while unvisited:
        for child in children[unvisited.pop()]:
            if child.pid not in members:
                members[child.pid] = child
                unvisited.append(child.pid)
    return sorted(members.values())


def tree(root: int) -> list[Process]:
    """Return the tree of `root` as it is now, zombies included; empty when it is gone."""
    return tree_of(root, _processes())


def running(root: int) -> list[int]:
    """Return the ids of what still runs in the tree of `root`: a zombie does not."""
    return [process.pid for process in tree(root) if process.state not in "ZX"]


def _processes() -> Iterable[Process]:
    for name in os.listdir(PROC):  # noqa: PTH208  # 100 paths a reading, at the window's edge
        if name.isdigit():
            try:
                line = _read(f"/proc/{name}/stat")
            except (FileNotFoundError, ProcessLookupError):  # it ended since it was listed
                continue
            yield parse_stat(line)


def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 8192).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


class Switches(NamedTuple):
    """Context switches of one thread since it began."""

    voluntary: int
    involuntary: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A tree at one moment; every figure counts from its processes' start."""

    processes: list[Process]
    clocks_ns: Mapping[int, int]  # CPU by process id
    switches: Mapping[int, Switches]  # by thread id

    @property
    def cpu_ns(self) -> int:
        """CPU of the tree, reaped children included."""
        reaped_ticks = sum(process.reaped_ticks for process in self.processes)
        return sum(self.clocks_ns.values()) + reaped_ticks * TICK_NS


def settle(root: int, still_seconds: float = 0.001) -> Reading:
    """Read the tree of `root` once nothing in it has moved for `still_seconds`.

    A tree that does not come to rest within SETTLE_SECONDS is read as it is then.
    """
    deadline = time.monotonic() + SETTLE_SECONDS + still_seconds
    before: tuple[list[Process], dict[int, int]] | None = None
    while True:
        processes = tree(root)
        now = (processes, _clocks_ns(processes))
        if now == before or time.monotonic() > deadline:
            return Reading(*now, switches=_switches(processes))
        before = now
        time.sleep(still_seconds)


def _clocks_ns(processes: Iterable[Process]) -> dict[int, int]:
    clocks = {}
    for process in processes:
        try:
            # The clock id that clock_getcpuclockid(3) makes: CPUCLOCK_SCHED is 2.
            clocks[process.pid] = time.clock_gettime_ns((~process.pid << 3) | 2)
        except OSError:  # reaped since it was listed
            continue
    return clocks


def _switches(processes: Iterable[Process]) -> dict[int, Switches]:
    switches = {}
    for process in processes:
        tasks = f"/proc/{process.pid}/task"
        try:
            for task in os.listdir(tasks):  # noqa: PTH208  # as in _processes
                # The last two lines of the file: "voluntary_ctxt_switches:\t12" and its like.
                lines = _read(f"{tasks}/{task}/status").splitlines()[-2:]
                switches[int(task)] = Switches(*(int(line.split()[1]) for line in lines))
        except (FileNotFoundError, ProcessLookupError):  # ended since it was listed
            continue
    return switches


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree used between two readings."""

    user_seconds: float
    system_seconds: float
    voluntary_switches: int
    involuntary_switches: int
    minor_faults: int

    @property
    def cpu_seconds(self) -> float:
        """User and system together: the exact figure, of which the two are shares."""
        return self.user_seconds + self.system_seconds


def usage(before: Reading, after: Reading) -> Usage:
    """Subtract two readings of one tree. Pure."""

    def grown(name: str) -> int:
        start, end = (
            sum(int(getattr(process, name)) for process in reading.processes)
            for reading in (before, after)
        )
        return max(0, end - start)

    user, system = grown("user_ticks"), grown("system_ticks")
    seconds = max(0, after.cpu_ns - before.cpu_ns) / NS
    system_seconds = seconds * system / ((user + system) or 1)
    unborn = Switches(0, 0)
    pairs = [(before.switches.get(task, unborn), end) for task, end in after.switches.items()]
    return Usage(
        user_seconds=seconds - system_seconds,
        system_seconds=system_seconds,
        voluntary_switches=sum(end.voluntary - start.voluntary for start, end in pairs),
        involuntary_switches=sum(end.involuntary - start.involuntary for start, end in pairs),
        minor_faults=grown("minor_faults"),
    )


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a tree holds at one moment."""

    pss_bytes: int  # each shared page counts in full once over all that share it
    processes: int
    threads: int
    descriptors: int


def footprint(root: int) -> Footprint:
    """Weigh the tree of `root`. It takes some 0.1 ms per process: never inside the window."""
    processes = [process for process in tree(root) if process.state not in "ZX"]
    return Footprint(
        pss_bytes=sum(_pss_bytes(process.pid) for process in processes),
        processes=len(processes),
        threads=sum(process.threads for process in processes),
        descriptors=sum(_descriptors(process.pid) for process in processes),
    )


ESTABLISHED = "01"
"""The state of a connection that is open, in /proc/net/tcp."""
NETWORK = Path("/proc/net/tcp"), Path("/proc/net/tcp6")


def connections(root: int) -> list[int]:
    """Return how many TCP connections each process of a tree holds, ascending.

    The root is left out where it holds none and is not alone: it hands them to the others. A
    process that has only just been started to help (multiprocessing's) counts like a worker.
    """
    tables = (path.read_text() for path in NETWORK if path.exists())
    rows = (line.split() for table in tables for line in table.splitlines()[1:])
    held = {f"socket:[{row[9]}]" for row in rows if row[3] == ESTABLISHED}
    counts = {pid: sum(each in held for each in _targets(pid)) for pid in running(root)}
    if len(counts) > 1 and not counts.get(root):
        counts.pop(root, None)
    return sorted(counts.values())


def _targets(pid: int) -> Iterator[str]:
    """Yield what the descriptors of a process stand for; nothing once it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                yield str(descriptor.readlink())


def _pss_bytes(pid: int) -> int:
    try:
        rollup = _read(f"/proc/{pid}/smaps_rollup")
    except (FileNotFoundError, ProcessLookupError):  # it ended since it was listed
        return 0
    lines = (line.split() for line in rollup.splitlines() if line.startswith("Pss:"))
    return sum(int(kibibytes) * 1024 for _, kibibytes, _ in lines)


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # as in _processes
    except (FileNotFoundError, ProcessLookupError):  # it ended since it was listed
        return 0
