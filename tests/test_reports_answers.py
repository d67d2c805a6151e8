"""Who is first, by how much, and which model for which need, on figures computed by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reports.cells.answers import NEEDS, Lead, Recommendation
from reports.cells.report import report_of
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
    assert found.ahead == "too few trials to tell"


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
