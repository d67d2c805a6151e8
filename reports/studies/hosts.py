"""Across hosts: who was what, what lay between them, and what the network is in a figure."""

from __future__ import annotations

__all__ = ["NAME", "section"]

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from reports.cells.report import Report
from reports.cells.workload import Cell, Workload
from reports.metrics import CPU, P50, P99, Metric
from reports.record import Sample
from reports.stats import ratio_interval
from reports.studies.section import Row, Section, Table, cell_at, listed
from reports.topology import GeneratorHost
from reports.units import DASH, MISSING, duration, number, percent

NAME = "hosts"
NS_PER_US = 1e3

Twin = tuple[Workload, Workload]
"""The same load over loopback, at the server's host, and over the network."""


def section(report: Report) -> Section | None:
    """Return what the run found; None when all of it was on one machine."""
    topologies = _topologies(report)
    if not topologies:
        return None
    twins = _twins(report)
    tables = [
        table(title, samples)
        for title, samples in topologies.items()
        for table in (_roles, _network)
        if not (table is _network and samples[0].topology.over_loopback)
    ]
    overlaps = [each.topology.overlap for samples in topologies.values() for each in samples]
    return Section(
        name=NAME,
        title="Across hosts",
        asks="Who had which part, and how much of a figure is the network?",
        finding=_finding(topologies, twins),
        tables=(*tables, *(_compared(*each) for each in twins)),
        notes=(
            "Throughput is the sum over the window that all generators have in common; latencies"
            " are those of all requests together, each measured with the clock of one host."
            f" The windows of a trial overlapped by {min(overlaps):.2%} at least.",
            *_shared(topologies),
        ),
    )


