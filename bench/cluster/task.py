"""What a worker runs: one block, in a process of its own in a clean environment.

Each record that the block writes goes to the conductor as an event, between two trials; while one
runs the worker's own periodic work stands still. The block ends when its task is let go of (the
conductor is gone, or asked for it), when the worker closes (the scheduler is gone), and, by the
kernel's death signal, when the worker dies.
"""

from __future__ import annotations

__all__ = ["Ending", "run_block"]

import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any

from distributed import get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from bench.across.starting import environment
from bench.measure.launch import ROOT

GRACE_SECONDS = 3.0
LAST_LINES = 4
STARTED: dict[str, subprocess.Popen[bytes]] = {}
"""The blocks that run here, by the key of their task."""


class Ending(WorkerPlugin):  # type: ignore[misc]  # mypy does not follow into distributed
    """Ends a block whose task has been let go of."""

    name = "threadmill"
    idempotent = True  # a second conductor's must not take the first one's place

    def transition(self, key: str, start: str, finish: str, **_: Any) -> None:
        """Look at a task's change of state."""
        if start == "executing" and finish not in {"memory", "error"}:
            end(key)

    def teardown(self, worker: Any) -> None:  # noqa: ARG002  # Dask's signature
        """Look at a worker's end."""
        for key in list(STARTED):
            end(key)


def end(key: str) -> None:
    """Have a block end in an orderly manner, or by force when that takes long."""
    if process := STARTED.get(key):
        process.send_signal(signal.SIGTERM)
        force = threading.Timer(GRACE_SECONDS, process.kill)
        force.daemon = True
        force.start()


def run_block(order: bytes, incarnation: str, topic: str, block: int) -> None:
    """Run a block on this worker and none that took its place; tell its records as events."""
    worker = get_worker()
    if worker.id != incarnation:
        return
    key = str(worker.get_current_task())

    def tell(**what: str) -> None:
        worker.log_event(topic, {"block": block, **what})
        worker.loop.add_callback(worker.heartbeat)  # lest the scheduler take it for dead

    def still(quiet: bool) -> None:
        for each in worker.periodic_callbacks.values():
            (each.stop if quiet else each.start)()

    worker.loop.add_callback(still, True)
    try:
        tell(ended=_run(order, key, tell))
    finally:
        worker.loop.add_callback(still, False)


def _run(order: bytes, key: str, tell: Any) -> str:
    """Return why it did not end well; empty: it did."""
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(
            [sys.executable, "-m", "bench.cluster.block"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            cwd=ROOT,
            env=environment(),
            start_new_session=True,
        ) as process,
    ):
        STARTED[key] = process
        try:
            assert process.stdin is not None  # noqa: S101  # it was opened as a pipe
            assert process.stdout is not None  # noqa: S101  # as above
            process.stdin.write(order)
            process.stdin.close()
            for line in process.stdout:
                tell(line=line.decode())
            code = process.wait()
        finally:
            del STARTED[key]
            process.kill()
        words.seek(0)
        last = words.read().decode("utf-8", "replace").strip().splitlines()[-LAST_LINES:]
    return "\n  ".join([f"its process ended with {code}", *last]) if code else ""
