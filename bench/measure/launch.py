"""Starts a server in a process of its own, and stops it so that nothing of it is left.

The server gets a session and process group of its own: a Ctrl-C in the terminal does not reach it,
and a signal to the group reaches all of it. Its standard input is a pipe whose writing end only
this process holds, so it ends when this process does, whatever ended it. Its standard error goes
to an unlinked file: a pipe that nobody reads while a window is open would fill up and stall it.
"""

from __future__ import annotations

__all__ = ["ROOT", "Server", "ServerDied"]

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.errors import TroubleError
from bench.interpreters.named import OWN, Interpreter
from bench.measure import meter
from bench.measure.link import LOOPBACK, Link
from bench.measure.placement import pinned
from clients.engine.driver import allow_descriptors
from clients.load import AimedLoad
from clients.probe import Probe
from reports.load import Load
from reports.serving import USUAL, Serving
from servers import catalog

READY_SECONDS = 20.0
STOP_SECONDS = 10.0  # 10,000 threads that all end at once keep a stop from the GIL for up to 6 s
STOP_SECONDS_EACH = (
    0.001  # and longer for each connection: 19,000 threads take more than twice that
)
REPEAT_SECONDS = 0.25  # between one SIGTERM and the next
GROUP_SECONDS = 0.5  # for children that end because their parent has
LAST_LINES = 8
UNTIMED = ("--idle-timeout", "0", "--write-timeout", "0")
"""A measured server keeps no time on its peers: not every model could do so at the same cost."""

IDENTITY = ("implementation", "python", "free_threaded", "gil", "jit", "switch_interval")
"""What of a ready line tells the interpreter: two servers that differ in it are not the same."""
AT_END = ("gil", "jit")
"""What of it may have changed when the server ends, and is said again."""
MOST_LAST_BYTES = 65_536

ROOT = Path(catalog.__file__).parents[1]
"""The folder that holds our `servers` package: all of this project that a server can import."""


class ServerDied(TroubleError):  # noqa: N818  # it says what happened; the server's fault, not ours
    """A server that ended, or did not start, answer or stop as it must; with its last words."""


def command(
    model: catalog.Model,
    serving: Serving,
    root: str = "",
    interpreter: Interpreter = OWN,
    programs: Sequence[str] = (),
    link: Link = LOOPBACK,
) -> list[str]:
    """Return the command line of a server.

    Without `site` (-S): what site-packages hooks into every interpreter is not the server's own
    cost. Where what a model needs is found then, `import_path` says.
    """
    values = serving.options | {"--root": root, "--host": link.host}
    options = [word for name, value in values.items() if value for word in (name, str(value))]
    for program in programs:  # as many at a time as are asked for
        options += ["--exec-at-once", "0", "--exec", program]
    server = ["-m", "servers", model.name, "--port", "0", "--watch-stdin", *UNTIMED, *options]
    return [*link.prefix, interpreter.path, "-S", *server]


def import_path(model: catalog.Model, home: Path, interpreter: Interpreter = OWN) -> str:
    """Return the PYTHONPATH of a server: our package and, only for a model that needs it, theirs.

    A folder on PYTHONPATH is searched like any other, but its .pth files are not run.
    """
    installed = interpreter.libraries if model.needs else ()
    return os.pathsep.join(dict.fromkeys([str(home), *installed]))


