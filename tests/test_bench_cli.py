"""The command line as a user meets it: short windows, and one sentence for an error."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from bench.measure import meter
from reports.store import Store
from servers.catalog import MODELS
from tests.commands import bench_in_process

BENCH = [sys.executable, "-m", "bench"]
VERBS = (
    "run",
    "capacity",
    "selftest",
    "report",
    "models",
    "scenarios",
    "doctor",
    "experiment",
    "experiments",
)
SHORT = ("--profile", "quick", "--window", "0.05", "--blocks", "1")


def bench(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BENCH, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,  # the machine may be busy
        env={name: value for name, value in os.environ.items() if "PYTEST" not in name}
        | environment,
    )


def start(*words: str) -> subprocess.Popen[str]:
    """Start the command line with its output on a pipe, in a session of its own."""
    return subprocess.Popen(
        [*BENCH, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run two models under one scenario once, for all the tests that read a stored run."""
    root = tmp_path_factory.mktemp("results") / "runs"
    done = bench(
        "run", *SHORT, "--models", "thread,asyncio", "--scenarios", "echo", "--results", str(root)
    )
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stdout
    assert "report.html" in done.stdout
    assert "\x1b" not in done.stdout  # plain lines: this is no terminal
    return root


def test_a_run_stores_its_trials_and_writes_the_report(results: Path) -> None:
    folder = Store(results).open()
    record, samples = folder.read()
    assert (record.models, record.scenarios, record.blocks) == (["thread", "asyncio"], ["echo"], 1)
    assert sorted(sample.cell.model for sample in samples) == ["asyncio", "thread"]
    assert (folder.path / "report.html").is_file()
    assert (folder.path / "summary.csv").is_file()
    assert (results.parent / "latest").resolve() == folder.path.resolve()


def test_a_report_is_redrawn_without_measuring(results: Path) -> None:
    folder = Store(results).open()
    (folder.path / "report.html").unlink()
    stored = (folder.path / "run.jsonl").read_bytes()
    done = bench_in_process("report", folder.path.name, "--results", str(results))
    assert done.returncode == 0, done.stderr
    assert (folder.path / "report.html").is_file()
    assert (folder.path / "run.jsonl").read_bytes() == stored


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(verb: str) -> None:
    done = bench_in_process(verb, "--help")
    assert done.returncode == 0
    assert f"python -m bench {verb}" in done.stdout


