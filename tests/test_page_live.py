"""What the page's script reads and draws with: the data block, the specs and the runtime."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from importlib.resources import files

import pytest

from reports.cells.report import Report, report_of
from reports.histogram import Histogram
from reports.page.data import NINES, block_of, json_in_html
from reports.page.live import RUNTIME, RUNTIME_SHA256, RUNTIME_VERSION, SPECS, live_parts
from tests.runs import changed, failed, make_run, make_sample, standard_run

LIVE = files("reports.page") / "live"


@pytest.fixture(scope="module")
def report() -> Report:
    run, samples = standard_run(blocks=2, scenarios=("echo", "bulk"))
    return report_of(run, samples)


def test_the_runtime_is_what_npm_publishes_and_has_its_licence() -> None:
    runtime = (LIVE / RUNTIME).read_bytes()
    assert hashlib.sha256(runtime).hexdigest() == RUNTIME_SHA256
    assert f'"{RUNTIME_VERSION}"'.encode() in runtime
    assert b"</script" not in runtime.lower()
    licence = (LIVE / "vega.LICENSE").read_text(encoding="utf-8")
    assert "Interactive Data Lab" in licence
    assert "Redistributions in binary form" in licence


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_was_compiled_from_the_source_beside_it(name: str) -> None:
    source = (LIVE / "specs" / f"{name}.vl.json").read_bytes()
    compiled = json.loads((LIVE / "specs" / f"{name}.vg.json").read_bytes())
    told = "run tests/vega/compile.mjs"
    assert compiled["usermeta"]["source_sha256"] == hashlib.sha256(source).hexdigest(), told
    assert not [each for each in compiled["data"] if "url" in each]


def test_text_in_the_data_block_ends_no_script_and_comments_nothing_out() -> None:
    hostile = "</script><!--<script>&amp;]]>\u2028"
    sample = failed(make_sample(), hostile)
    page = live_parts(report_of(make_run(["thread"], ["echo"], blocks=1), [sample]))
    assert not {"<", ">", "&"} & set(page["data"])
    cell = json.loads(page["data"])["workloads"][0]["cells"][0]
    assert cell["failures"] == [hostile]


def test_a_number_that_is_none_is_refused_where_json_has_no_word_for_it() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        json_in_html({"value": math.nan})


def test_a_cell_has_the_figures_of_the_report_in_its_words_and_every_trial(report: Report) -> None:
    block = block_of(report)
    for workload, drawn in zip(report.workloads, block["workloads"], strict=True):
        for cell, each in zip(workload.rows, drawn["cells"], strict=True):
            assert block["subjects"][each["subject"]]["name"] == cell.subject
            metric = workload.suited(workload.headline)
            if metric.name not in cell.figures:
                continue
            value, low, high, words, interval = each["figures"]["throughput"]
            assert value == pytest.approx(cell.figures[metric.name].value, rel=1e-3)
            assert low <= value <= high
            assert (words, interval) == (cell.write(metric), cell.write_range(metric))
            assert len(each["trials"]["throughput"]) == len(each["blocks"]) == len(cell.trials)


def test_the_latency_curve_reads_the_merged_histogram_and_says_where_bounds_begin(
    report: Report,
) -> None:
    echo = report.workloads[0]
    cells = {cell.subject: cell for cell in echo.rows}
    block = block_of(report)
    for each in block["workloads"][0]["cells"]:
        cell = cells[block["subjects"][each["subject"]]["name"]]
        at = dict(zip(NINES, each["curve"]["us"], strict=False))
        merged = Histogram.merge([cell.answered, cell.unanswered])
        assert at[100] == pytest.approx(merged.values_at([99.0])[0] / 1e3, rel=1e-3)
        starved = cell.unanswered.count > 0
        assert (each["curve"]["known"] < len(each["curve"]["us"])) == starved


def test_a_long_time_axis_is_thinned_to_the_worst_of_each_step() -> None:
    sample = make_sample()
    steps = [1_000] * 1_199 + [10]
    long = changed(
        sample,
        seconds=60.0,
        interval_requests=steps,
        interval_latencies=[sample.tally.interval_latencies[0]] * 1_200,
    )
    block = block_of(report_of(make_run(["thread"], ["echo"], blocks=1), [long]))
    time = block["workloads"][0]["cells"][0]["time"]
    assert (time["worst_of"], len(time["seconds"])) == (10, 120)
    assert time["throughput"][0] == pytest.approx(1_000 / 0.05)
    assert time["throughput"][-1] == pytest.approx(10 / 0.05)


def test_the_command_of_a_cell_repeats_its_load_and_is_safe_to_type() -> None:
    run = replace(
        make_run(["odd; name"], ["echo"], blocks=3), placement_override="same", window_seconds=0.25
    )
    cell = make_sample(traits=None)
    sample = changed(cell, model="odd; name", interpreter="3.13t")
    block = block_of(report_of(run, [sample]))
    assert block["workloads"][0]["cells"][0]["command"] == (
        ".venv/bin/threadmill run --models 'odd; name' --scenarios echo --blocks 3"
        " --window 0.25 --warm-up 0.15 --placement same --python 3.13t"
    )
