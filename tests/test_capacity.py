"""The search for a capacity, on servers that exist in the test's mind only; then once for real."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable
from functools import partial

import pytest
from rich.console import Console

from bench.capacity.climb import Answer, CutShort, search
from bench.capacity.promise import Promise
from bench.capacity.search import MOST_RATES, Found, Search
from bench.capacity.text import capacity_table
from bench.measure.placement import allowed_cpus
from bench.plan.order import cells
from bench.plan.precision import QuantityError
from bench.plan.scenarios import SCENARIOS
from reports.histogram import Histogram
from reports.record import Sample
from servers.catalog import find
from tests.runs import changed, make_sample


def hunt(kept: Callable[[float], bool], start: float = 1_000.0, floor: float = 10.0) -> Found:
    """Search a made-up server to the end."""
    found = Search(start, floor)
    while found.rate:
        found.tried(kept(found.rate))
    return found.found()


@pytest.mark.parametrize("capacity", [60.0, 999.0, 1_000.0, 1_700.0, 123_456.0])
def test_the_search_brackets_a_capacity_wherever_it_begins(capacity: float) -> None:
    found = hunt(lambda rate: rate <= capacity)
    assert found.low == found.rate <= capacity < found.high
    assert found.high / found.rate <= 1.05


def test_the_search_takes_few_trials() -> None:
    assert hunt(lambda rate: rate <= 1_100.0).trials <= 16


def test_a_single_disturbed_trial_decides_nothing_but_widens_the_interval() -> None:
    trials = []

    def kept(rate: float) -> bool:
        trials.append(rate)
        return rate <= 1_100.0 and len(trials) != 2

    found = hunt(kept)
    assert 1_040.0 < found.rate <= 1_100.0
    assert found.low < 1_000.0  # a trial broke at the very first rate
    assert found.high <= 1_160.0


def noisily(noisy: random.Random, rate: float) -> bool:
    """A server of 1,100/s whose trials scatter by a tenth."""
    return rate * noisy.lognormvariate(0, 0.1) <= 1_100.0


def test_a_noisy_server_still_ends_the_search_within_its_interval() -> None:
    for seed in range(50):
        noisy = random.Random(seed)  # noqa: S311  # noise that repeats, not a secret
        found = hunt(partial(noisily, noisy))
        assert found.low <= found.rate <= found.high
        assert 700 < found.rate < 1_700


def test_a_promise_that_no_rate_keeps_is_given_up_at_the_floor() -> None:
    found = hunt(lambda _: False)
    assert (found.rate, found.low) == (0.0, 0.0)
    assert 10.0 <= found.high < 10 * 1.6**2


def test_a_server_without_limit_does_not_keep_the_search_forever() -> None:
    found = hunt(lambda _: True)
    assert math.isinf(found.high)
    assert found.trials == 2 * MOST_RATES


def test_a_promise_is_read_with_its_unit() -> None:
    assert Promise.parse("p99=20ms") == Promise("p99", 0.02)
    assert Promise.parse("p999=500us") == Promise("p999", 0.0005)
    assert Promise.parse("p50=1.5s").limit_seconds == 1.5
    assert Promise.parse("p99=1s").least_requests == 1_000


@pytest.mark.parametrize("text", ["", "p99", "p98=1ms", "p99=20", "p99=0ms", "p99=-1ms", "99=1ms"])
def test_what_is_no_promise_is_refused(text: str) -> None:
    with pytest.raises(QuantityError):
        Promise.parse(text)


def trial_at(latency_ns: int, requests: int = 3_000) -> Sample:
    sample = make_sample("echo", "thread")
    return changed(
        sample,
        rate=5_000.0,
        seconds=0.6,
        requests=requests,
        answered=Histogram.of([latency_ns] * requests),
    )


def test_a_promise_is_kept_or_broken_by_the_percentile_the_rate_and_what_is_unfinished() -> None:
    promise = Promise.parse("p99=20ms")
    assert promise.broken_by(trial_at(19_000_000)) == ""
    assert promise.broken_by(trial_at(21_000_000)) == "p99 21 ms"
    assert promise.broken_by(trial_at(1_000_000, requests=2_900)) == "4,833/s answered"
    late = trial_at(1_000_000)
    assert promise.broken_by(changed(late, errors={"unfinished": 3})) == "3 unfinished"
    assert promise.broken_by(changed(late, failure="it died\nwith a word")) == "it died"


def test_a_percentile_that_so_few_requests_cannot_tell_keeps_no_promise() -> None:
    few = changed(trial_at(1_000_000, requests=600), rate=1_000.0)
    assert "too few requests" in Promise.parse("p99=20ms").broken_by(few)


def test_models_take_turns_and_a_model_that_starves_connections_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trials are made up: `thread` breaks above 2,000/s, `serial` always does."""
    turns = []

    def measure(trial: object, *_: object) -> Sample:
        cell = trial.cell  # type: ignore[attr-defined]
        rate = cell.scenario.load.rate
        turns.append((cell.model.name, rate))
        sample = changed(trial_at(1_000_000 if rate <= 2_000 else 90_000_000), rate=rate or 1.0)
        if cell.model.name == "serial":
            sample = changed(sample, errors={"unfinished": 63})
        return changed(sample, requests=round((rate or 2_500) * sample.tally.seconds))

    monkeypatch.setattr("bench.capacity.climb.measure", measure)
    monkeypatch.setattr("bench.run.conduct.measure", measure)
    paired = cells([find("thread"), find("serial")], [SCENARIOS["echo"]])
    said: list[str] = []
    best, worst = search(paired, Promise.parse("p99=20ms"), allowed_cpus(), said.append)
    assert best.cell.model.name == "thread"
    assert 1_900 < best.found.rate <= 2_000 < best.found.high
    assert best.broken_by == "p99 90 ms"
    assert (worst.found.rate, worst.broken_by) == (0.0, "63 unfinished")
    assert [name for name, rate in turns if rate][:4] == ["thread", "serial"] * 2
    assert len(said) == len(turns)
    assert best.to_json()["scenario"] == "echo"