def _topologies(report: Report) -> dict[str, list[Sample]]:
    """Return the good trials of every topology, by what it is called, those of a network first."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for workload in report.workloads:
        for cell in workload.cells:
            for trial in cell.trials:
                if trial.sample.topology.server:
                    found[trial.sample.topology.title].append(trial.sample)
    return dict(sorted(found.items(), key=lambda each: each[1][0].topology.over_loopback))


def _twins(report: Report) -> list[Twin]:
    """Return each load that ran both over loopback and over a network."""
    across = [each for each in report.workloads if each.asked.topology.server]
    loopback = [each for each in across if each.asked.topology.over_loopback]
    return [
        (one, other)
        for one in loopback
        for other in across
        if other not in loopback and other.scenario == one.scenario and _same(one, other)
    ]


def _same(one: Workload, other: Workload) -> bool:
    """Whether two levels differ in the network alone, which is one of their words."""
    parts = [part for part in other.level.split(", ") if not part.startswith("over the network")]
    return parts == one.level.split(", ")


def _by_generator(samples: Sequence[Sample]) -> dict[str, list[GeneratorHost]]:
    found: dict[str, list[GeneratorHost]] = defaultdict(list)
    for sample in samples:
        for each in sample.topology.generators:
            found[each.name].append(each)
    return found


def _roles(title: str, samples: Sequence[Sample]) -> Table:
    first = samples[0].topology
    server = Row(
        first.server,
        "",
        (
            "server",
            first.address,
            first.machine,
            _cpus(samples[0].server_cpus),
            *[MISSING] * 7,
        ),
    )
    rows = [server]
    for name, each in _by_generator(samples).items():
        known, last = each[0], each[-1]
        limited = sum(one.limited for one in each)
        p99s = [one.answered.values_at([99])[0] for one in each if one.answered.count]
        rows.append(
            Row(
                name,
                "",
                (
                    "generator",
                    known.address,
                    known.machine,
                    _cpus(known.cpus),
                    f"{known.connections:,}",
                    percent(max(one.busy_share for one in each)),
                    f"{limited} of {len(each)}",
                    duration(statistics.median(p99s) / NS_PER_US) if p99s else MISSING,
                    _us(max(one.late_seconds for one in each)),
                    f"{last.clock_ahead_seconds:+.6f}",
                    f"{_us(max(one.clock_error_seconds for one in each))},"
                    f" {_us(max(abs(one.clock_drift_seconds) for one in each))}",
                ),
            )
        )
    return Table(
        f"{title}: hosts and roles in {len(samples)} trials",
        (
            "Host",
            "Role",
            "Address",
            "Machine",
            "CPUs",
            "Connections",
            "Busy, at most",
            "Trials that it limited",
            "p99, median of trials",
            "Began late, at most",
            "Clock ahead, s",
            "Known to, drift",
        ),
        tuple(rows),
    )


def _network(title: str, samples: Sequence[Sample]) -> Table:
    rows = [
        Row(
            f"{name} → {samples[0].topology.server}",
            "",
            (
                f"{each[0].mtu:,}",
                duration(each[0].round_trip_ns / NS_PER_US),
                duration(each[0].round_trip_least_ns / NS_PER_US),
            ),
        )
        for name, each in _by_generator(samples).items()
    ]
    return Table(
        f"{title}: the network, by one connection to a server that does nothing",
        ("Way", "MTU", "Round trip, p50", "Least"),
        tuple(rows),
    )


def _compared(one: Workload, other: Workload) -> Table:
    """Lay the same cells over loopback and over the network side by side."""
    metrics = (one.headline, P50, P99, one.suited(CPU))
    rows = []
    for cell in one.cells:
        if elsewhere := cell_at(other, cell.subject):
            figures = [
                words
                for metric in metrics
                for words in (cell.write(metric), elsewhere.write(metric))
            ]
            star = "" if cell.ranked and elsewhere.ranked else "*"
            ratio = _ratio(cell, elsewhere, one.headline) + star
            rows.append(Row(cell.subject, cell.model, (*figures, ratio)))
    headings = [
        heading
        for metric in metrics
        for heading in (f"{metric.title}: loopback", f"network{_unit(metric)}")
    ]
    return Table(
        f"{one.scenario}, {one.level}: over loopback, and {_over(other)}; * not ranked in one of"
        " the two",
        ("Model", *headings, f"{one.headline.title}, network to loopback"),
        tuple(rows),
    )


def _unit(metric: Metric) -> str:
    return f", {metric.unit}" if metric.unit else ""


def _over(workload: Workload) -> str:
    return next(part for part in workload.level.split(", ") if part.startswith("over the network"))


def _ratio(cell: Cell, elsewhere: Cell, metric: Metric) -> str:
    ratio = ratio_interval(elsewhere.by_block(metric), cell.by_block(metric))
    if ratio is None:
        return DASH
    return f"{number(ratio.value)} ({number(ratio.low)} {DASH} {number(ratio.high)})"


def _cpus(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus)) or MISSING


def _us(seconds: float) -> str:
    return duration(seconds * 1e6)


def _finding(topologies: Mapping[str, Sequence[Sample]], twins: Sequence[Twin]) -> str:
    ways = {
        (each.name, sample.topology.network): each.round_trip_ns / NS_PER_US
        for samples in topologies.values()
        for sample in samples
        for each in sample.topology.generators
        if each.round_trip_ns
    }
    pairs = [
        (cell, elsewhere, one.headline)
        for one, other in twins
        for cell in one.cells
        if cell.ranked and (elsewhere := cell_at(other, cell.subject)) and elsewhere.ranked
    ]
    ratios = [
        (found.value, cell.subject, cell.scenario, metric)
        for cell, elsewhere, metric in pairs
        if (found := ratio_interval(elsewhere.by_block(metric), cell.by_block(metric)))
    ]
    words = [f"The network's round trip is {duration(min(ways.values()))} at best"] if ways else []
    if ratios:
        value, subject, scenario, metric = min(ratios)
        words.append(
            f"of what {subject} does over loopback in {scenario} ({metric.title.lower()}) it"
            f" leaves {percent(value)}, which is the least of all"
        )
    elif not words:
        words = [f"The servers ran on {listed({each[0].host for each in topologies.values()})}"]
    return f"{'; '.join(words)}."


def _shared(topologies: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Say which hosts are one machine: what they take of its CPUs they take from each other."""
    for samples in topologies.values():
        topology = samples[0].topology
        machines = [topology.machine, *(each.machine for each in topology.generators)]
        if not topology.over_loopback and len(set(machines)) < len(machines):
            return [
                "Hosts with the same machine share its CPUs (network namespaces, for instance):"
                " what one of them uses the others have not, and more hosts are not more load."
            ]
    return []