def listed(verb: str) -> Any:
    done = bench_in_process(verb, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_lists_are_json_on_demand() -> None:
    assert [row["name"] for row in listed("models")] == [model.name for model in MODELS]
    assert listed("scenarios")[0]["level"] == "64 connections, 1 KiB"
    assert {"severity", "topic", "sentence", "advice"} == set(listed("doctor")[0])


def test_a_scenario_is_one_row_whose_words_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = bench_in_process("scenarios").stdout
    table, below = shown.split("\n\n")
    names = [line.split()[0] for line in table.splitlines()[1:] if not line.startswith(" ")]
    assert names == list(dict.fromkeys(row["name"] for row in listed("scenarios")))
    for word in ("split", "same", "free", "rounds"):
        assert f"{word}: " in below
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "--models", "tread"], "thread"),
        (["run", "--scenarios", "ecko"], "unknown scenario 'ecko': did you mean 'echo'?"),
        (["run", "--profile", "quik"], "unknown profile 'quik': did you mean 'quick'?"),
        (["run", "--placement", "spilt"], "unknown placement 'spilt': did you mean 'split'?"),
        (["run", "--server-cpus", "0"], "--server-cpus and --client-cpus go together"),
        (["run", "--server-cpus", "0", "--client-cpus", "9999"], "there is no CPU 9999"),
        (["run", "--precision", "5"], "a precision is a percentage such as 5%"),
        (["run", "--precision", "5%", "--budget", "10"], "a duration is a number"),
        (["report", "20200101"], "20200101"),
    ],
)
def test_a_wrong_name_is_one_sentence_with_the_nearest(
    words: list[str], sentence: str, results: Path
) -> None:
    done = bench_in_process(*words, "--results", str(results))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("threadmill: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--slo", "p98=20ms"], "a promise is one of p50, p90, p99, p999 and a limit"),
        (["--slo", "p99=20"], "a duration is a number"),
        (["--slo", "p99=20ms", "--scenario", "ecko"], "did you mean 'echo'?"),
    ],
)
def test_a_capacity_that_cannot_be_searched_is_one_sentence(
    words: list[str], sentence: str
) -> None:
    done = bench_in_process("capacity", *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_placement_for_all_and_a_budget_are_recorded_and_shown(tmp_path: Path) -> None:
    words = ("--models", "coroutine", "--scenarios", "echo", "--placement", "same")
    budget = ("--precision", "0.1%", "--budget", "1s")
    done = bench("run", *SHORT, *words, *budget, "--results", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    assert "placement: same" in done.stdout
    assert "the budget of 1 s is spent" in done.stdout
    record, samples = Store(tmp_path / "runs").open().read()
    assert record.placement_override == "same"
    assert record.options["precision"] == 0.001
    assert set(record.wake_up_ns) <= {"same", "split"}
    assert {sample.serving.placement for sample in samples} == {"same"}
    assert all(sample.server_cpus == sample.client_cpus for sample in samples)
    assert all(sample.ceiling_requests_per_second > 0 for sample in samples)


def test_a_rate_follows_from_capacities_that_the_run_measures_first(tmp_path: Path) -> None:
    words = ("--models", "coroutine,serial", "--scenarios", "rate", "--placement", "free")
    done = bench("run", *SHORT, *words, "--results", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "serial is left out of rate" in done.stdout
    record, samples = Store(tmp_path / "runs").open().read()
    measured = {row["model"]: row["requests_per_second"] for row in record.options["capacities"]}
    assert measured["serial"] == 0
    rates = sorted(sample.load.rate for sample in samples)
    assert rates == [float(f"{share * measured['coroutine']:.2g}") for share in (0.25, 0.5)]


@pytest.mark.parametrize("verb", ["run", "gate", "gate-selftest"])
@pytest.mark.parametrize("seed", ["-1", str(2**63)])
def test_a_seed_that_a_record_could_not_hold_is_refused(verb: str, seed: str) -> None:
    done = bench_in_process(verb, "--seed", seed)
    assert done.returncode == 2
    assert "--seed" in done.stderr


def test_a_wrong_option_is_no_traceback() -> None:
    done = bench("run", "--window", "-1")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("report",), ("experiment", "sticky", "--join")])
def test_without_any_run_there_is_nothing_to_read(words: tuple[str, ...], tmp_path: Path) -> None:
    done = bench_in_process(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no run" in done.stderr


def test_an_unreadable_run_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.jsonl").write_text("nonsense\n")
    done = bench_in_process("report", "broken", "--results", str(tmp_path))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


def test_a_full_disk_is_one_sentence_and_leaves_what_there_was(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = Store(results).open().path
    copy = tmp_path / "runs" / run.name
    copy.mkdir(parents=True)
    (copy / "run.jsonl").write_bytes((run / "run.jsonl").read_bytes())
    (copy / "summary.csv").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    done = bench_in_process("report", "--results", str(copy.parent))
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name for path in copy.iterdir() if path.is_file()} == {"run.jsonl", "summary.csv"}
    assert (copy / "summary.csv").read_text() == "old"


def test_an_interrupted_run_reports_what_was_finished_and_leaves_nothing(tmp_path: Path) -> None:
    words = ("run", *SHORT, "--blocks", "50", "--models", "process-pool", "--workers", "2")
    with start(*words, "--results", str(tmp_path / "runs")) as process:
        assert process.stdout is not None
        until(process, "1/")
        server = server_of(process.pid)
        members = meter.running(process.pid)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in output
    folder = Store(tmp_path / "runs").open()
    assert len(folder.read()[1]) >= 1
    assert (folder.path / "report.html").is_file()
    assert {process.pid, server} <= set(members)
    assert [pid for pid in members if still_runs(pid)] == []


def test_a_server_killed_in_mid_run_fails_its_trial_and_the_exit_code_says_so(
    tmp_path: Path,
) -> None:
    words = ("run", *SHORT, "--window", "1", "--scenarios", "echo", "--models", "serial,thread")
    with start(*words, "--results", str(tmp_path / "runs")) as process:
        until(process, "trials")
        os.kill(server_of(process.pid), signal.SIGKILL)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert "(SIGKILL)" in output
    assert "1 of 2 trials failed" in output
    samples = Store(tmp_path / "runs").open().read()[1]
    assert sorted(bool(sample.failure) for sample in samples) == [False, True]


def still_runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(process: subprocess.Popen[str], text: str) -> None:
    """Read the output until a line holds `text`."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"the output ended without {text!r}")


def server_of(conductor: int) -> int:
    """Return the process id of the server that the conductor starts."""
    while True:  # bounded: the conductor ends its output, and the tree is then empty
        tree = meter.tree(conductor)
        assert tree, "the conductor ended"
        for member in tree:
            line = Path(f"/proc/{member.pid}/cmdline").read_bytes().split(b"\0")
            if b"servers" in line:
                return member.pid


def test_timings_of_an_experiment_join_the_newest_run(results: Path, tmp_path: Path) -> None:
    done = bench_in_process(
        "experiment", "round-trip", "--effort", "least", "--join",
        "--results", results, "--findings", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    folder = Store(results).open()
    figures = json.loads((folder.path / "experiments.json").read_text())
    rows = figures["benchmarks"]
    assert {row["name"] for row in rows} == {"serial", "thread"}
    assert all(row["stats"]["rounds"] >= 30 for row in rows)
    assert "cpu" in figures["machine_info"]
    assert "node" not in figures["machine_info"]
    assert "round-trip" in (folder.path / "report.html").read_text()
