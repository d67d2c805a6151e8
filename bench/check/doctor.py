"""What on this machine will disturb the figures, and what to do about it.

`examine` reads the facts; `findings` is pure and judges them.
"""

from __future__ import annotations

__all__ = ["examine", "findings"]

import os
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.measure.noise import CpuTicks, noise
from bench.measure.null import wake_up_ns
from bench.measure.placement import allowed_cpus

PROC_NET = Path("/proc/sys/net")
IO_URING_DISABLED = Path("/proc/sys/kernel/io_uring_disabled")
GOVERNORS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")

BUSY_SHARE = 0.05  # of one CPU: more than that in one other process is worth a word
STEAL_SHARE = 0.01
DESCRIPTORS = 4_096  # the largest load: 1,000 connections, two ends each, and pools of pipes
BACKLOG = 1_024  # the largest load connects 1,000 at once
DEAR_WAKE_UP = 3.0  # times: across CPUs against on one
IO_URING: Mapping[int | None, str] = {0: "allows all", 1: "allows a group", 2: "allows nobody"}
PORTS = 20_000  # churn uses one a connection; each then rests for a minute unless reused


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found; None where this machine does not say."""

    cpus: int
    governors: Sequence[str]
    load: float  # runnable processes, mean of the last minute
    descriptors: int
    somaxconn: int | None
    cpu_quota: float | None  # CPUs that the container may use; None: no quota
    steal: float  # share of all CPUs
    busy: Sequence[tuple[str, float]]  # other processes: name, share of one CPU
    ports: int | None  # ephemeral
    tcp_tw_reuse: int | None  # 0: off, 1: on, 2: on for loopback
    io_uring_disabled: int | None  # since Linux 6.6; a container may forbid it all the same
    wake_up_ns: Mapping[
        str, float
    ]  # one connection's round trip, by placement (bench.measure.null)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about the machine."""

    severity: str  # "good", "note" (figures stay comparable) or "warning" (they may not)
    topic: str
    sentence: str
    advice: str = ""


def findings(facts: Facts) -> list[Finding]:
    """Judge the facts: one finding a topic, in a fixed order. Pure."""
    rows = (
        # topic, fine?, severity if not, what is so, what to do
        (
            "cores",
            facts.cpus >= 2,
            "warning",
            f"{_count(facts.cpus, 'CPU')} for server and generator",
            "use a machine with at least 2 CPUs: on one, the two sides take turns",
        ),
        (
            "governor",
            set(facts.governors) <= {"performance"},
            "warning",
            f"frequency governor: {', '.join(sorted(set(facts.governors))) or 'none to set'}",
            "set it to 'performance': cpupower frequency-set --governor performance",
        ),
        (
            "load",
            facts.load < 0.5,
            "warning",
            f"load average of the last minute: {facts.load:.2f}",
            "wait until the machine is idle",
        ),
        (
            "busy processes",
            not facts.busy,
            "warning",
            "busy now: " + (", ".join(f"{n} {s:.0%}" for n, s in facts.busy) or "nothing else"),
            "stop them while a run goes on",
        ),
        (
            "steal",
            facts.steal < STEAL_SHARE,
            "warning",
            f"the hypervisor takes {facts.steal:.1%} of the CPUs",
            "use a machine of your own, or compare only trials of one run",
        ),
        (
            "CPU quota",
            facts.cpu_quota is None or facts.cpu_quota >= facts.cpus,
            "warning",
            f"container CPU quota: {'none' if facts.cpu_quota is None else facts.cpu_quota}",
            f"give the container {facts.cpus} CPUs: a throttled server pauses for 0.1 s at a time",
        ),
        (
            "descriptors",
            facts.descriptors >= DESCRIPTORS,
            "warning",
            f"descriptor limit: {facts.descriptors:,}",
            f"raise it: ulimit -n {DESCRIPTORS}",
        ),
        (
            "backlog",
            facts.somaxconn is None or facts.somaxconn >= BACKLOG,
            "note",
            f"listen backlog limit: {_or_unknown(facts.somaxconn)}",
            f"raise it for 1,000 connections: sysctl net.core.somaxconn={BACKLOG}",
        ),
        (
            "ports",
            facts.ports is None or facts.ports >= PORTS,
            "note",
            f"ephemeral ports: {_or_unknown(facts.ports)}",
            "widen the range for churn: sysctl net.ipv4.ip_local_port_range='32768 60999'",
        ),
        (
            "port reuse",
            facts.tcp_tw_reuse != 0,
            "note",
            f"tcp_tw_reuse: {_or_unknown(facts.tcp_tw_reuse)}",
            "let churn reuse ports on loopback: sysctl net.ipv4.tcp_tw_reuse=2",
        ),
        (
            "io_uring",
            True,  # no model here uses it
            "note",
            f"io_uring: the kernel {IO_URING.get(facts.io_uring_disabled, 'does not say')}",
            "",
        ),
        (
            "wake-up",
            _across(facts.wake_up_ns) < DEAR_WAKE_UP,
            "note",
            "a round trip to a server that does nothing takes "
            + ", ".join(f"{ns / 1e3:.0f} us ({name})" for name, ns in facts.wake_up_ns.items()),
            "most of a one-connection latency is then the machine's: compare with --placement same",
        ),
    )
    return [
        Finding("good", topic, sentence) if fine else Finding(severity, topic, sentence, advice)
        for topic, fine, severity, sentence, advice in rows
    ]


