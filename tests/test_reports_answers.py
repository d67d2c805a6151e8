"""Who is first, by how much, and which model for which need, on figures computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from reports.cells.answers import NEEDS, Lead, Recommendation
from reports.cells.heat import heat_of
from reports.cells.report import report_of
from reports.histogram import Histogram
from reports.metrics import BANDWIDTH, CPU, P99, PSS_PER_CONNECTION, THROUGHPUT, Metric
from reports.record import Sample
from reports.units import DASH
from tests.runs import changed, make_run, make_sample, standard_run, starved
from tests.test_reports_cells import five, hand_made


def lead_by(metric: Metric, *samples: Sample) -> Lead | None:
    report = report_of(make_run(), samples)
    (workload,) = report.workloads
    return report.answers.lead(workload, metric)


def lead(*samples: Sample) -> Lead:
    found = lead_by(THROUGHPUT, *samples)
    assert found is not None
    return found


def recommended(*samples: Sample) -> Sequence[Recommendation]:
    return report_of(make_run(), samples).answers.recommendations


def test_who_is_ahead_in_every_block_is_first_alone_and_by_a_ratio() -> None:
    found = lead(*five("thread", 20, 22, 24, 26, 28), *five("asyncio", 10, 11, 12, 13, 7))
    assert [cell.model for cell in found.leaders] == ["thread"]
    assert found.ahead == f"2.00 times asyncio (2.00 {DASH} 4.00)"
    assert found.figure == "48.0 requests/s"
    assert found.at_what == "1,667 us CPU per request, 12.0 MiB"


def test_less_is_better_for_cpu_and_is_said_so() -> None:
    found = lead_by(CPU, *five("thread", *[1000] * 5), *five("asyncio", *[500] * 5))
    assert found is not None
    assert found.ahead == f"asyncio has 2.00 times that (2.00 {DASH} 2.00)"


def test_models_that_trade_places_between_blocks_share_the_first_rank() -> None:
    found = lead(*five("thread", 10, 11, 12, 13, 14), *five("asyncio", 11, 10, 13, 12, 15))
    assert [cell.model for cell in found.leaders] == ["asyncio", "thread"]
    assert found.ahead == "not told apart"


def test_a_machine_that_slows_down_does_not_hide_a_difference() -> None:
    """The ranges of the two overlap widely; within each block the one is ahead."""
    found = lead(*five("thread", 100, 80, 60, 40, 22), *five("asyncio", 90, 70, 50, 30, 20))
    assert [cell.model for cell in found.leaders] == ["thread"]


def test_with_fewer_than_five_trials_no_difference_is_claimed() -> None:
    found = lead(*five("thread", 1000), *five("asyncio", 10))
    assert not found.told
    assert found.ahead == "too few trials to tell: 1 of the 5 that it takes"


def test_nobody_is_first_without_a_rival() -> None:
    found = lead(*five("thread", 1000, 1001, 1002, 1003, 1004))
    assert not found.told
    assert found.ahead == "nothing to compare it with"


def test_a_model_of_fewer_trials_than_it_takes_makes_nobody_first() -> None:
    """As in a run that was interrupted: one has five trials, its rival two."""
    found = lead(*five("thread", *[1000] * 5), *five("asyncio", 500, 500))
    assert found.ahead == "too few trials to tell: 2 of the 5 that it takes"


def limited(model: str, *requests: int) -> list[Sample]:
    """Return trials of a generator that had no more to give."""
    return [changed(each, generator_cpu_seconds=0.49) for each in five(model, *requests)]


def test_models_that_the_generator_limited_stand_beside_the_answer_with_the_reason() -> None:
    found = lead(
        *five("thread", *[1000] * 5), *five("asyncio", *[500] * 5),
        *limited("coroutine", *[2000] * 5), *limited("process", *[900] * 5),
        *map(starved, five("serial", *[3000] * 5)),
    )  # fmt: skip
    assert [cell.model for cell in found.leaders] == ["thread"]
    assert found.beyond == "not ranked, at least as fast: coroutine (generator 98% busy)"
    assert found.missing == "left out: serial (1 of 4 served)"


def latencies(model: str, *p99_ms: float) -> list[Sample]:
    return [
        changed(hand_made(model, block), answered=Histogram.of([int(ms * 1e6)] * 2000))
        for block, ms in enumerate(p99_ms)
    ]


def test_order_and_figure_are_of_one_statistic_also_where_medians_would_say_otherwise() -> None:
    """Over trials the median of thread's p99 is lower; of all requests together asyncio's is."""
    found = lead_by(P99, *latencies("thread", 1, 1, 1, 9, 9), *latencies("asyncio", 2, 2, 2, 2, 2))
    assert found is not None
    assert found.best.model == "asyncio"
    assert found.figure == "2.00 ms"
    assert found.ahead == "not told apart"


def test_the_interval_is_that_of_the_comparison_that_decided() -> None:
    """The best median is not told apart from the runner-up; the other leader beats it surely."""
    found = lead(
        *five("thread", 200, 60, 210, 70, 205),
        *five("asyncio", 120, 121, 122, 123, 124),
        *five("process", 100, 100, 100, 100, 100),
    )
    assert [cell.model for cell in found.leaders] == ["thread", "asyncio"]
    assert found.winner is not None
    assert found.winner.model == "asyncio"
    assert found.ratio is not None
    assert found.ratio.low > 1
    assert found.ahead.startswith("asyncio: 1.22 times process (1.20 ")


def waiting(model: str, answers: int, cpu: float) -> list[Sample]:
    """Return trials of 64 connections whose requests wait for 20 ms: 3,200 a second at most."""
    return [
        changed(
            make_sample("wait", model, block), requests=answers + block, seconds=1.0,
            server_user_seconds=cpu, server_system_seconds=0.0,
        )
        for block in range(5)
    ]  # fmt: skip


def test_at_the_ceiling_nobody_is_beaten_and_the_cheapest_comes_first() -> None:
    found = lead(
        *waiting("process", 3190, 0.9),
        *waiting("coroutine", 3150, 0.1),
        *waiting("thread", 900, 0.2),
    )
    assert [cell.model for cell in found.leaders] == ["coroutine", "process"]
    assert found.ahead == "at the ceiling of what was asked for; the order is by CPU"
    assert found.best.verdict.brief == "ceiling 98%"


def test_an_unranked_cell_is_never_first() -> None:
    found = lead(*map(starved, five("serial", 9000)), *five("thread", 10))
    assert found.best.model == "thread"
    assert lead_by(THROUGHPUT, starved(hand_made())) is None


def test_needs_are_answered_from_the_run_or_said_to_be_without_an_answer() -> None:
    found = {row.need.title: row.leads for row in recommended(*standard_run()[1])}
    assert list(found) == [need.title for need in NEEDS]
    shown = {title: [s.workload.scenario for s in rows] for title, rows in found.items()}
    assert shown == {
        "Many idle connections": [],
        "CPU-heavy requests": ["compute"],
        "Requests that wait": ["wait"],
        "Short connections": ["churn"],
        "Big transfers": ["bulk"],
        "Tail latency at a given rate": [],
    }
    assert found["Big transfers"][0].best.model == "coroutine"


@pytest.mark.parametrize(
    ("changes", "title", "metric"),
    [
        ({"idle_connections": 1000}, "Many idle connections", PSS_PER_CONNECTION),
        ({"rate": 500.0}, "Tail latency at a given rate", P99),
        ({"kind": "GET", "size_bytes": 2**20}, "Big transfers", BANDWIDTH),
    ],
)
def test_a_need_is_known_by_the_load_and_not_by_a_scenarios_name(
    changes: dict[str, float | str], title: str, metric: object
) -> None:
    sample = changed(make_sample(), scenario="mine", **changes)
    rows = recommended(sample)
    (shown,) = [row for row in rows if row.leads]
    assert shown.need.title == title
    assert shown.leads[0].metric is metric


def test_models_that_had_rates_of_their_own_are_not_compared() -> None:
    samples = [
        changed(make_sample(model=model), rate=rate)
        for model, rate in (("thread", 100.0), ("asyncio", 50.0))
    ]
    assert not any(row.leads for row in recommended(*samples))


def test_a_run_that_was_interrupted_says_what_is_missing() -> None:
    report = report_of(make_run(["thread", "asyncio"], ["echo", "churn"]), [hand_made()] * 2)
    assert report.shortfall.startswith(
        "This run is not whole: it has 2 of 20 trials and none of churn"
    )
    planned = replace(report.run, options={"planned_trials": 2})
    assert not report_of(planned, [hand_made()] * 2).shortfall


def test_more_than_the_null_server_reaches_is_no_verdict_on_the_generator() -> None:
    """A ceiling that was cut short; a trial without one does not halve it."""
    samples = five("thread", *[1000] * 4)
    samples = [changed(each, ceiling_requests_per_second=1100.0) for each in samples]
    (cell,) = report_of(make_run(), samples).workloads[0].cells
    assert cell.verdict.limit == "unclear"
    assert "2,000 requests/s is more than the null server's 1,100" in str(cell.verdict)
    cut = [changed(samples[0], ceiling_requests_per_second=0.0)] * 2
    found = [changed(each, ceiling_requests_per_second=2050.0) for each in samples[:1]]
    (cell,) = report_of(make_run(), [*cut, *found]).workloads[0].cells
    assert "of the 2,050 requests/s that the null server reaches" in str(cell.verdict)


def test_memory_that_grew_less_than_it_scatters_is_no_figure_below_zero() -> None:
    sample = changed(hand_made(), pss_loaded_bytes=hand_made().pss_idle_bytes - 4096)
    (cell,) = report_of(make_run(), [sample]).workloads[0].cells
    assert cell.write(PSS_PER_CONNECTION) == "below what can be told"


def test_the_heat_table_shades_ties_alike_and_says_why_a_cell_is_not_ranked() -> None:
    samples = [
        *five("thread", 10, 11, 12, 13, 14), *five("asyncio", 11, 10, 13, 12, 15),
        *five("process", 5, 5, 6, 6, 7), *map(starved, five("serial", *[9000] * 5)),
    ]  # fmt: skip
    heat = heat_of(report_of(make_run(), samples), "throughput")
    cells = {row.subject: row.cells[0] for rows in heat.families.values() for row in rows}
    assert list(heat.families) == ["sequential", "threads", "processes", "event loop"]
    assert {name: cell and (cell.relative, cell.shade) for name, cell in cells.items()} == {
        "serial": (DASH, -1), "thread": ("100%", 0), "asyncio": ("100%", 0), "process": ("50%", 3),
    }  # fmt: skip
    assert cells["serial"] is not None
    assert cells["serial"].reason == "1 of 4 served"
