"""The progress of a run: a bar with the time left on a terminal, plain lines anywhere else.

Nothing is drawn while a trial runs. There is no third core for it, so rich's refreshing thread is
off and the bar moves only when a trial has ended.
"""

from __future__ import annotations

__all__ = ["Reporter", "header", "reporter"]

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bench.measure.noise import Noise
from bench.plan.duration import about
from reports.record import Run, Sample


class Reporter(Protocol):
    """Where a run tells how far it is."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""

    def finished(self, sample: Sample) -> None:
        """Show one more trial as done."""

    def more(self, trials: int) -> None:
        """Expect so many more trials."""


def header(run: Run, trials: int, seconds: float, now: Noise) -> list[str]:
    """Return what stands above a run: what it will do, for how long, and on what machine."""
    asked = (
        f"{trials} trials, {about(seconds)}: windows of {run.window_seconds:g} s,"
        f" profile {run.profile}, seed {run.seed}"
    )
    placement = f"placement: {run.placement_override}" if run.placement_override else ""
    trips = [
        f"{nanoseconds / 1000:.0f} us {TRIPS.get(name, name)}"
        for name, nanoseconds in run.wake_up_ns.items()
    ]
    wake_up = f"a round trip to a server that does nothing: {', '.join(trips)}" if trips else ""
    disturbed = now.remark()
    noise = f"{disturbed} before the first trial; the figures will say so" if disturbed else ""
    return [line for line in (asked, placement, wake_up, noise) if line]


TRIPS = {"same": "on one CPU", "split": "across two"}


def remarks(sample: Sample) -> str:
    """Return what a trial's line says besides its figure: who disturbed it, why it stopped."""
    disturbed = Noise(sample.foreign_cpu_share, sample.steal_share).remark()
    return "  ".join(filter(None, (disturbed, sample.stopped)))


def reporter(console: Console, trials: int) -> Reporter:
    """Return what suits the console."""
    return Bar(console, trials) if console.is_terminal else Lines(console, trials)


class Clock:
    """How many trials are done, and how long the rest will take at the pace so far."""

    def __init__(self, trials: int) -> None:
        self.trials = trials
        self.done = 0
        self._started = time.monotonic()

    def more(self, trials: int) -> None:
        """Expect so many more trials."""
        self.trials += trials

    def step(self) -> None:
        """Count one more trial."""
        self.done += 1

    def left(self) -> str:
        """Return the time left in words."""
        elapsed = time.monotonic() - self._started
        seconds = round(elapsed / self.done * (self.trials - self.done)) if self.done else 0
        return f"{seconds // 60}:{seconds % 60:02d} left" if self.done else ""


class Bar:
    """A progress bar; failures scroll by above it."""

    def __init__(self, console: Console, trials: int) -> None:
        self._clock = Clock(trials)
        self._progress = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("[dim]{task.description}"),
            console=console,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=trials, left="")

    def __enter__(self) -> Self:
        self._progress.start()
        self._progress.refresh()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def finished(self, sample: Sample) -> None:
        """Move the bar by one trial."""
        self._clock.step()
        description = f"{sample.cell.scenario} {sample.cell.subject}"
        if sample.failure:
            self._progress.console.print(
                f"{description} failed: {sample.failure}", style="red", markup=False
            )
        if remark := remarks(sample):
            self._progress.console.print(f"{description} {remark}", style="yellow", markup=False)
        self._progress.update(
            self._task, advance=1, description=description, left=self._clock.left(), refresh=True
        )

    def more(self, trials: int) -> None:
        """Make the bar longer."""
        self._clock.more(trials)
        self._progress.update(self._task, total=self._clock.trials)


class Lines:
    """A line for every trial."""

    def __init__(self, console: Console, trials: int) -> None:
        self._clock = Clock(trials)
        self._console = console

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
        """Print the trial."""
        self._clock.step()
        width = len(str(self._clock.trials))
        rate = sample.tally.throughput
        outcome = f"failed: {sample.failure}" if sample.failure else f"{rate:>9,.0f} requests/s"
        line = (
            f"{self._clock.done:{width}}/{self._clock.trials}  {sample.cell.scenario:11}"
            f" {sample.cell.subject:13} {outcome}  {self._clock.left()}"
        )
        if remark := remarks(sample):
            line += f"  {remark}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def more(self, trials: int) -> None:
        """Count up to a higher number."""
        self._clock.more(trials)