def test_a_search_that_is_interrupted_gives_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = iter(range(4))

    def measure(trial: object, *_: object) -> Sample:
        rate = trial.cell.scenario.load.rate  # type: ignore[attr-defined]
        if rate and next(trials, None) is None:
            raise KeyboardInterrupt
        sample = changed(trial_at(1_000_000), rate=rate or 1.0)
        return changed(sample, requests=round((rate or 2_500) * sample.tally.seconds))

    monkeypatch.setattr("bench.capacity.climb.measure", measure)
    monkeypatch.setattr("bench.run.conduct.measure", measure)
    paired = cells([find("thread")], [SCENARIOS["echo"]])
    with pytest.raises(CutShort) as cut:
        search(paired, Promise.parse("p99=20ms"), allowed_cpus(), str)
    (answer,) = cut.value.answers
    assert answer.found.trials == 4
    assert answer.found.rate > 0


def test_the_table_says_of_each_model_its_rate_its_interval_and_what_broke_it() -> None:
    thread, serial = cells([find("thread"), find("serial")], [SCENARIOS["echo"]])
    answers = [
        Answer(thread, Found(2_000.0, 1_900.0, 2_100.0, 9), "p99 21 ms", 12.34),
        Answer(serial, Found(0.0, 0.0, math.inf, 4), "63 unfinished", 0.0),
    ]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(capacity_table(answers, "echo", "p99=20ms"))
    title, _, *rows = console.export_text().splitlines()
    assert title.strip() == "echo: the most requests/s at p99=20ms"
    assert [row.split() for row in rows] == [
        ["thread", "2,000", "1,900", "to", "2,100", "12.3", "9", "p99", "21", "ms"],
        ["serial", "none", "0", "to", "?", "0.0", "4", "63", "unfinished"],
    ]