def _across(wake_up_ns: Mapping[str, float]) -> float:
    """Return how many times as long a round trip takes across CPUs as on one; 1: not known."""
    return wake_up_ns["split"] / wake_up_ns["same"] if "split" in wake_up_ns else 1.0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _or_unknown(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def examine(seconds: float = 0.5) -> Facts:
    """Read the facts; watches the machine for `seconds` to see what else is busy."""
    others = [each for each in psutil.process_iter(["name"]) if each.pid != os.getpid()]
    before, cpu_before = CpuTicks.now(), _cpu_seconds(others)
    time.sleep(seconds)
    after, cpu_after = CpuTicks.now(), _cpu_seconds(others)
    busy = [
        (process.info["name"], share)
        for process in others
        if (share := (cpu_after.get(process.pid, 0) - cpu_before.get(process.pid, 0)) / seconds)
        > BUSY_SHARE
    ]
    return Facts(
        cpus=len(allowed_cpus()),
        governors=[_word(path) for path in GOVERNORS.glob("cpu[0-9]*/cpufreq/scaling_governor")],
        load=psutil.getloadavg()[0],
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        somaxconn=_number(PROC_NET / "core/somaxconn"),
        cpu_quota=_cpu_quota(CGROUPS, _word(Path("/proc/self/cgroup"))),
        steal=noise(before, after, 0.0).steal,
        busy=sorted(busy, key=lambda row: -row[1])[:5],
        ports=_ports(PROC_NET / "ipv4/ip_local_port_range"),
        tcp_tw_reuse=_number(PROC_NET / "ipv4/tcp_tw_reuse"),
        io_uring_disabled=_number(IO_URING_DISABLED),
        wake_up_ns=wake_up_ns(allowed_cpus()),
    )


def _cpu_seconds(processes: Sequence[psutil.Process]) -> dict[int, float]:
    seconds = {}
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:  # it ended, or is not ours to look at
            continue
        seconds[process.pid] = times.user + times.system
    return seconds


def _word(path: Path) -> str:
    """Return a small file's text; empty where this kernel has no such file."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _word(path)
    return int(text) if text else None


def _ports(path: Path) -> int | None:
    text = _word(path)
    if not text:
        return None
    first, last = map(int, text.split())
    return last - first + 1


def _cpu_quota(cgroups: Path, membership: str) -> float | None:
    """Return how many CPUs our control group may use, by cgroup v2 or v1; None without a limit.

    `membership` is /proc/self/cgroup: lines `number:controllers:path`, without controllers in v2.
    In a container the path may not exist below its own root; then the root's limit counts.
    """
    quotas = []
    for _, controllers, path in (line.split(":", 2) for line in membership.splitlines()):
        for inner in (path.lstrip("/"), "."):
            if not controllers:
                quota, _, period = _word(cgroups / inner / "cpu.max").partition(" ")
            elif "cpu" in controllers.split(","):
                quota = _word(cgroups / "cpu" / inner / "cpu.cfs_quota_us")
                period = _word(cgroups / "cpu" / inner / "cpu.cfs_period_us")
            else:
                continue
            if quota not in {"", "max", "-1"}:
                quotas.append(int(quota) / int(period))
    return min(quotas, default=None)
