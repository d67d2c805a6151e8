"""The progress of a run: a bar with the time left on a terminal, plain lines anywhere else.

Nothing is drawn while a trial runs. There is no third core for it, so rich's refreshing thread is
off and the bar moves only when a trial has ended.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from reports.record import Sample


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


def reporter(console: Console, trials: int) -> Reporter:
    """Return what suits the console."""
    return Bar(console, trials) if console.is_terminal else Lines(console, trials)


class Clock:
    """How many trials are done, and how long the rest will take at the pace so far."""

    def __init__(self, trials: int) -> None:
        self.trials = trials
        self.done = 0
        self._started = time.monotonic()

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
        description = f"{sample.scenario} {sample.model}"
        if sample.failure:
            self._progress.console.print(
                f"{description} failed: {sample.failure}", style="red", markup=False
            )
        self._progress.update(
            self._task, advance=1, description=description, left=self._clock.left(), refresh=True
        )


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
        rate = sample.requests / sample.seconds if sample.seconds else 0.0
        outcome = f"failed: {sample.failure}" if sample.failure else f"{rate:>9,.0f} requests/s"
        line = (
            f"{self._clock.done:{width}}/{self._clock.trials}  {sample.scenario:9}"
            f" {sample.model:13} {outcome}  {self._clock.left()}"
        )
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