class Server:
    """A server process; started by `with`, awaited by `wait_until_answering`, ended by leaving.

    Leaving raises ServerDied when the server did not end cleanly, unless an error is under way.
    """

    def __init__(
        self,
        model: catalog.Model,
        serving: Serving = USUAL,  # its link has been made by who starts the server
        *,
        cpus: Sequence[int],
        root: str = "",  # the folder that it serves files from; empty: none
        programs: Sequence[str] = (),  # what it runs for whoever asks, as --exec takes it
        home: Path = ROOT,  # the folder that holds the `servers` package to run
        interpreter: Interpreter = OWN,
        holds: int = 0,  # connections that its stop will have to end
        link: Link = LOOPBACK,
    ) -> None:
        self._stop_seconds = STOP_SECONDS + holds * STOP_SECONDS_EACH
        self._command = command(model, serving, root, interpreter, programs, link)
        self._home = home
        self._transport = model.transport
        self._interpreter = interpreter
        self._import_path = import_path(model, home, interpreter)
        self._cpus = cpus
        self.host = ""
        self.port = 0
        self.ready: dict[str, Any] = {}  # all that the ready line says
        self.ended: dict[str, Any] = {}  # and what the last line does; empty: it said nothing
        self.ready_seconds = 0.0  # from the start of the process to its ready line
        self.first_answer_seconds = 0.0  # and to the first answered request
        self.served_before = False  # it has seen the end of a connection

    def __enter__(self) -> Self:
        self._stderr = tempfile.TemporaryFile()  # closed in __exit__
        allow_descriptors()  # which the server inherits
        with pinned(self._cpus):
            self._started = time.monotonic()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                cwd=self._home,  # where `-m` looks first
                env=self._environment(),
                start_new_session=True,
                bufsize=0,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            problem = self._stop()
            self.ended = self._last_line()
        finally:
            for stream in (self._process.stdin, self._process.stdout, self._stderr):
                if stream:
                    stream.close()
        if problem and error is None:
            raise ServerDied(problem)

    @property
    def pid(self) -> int:
        """The process id, which is also that of the server's group and session."""
        return self._process.pid

    def wait_until_answering(self) -> None:
        """Wait for the ready line, then make one ECHO; times both. ServerDied when either fails.

        The server has then read the end of a stream: it is one that has served.
        """
        line = self._first_line()
        self.ready_seconds = time.monotonic() - self._started
        try:
            self.ready = dict(json.loads(line))
            self.host, self.port = self.ready["host"], self.ready["port"]
        except (ValueError, TypeError, KeyError) as error:
            raise ServerDied(self._with_last_words(f"no ready line: {line!r}")) from error
        self._check_interpreter()
        try:
            with Probe(self.host, self.port, self._transport) as probe:
                probe.echo(b"ready?")
                self.first_answer_seconds = time.monotonic() - self._started
                if self._transport == "tcp":
                    probe.end()  # from here on it is a server that has served
                    self.served_before = True
        except OSError as error:
            raise ServerDied(self._with_last_words(f"no first answer: {error}")) from error

    def identity(self) -> dict[str, Any]:
        """Return what the server said it runs under; empty where an older one says nothing.

        `at_end` is what it said when it ended.
        """
        said = {name: self.ready[name] for name in IDENTITY if name in self.ready}
        at_end = {name: self.ended[name] for name in AT_END if name in self.ended}
        return said | ({"at_end": at_end} if at_end else {})

    def settings(self) -> dict[str, str]:
        """Return the variables that Python looks at, as they were set for the server."""
        variables = self._environment().items()
        return {
            name: value
            for name, value in variables
            if name.startswith("PYTHON") and name != "PYTHONPATH"
        }

    def aimed(self, load: Load, **changes: Any) -> AimedLoad:
        """Aim a load, with some of its fields changed, at the server."""
        return AimedLoad.at(self.host, self.port, load, **changes)

    def check_alive(self) -> None:
        """Raise ServerDied when the process has ended."""
        code = self._process.poll()
        if code is not None:
            raise ServerDied(self._with_last_words(f"the server died ({_ending(code)})"))

    def _environment(self) -> dict[str, str]:
        own = {**os.environ, **dict(self._interpreter.environment)}
        return {**own, "PYTHONPATH": self._import_path}

    def _check_interpreter(self) -> None:
        """Raise ServerDied when the server runs under another Python than was asked for.

        An older server does not say; and ours need not be asked.
        """
        facts = self._interpreter.facts
        for name, fact in (("implementation", "implementation"), ("python", "version")):
            said = self.ready.get(name)
            if facts and said is not None and said != facts[fact]:
                raise ServerDied(
                    f"{self._interpreter.name} is {facts['implementation']} {facts['version']},"
                    f" and the server says that it runs under {said}"
                )

    def _last_line(self) -> dict[str, Any]:
        """Return what the server said when it ended; all that could write has ended, too."""
        assert self._process.stdout is not None  # noqa: S101  # it was opened as a pipe
        descriptor = self._process.stdout.fileno()
        said = b""
        while len(said) < MOST_LAST_BYTES and select.select([descriptor], [], [], 0)[0]:
            data = os.read(descriptor, 4096)
            if not data:
                break
            said += data
        try:
            values = json.loads(said.splitlines()[-1])
        except (ValueError, IndexError):  # one that was killed, or an older one
            return {}
        return values if isinstance(values, dict) and values.get("ended") else {}

    def _first_line(self) -> bytes:
        """Return the first line of standard output; ServerDied when none comes in time."""
        assert self._process.stdout is not None  # noqa: S101  # it was opened as a pipe
        descriptor = self._process.stdout.fileno()
        line = b""
        while not line.endswith(b"\n"):
            left = self._started + READY_SECONDS - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise ServerDied(self._with_last_words(f"not ready after {READY_SECONDS:g} s"))
            data = os.read(descriptor, 4096)
            if not data:
                code = self._process.wait(STOP_SECONDS)
                sentence = f"the server died at its start ({_ending(code)})"
                raise ServerDied(self._with_last_words(sentence))
            line += data
        return line

    def _stop(self) -> str:
        """End the whole group, first by SIGTERM, then by force; return what was wrong, if any."""
        died = self._process.poll() is not None
        self._process.terminate()  # does nothing to a process that has ended
        try:
            ended = self._wait_for_end()
            left = self._wait_for_group()
        finally:
            # Also when a Ctrl-C cut the waiting short. When all went well, nothing is left to kill.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            code = self._process.wait(STOP_SECONDS)
        if left:
            self._wait_for_group()
        troubles = (
            (died, f"the server died ({_ending(code)})"),
            (not ended, f"the server still ran {self._stop_seconds:g} s after SIGTERM"),
            (code != 0, f"SIGTERM ended the server with {_ending(code)}"),
            (left, f"the server left {len(left)} of its processes behind"),
        )
        return next((self._with_last_words(trouble) for true, trouble in troubles if true), "")

    def _wait_for_end(self) -> bool:
        """Wait for the server's end, without subprocess's polling; False when it takes too long.

        SIGTERM is repeated: one that arrives in the moment before a server goes to sleep in a
        system call is acted on only when that call returns, and the next one makes it return.
        """
        if self._process.returncode is not None:
            return True
        deadline = time.monotonic() + self._stop_seconds
        descriptor = os.pidfd_open(self.pid)
        try:
            pause_seconds = REPEAT_SECONDS
            while not select.select([descriptor], [], [], pause_seconds)[0]:
                if time.monotonic() > deadline:
                    return False
                self._process.terminate()
                pause_seconds *= 2  # one that has much to end is not to be busy with signals
            return True
        finally:
            os.close(descriptor)

    def _wait_for_group(self) -> list[int]:
        """Wait until nothing runs but the server itself; return what does after GROUP_SECONDS."""
        deadline = time.monotonic() + GROUP_SECONDS
        while left := [pid for pid in meter.running(self.pid) if pid != self.pid]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.002)
        return left

    def _with_last_words(self, sentence: str) -> str:
        """Add the last lines of the server's standard error to `sentence`."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()[-LAST_LINES:]
        return "\n  ".join([sentence + (":" if lines else ""), *lines])


def _ending(code: int) -> str:
    """Say an exit code as subprocess gives it."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
