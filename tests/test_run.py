"""Trials and runs for real, on windows just long enough to hold answers."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import pytest
from rich.console import Console

from bench.measure import trial
from bench.measure.launch import Server, command
from bench.measure.meter import Usage
from bench.measure.noise import CpuTicks, Noise
from bench.measure.null import ceiling, wake_up_ns
from bench.measure.placement import place
from bench.measure.trial import measure
from bench.measure.window import UNWEIGHED, Window
from bench.plan.order import PlannedCell, PlannedTrial, cells
from bench.plan.precision import widest
from bench.plan.scenarios import SCENARIOS, STUDIES, Scenario, find_profile
from bench.run import conduct as run
from bench.run import session
from bench.run.conduct import RunOutcome, conduct, describe
from bench.run.progress import header, reporter
from bench.run.session import Request
from clients.engine.generator import Generator
from clients.load import ERROR_KINDS, AimedLoad
from reports.key import CellKey
from reports.load import Load
from reports.record import Sample
from reports.serving import USUAL, Serving
from reports.store import RunFolder, Store
from reports.tally import Tally
from servers.catalog import Model, find
from servers.protocol import HEADER
from tests.rows import RUNNABLE

CPUS = sorted(os.sched_getaffinity(0))
SHORT = dataclasses.replace(
    find_profile("quick"),
    warm_up_seconds=0.03,
    window_seconds=0.1,
    drain_seconds=0.1,
    ceiling_seconds=0.0,
)


def trial_of(model: str, scenario: str = "echo") -> PlannedTrial:
    return PlannedTrial(cells([find(model)], [SCENARIOS[scenario]])[0], block=1)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    record = describe(find_profile("quick"), ["thread"], seed=1)
    return Store(tmp_path / "runs").create(record)


class Record:
    """A reporter that keeps what it is told, and may act on it."""

    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self.samples: list[Sample] = []
        self._act = act

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def finished(self, sample: Sample) -> None:
        self.samples.append(sample)
        self._act()

    def more(self, trials: int) -> None:
        pass


def crash_during(monkeypatch: pytest.MonkeyPatch, phase: str, model: str) -> None:
    """Let the server be killed just before a phase of the generator begins."""
    servers: list[Server] = []
    enter = Server.__enter__

    def remember(server: Server) -> Server:
        servers.append(server)
        return enter(server)

    unharmed = getattr(Generator, phase)

    def crash(generator: Generator, *args: object, **options: object) -> object:
        if model in servers[-1]._command:
            os.kill(servers[-1].pid, signal.SIGKILL)
        return unharmed(generator, *args, **options)

    monkeypatch.setattr(Server, "__enter__", remember)
    monkeypatch.setattr(Generator, phase, crash)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda row: str(row.name))
def test_a_trial_of_every_scenario_holds_all_figures(scenario: Scenario) -> None:
    cell = cells([find("thread")], [scenario])[0]
    sample = measure(PlannedTrial(cell, block=3), SHORT, "a-run", CPUS)
    assert sample.failure == ""
    assert (sample.run, sample.cell.model, sample.block) == ("a-run", "thread", 3)
    assert (sample.cell.scenario, sample.cell.level) == (scenario.name, scenario.level)
    assert sample.tally.seconds == pytest.approx(0.1, rel=0.5)
    assert sample.tally.requests == sum(sample.tally.requests_per_connection) > 0
    assert len(sample.tally.requests_per_connection) == scenario.load.connections
    assert sum(sample.tally.interval_requests) == sample.tally.requests
    assert sample.tally.errors == dict.fromkeys(ERROR_KINDS, 0)
    assert sample.tally.answered.count > 0
    assert sample.server_user_seconds + sample.server_system_seconds > 0
    assert sample.tally.generator_cpu_seconds > 0
    assert sample.minor_faults >= 0
    assert sample.pss_idle_bytes > 0
    assert sample.pss_loaded_bytes > 0
    assert sample.processes == 1
    assert sample.threads >= 1
    assert sample.descriptors > 3
    assert 0 < sample.ready_seconds <= sample.first_answer_seconds
    assert sample.served_before
    assert Sample.from_json(sample.to_json()) == sample


@pytest.mark.parametrize("window_seconds", [0.05, 0.1, 0.6, 1.0, 1.7, 2.0])
def test_the_intervals_of_a_window_are_twelve_and_none_is_a_sliver(window_seconds: float) -> None:
    step = trial.interval_seconds(window_seconds)
    assert window_seconds <= 12 * step < window_seconds + 2e-5
    assert math.ceil(round(window_seconds * 1e9) / round(step * 1e9)) == 12


@pytest.mark.parametrize("model", RUNNABLE, ids=lambda model: str(model.name))
def test_every_model_can_be_measured(model: Model) -> None:
    small = Scenario(name="small", shows="", load=Load(connections=4))
    turn = PlannedTrial(cells([model], [small], workers=4)[0], block=1)
    sample = measure(turn, SHORT, "a-run", CPUS)
    assert sample.failure == ""
    assert sample.tally.requests > 0
    assert sample.serving.workers == (4 if model.workers else 0)


def test_a_pool_of_processes_is_measured_as_a_whole() -> None:
    cell = PlannedCell(find("process-pool"), SCENARIOS["compute"], workers=4)
    sample = measure(PlannedTrial(cell, block=1), SHORT, "a-run", CPUS)
    assert sample.failure == ""
    assert sample.processes >= 5
    # Half of the CPUs' time at least: the requests run in the children, and only there.
    assert sample.server_user_seconds > sample.tally.seconds / 2


@pytest.mark.parametrize("phase", ["open", "warm_up", "measure", "drain"])
def test_a_server_that_dies_in_a_trial_is_a_failed_sample_and_the_run_goes_on(
    phase: str, monkeypatch: pytest.MonkeyPatch, folder: RunFolder
) -> None:
    crash_during(monkeypatch, phase, "serial")
    record = Record()
    outcome = conduct(
        [trial_of("serial"), trial_of("thread")], SHORT, folder, "a-run", record, CPUS
    )
    assert outcome is RunOutcome.FAILED
    first, second = record.samples
    assert "the server died (SIGKILL)" in first.failure
    assert first.ready_seconds > 0  # what was known by then is kept
    assert second.failure == ""
    assert folder.read()[1] == record.samples


def test_a_generator_that_dies_is_a_failed_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    warm_up = Generator.warm_up

    def die(generator: Generator, seconds: float) -> None:
        os.kill(generator.pid, signal.SIGKILL)
        warm_up(generator, seconds)

    monkeypatch.setattr(Generator, "warm_up", die)
    assert "generator" in measure(trial_of("thread"), SHORT, "a-run", CPUS).failure


def test_all_good_trials_make_a_complete_run(folder: RunFolder) -> None:
    trials = [trial_of("thread"), trial_of("asyncio")]
    assert conduct(trials, SHORT, folder, "a-run", Record(), CPUS) is RunOutcome.COMPLETE
    assert [sample.cell.model for sample in folder.read()[1]] == ["thread", "asyncio"]


def test_a_precision_looks_at_what_was_measured_without_reading_the_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(
        profile=dataclasses.replace(SHORT, scenarios=(SCENARIOS["echo"],), blocks=3),
        models=[find("thread")],
        workers=0,
        seed=1,
        cpus=CPUS,
        placement="",
        precision=1e-9,
        budget_seconds=0.001,
    )

    def reread(_: RunFolder) -> NoReturn:
        pytest.fail("the file of the run was read under way")

    console = Console(width=200, record=True, file=io.StringIO())
    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "read", reread)
        folder, outcome = session.run(request, tmp_path / "runs", console)
    assert outcome is RunOutcome.COMPLETE
    width = widest(folder.read()[1])
    assert width.share > 0
    says = f"after 3 blocks the widest interval is ±{width.share:.1%} ({width.cell})"
    assert says in console.export_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_every_finished_trial(
    number: signal.Signals, folder: RunFolder
) -> None:
    record = Record(act=lambda: os.kill(os.getpid(), number))
    trials = [trial_of("thread"), trial_of("asyncio")]
    before = signal.getsignal(number)
    assert conduct(trials, SHORT, folder, "a-run", record, CPUS) is RunOutcome.INTERRUPTED
    assert [sample.cell.model for sample in folder.read()[1]] == ["thread"]
    assert signal.getsignal(number) is before


def test_an_interruption_in_mid_trial_stops_server_and_generator(
    monkeypatch: pytest.MonkeyPatch, folder: RunFolder
) -> None:
    pids: list[int] = []

    def interrupt(generator: Generator, *_: object, **__: object) -> None:
        pids.append(generator.pid)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Generator, "measure", interrupt)
    monkeypatch.setattr(Server, "__exit__", noting(pids, Server.__exit__))
    assert (
        conduct([trial_of("thread")], SHORT, folder, "a-run", Record(), CPUS)
        is RunOutcome.INTERRUPTED
    )
    assert folder.read()[1] == []
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def noting(pids: list[int], leave: Callable[..., None]) -> Callable[..., None]:
    def note(server: Server, *error: object) -> None:
        pids.append(server.pid)
        leave(server, *error)

    return note


def test_a_second_interruption_does_not_cut_the_clearing_up_short() -> None:
    cleared = []
    with contextlib.suppress(KeyboardInterrupt), run.interruptible():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            cleared.append(True)
    assert cleared


def test_an_open_loop_is_recorded_with_its_lags_and_whether_the_generator_span() -> None:
    scenario = SCENARIOS["echo"].loaded(connections=4, rate=500.0)
    sample = measure(PlannedTrial(cells([find("thread")], [scenario])[0], 1), SHORT, "a-run", CPUS)
    assert sample.failure == ""
    assert (sample.load.rate, sample.load.arrivals) == (500.0, "uniform")
    assert sample.load.spin == (len(CPUS) > 1)
    assert sample.tally.send_lags.count == pytest.approx(50, abs=1)
    assert sample.tally.services.count > 0
    shared = measure(
        PlannedTrial(cells([find("thread")], [scenario.served(placement="same")])[0], 1),
        SHORT,
        "a-run",
        CPUS,
    )
    assert not shared.load.spin


def test_a_rung_of_idle_connections_is_measured_while_they_are_open() -> None:
    scenario = STUDIES["connections"][1].loaded(connections=2, idle_connections=20)
    sample = measure(PlannedTrial(cells([find("thread")], [scenario])[0], 1), SHORT, "a-run", CPUS)
    assert (sample.load.idle_connections, sample.tally.idle_served, sample.stopped) == (20, 20, "")
    assert sample.threads >= 22


def test_a_model_that_cannot_hold_a_rung_is_not_sent_up_the_next_and_both_say_so(
    folder: RunFolder,
) -> None:
    rungs = [
        row.loaded(request_timeout_seconds=0.1, connections=1) for row in STUDIES["connections"][:2]
    ]
    trials = [PlannedTrial(cell, 1) for cell in cells([find("serial")], rungs)]
    assert conduct(trials, SHORT, folder, "a-run", Record(), CPUS) is RunOutcome.COMPLETE
    first, second = folder.read()[1]
    assert "idle connections" in first.stopped
    assert first.tally.requests > 0
    assert second.stopped.startswith("not tried: at 10 idle connections")
    assert second.tally.requests == 0


def test_a_backlog_is_passed_to_the_server() -> None:
    assert command(find("thread"), Serving(backlog=5))[-2:] == ["--backlog", "5"]
    assert "--backlog" not in command(find("thread"), Serving())


def test_a_load_has_one_ceiling_a_block_and_every_sample_of_the_block_has_it(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Window] = []

    def made_up(*_: object) -> Window:
        tally = Tally(seconds=1.0, requests=1_000 * (len(measured) + 1))
        now = CpuTicks.now()
        measured.append(Window(tally, Usage(0, 0, 0, 0, 0), UNWEIGHED, (now, now)))
        return measured[-1]

    monkeypatch.setattr(run, "ceiling", made_up)
    paired = cells([find("thread"), find("coroutine")], [SCENARIOS["churn"], SCENARIOS["wait"]])
    trials = [PlannedTrial(cell, block) for block in (1, 2) for cell in paired]
    profile = dataclasses.replace(SHORT, ceiling_seconds=0.1)
    conduct(trials, profile, folder, "a-run", Record(), CPUS)
    ceilings = {
        (sample.cell.scenario, sample.block, sample.ceiling_requests_per_second)
        for sample in folder.read()[1]
    }
    assert ceilings == {
        ("churn", 1, 1_000.0),
        ("churn", 2, 2_000.0),
        ("wait", 1, 0.0),  # what it waits for is no generator's doing
        ("wait", 2, 0.0),
    }
    references = [each for each in folder.read(references=True)[1] if each.cell.is_reference]
    assert [(each.cell.scenario, each.block, each.tally.requests) for each in references] == [
        ("churn", 1, 1_000),
        ("churn", 2, 2_000),
    ]


@pytest.mark.parametrize("name", ["echo", "churn", "bulk"])
def test_the_ceiling_is_the_null_servers_under_the_same_load(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[AimedLoad] = []
    really_open = Generator.open

    def noting(generator: Generator, load: AimedLoad) -> None:
        opened.append(load)
        really_open(generator, load)

    monkeypatch.setattr(Generator, "open", noting)
    asked = SCENARIOS[name].load
    assert ceiling(asked, place("split", CPUS), 0.1).tally.throughput > 0
    [load] = opened
    assert (load.connections, load.depth, load.session) == (
        asked.connections,
        asked.depth,
        asked.session,
    )
    assert (load.framing, load.size_bytes) == ("rawecho", HEADER.size + asked.size_bytes)


def test_a_round_trip_is_measured_on_one_cpu_and_across_two() -> None:
    trips = wake_up_ns(CPUS)
    assert list(trips) == (["same", "split"] if len(CPUS) > 1 else ["same"])
    assert all(nanoseconds > 0 for nanoseconds in trips.values())


def test_a_disturbed_trial_says_so_in_its_line_and_a_quiet_one_does_not() -> None:
    console = Console(file=io.StringIO(), width=80)
    with reporter(console, trials=2) as progress:
        progress.finished(dataclasses.replace(sample_of(), foreign_cpu_share=0.23))
        progress.finished(dataclasses.replace(sample_of(), foreign_cpu_share=0.04))
    disturbed, quiet = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert disturbed.endswith("! 23% foreign CPU")
    assert "!" not in quiet


def test_a_header_says_what_a_wake_up_costs_and_who_is_busy() -> None:
    record = describe(
        find_profile("quick"),
        ["thread"],
        seed=1,
        placement_override="same",
        wake_up_ns={"same": 5_200.0, "split": 98_000.0},
    )
    lines = header(record, 3, 150.0, Noise(foreign=0.4, steal=0.0))
    assert lines[0].startswith("3 trials, about 2 minutes: windows of 0.6 s")
    assert "placement: same" in lines
    assert "a round trip to a server that does nothing: 5 us on one CPU, 98 us across two" in lines
    assert lines[-1].startswith("! 40% foreign CPU")
    assert len(header(record, 3, 150.0, Noise(foreign=0.01, steal=0.0))) == 3


def sample_of(failure: str = "") -> Sample:
    echo = SCENARIOS["echo"]
    return Sample(
        run="a-run",
        cell=CellKey(echo.name, echo.level, "thread"),
        block=1,
        started="",
        failure=failure,
        load=echo.load,
        serving=USUAL,
        server_cpus=[0],
        client_cpus=[1],
        tally=Tally(seconds=0.5, requests=1_000),
    )


def test_progress_is_plain_lines_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), width=80)
    with reporter(console, trials=2) as progress:
        progress.finished(sample_of())
        progress.finished(sample_of(failure="the server died"))
    first, second = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "1/2" in first
    assert "2,000 requests/s" in first
    assert "failed: the server died" in second
    assert "\x1b" not in first + second


def test_a_bar_is_repainted_between_trials_only() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with reporter(console, trials=2) as progress:
        threads = threading.active_count()
        progress.finished(sample_of())
        painted = console.file.getvalue()  # type: ignore[attr-defined]
        assert "1/2" in painted
        assert "left" in painted
        assert threading.active_count() == threads == 1


def test_a_run_says_what_was_asked_and_its_id_sorts_by_time() -> None:
    record = describe(find_profile("full"), ["thread"], seed=5)
    assert record.id.endswith("Z-full")
    assert record.id[:8] == record.started[:10].replace("-", "")
    names = [row.name for row in find_profile("full").scenarios]
    assert record.scenarios == list(dict.fromkeys(names))  # each once, for all its levels
    assert (record.seed, record.blocks, record.window_seconds) == (5, 10, 2.0)
    assert record.machine["python"]
