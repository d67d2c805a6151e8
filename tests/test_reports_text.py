"""The terminal summary, and figures in words."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from reports import units
from reports.cells.report import report_of
from reports.page.text import Summary
from tests.runs import make_run, standard_run, studies_run
from tests.thirty import CATALOGUE, thirty_run


def printed(width: int, *, empty: bool = False, color: bool = False, blocks: int = 2) -> str:
    file = io.StringIO()
    run, samples = (make_run(), ()) if empty else standard_run(blocks, ("echo", "churn", "bulk"))
    console = Console(file=file, width=width, force_terminal=color)
    console.print(Summary(report_of(run, samples)))
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120, 140])
def test_the_summary_fits_its_terminal_and_cuts_no_figure(width: int) -> None:
    text = printed(width)
    assert max(map(len, text.splitlines())) <= width
    for model in ("socketserver", "process-pool", "thread-pool"):
        assert model in text


def test_thirty_models_fit_80_columns_with_every_figure_and_what_went_wrong() -> None:
    file = io.StringIO()
    report = report_of(*thirty_run(2, ("echo", "bulk")))
    Console(file=file, width=80).print(Summary(report))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for model in CATALOGUE:
        assert len(re.findall(rf"^.{{7}}{re.escape(model)} ", text, re.MULTILINE)) == 2
    assert "\nserial: 1 of 64 served\n" in text
    assert "\ntrio: failed: the server gave no ready line within 10 s\n" in text


def test_a_wide_terminal_shows_intervals_and_what_limited_a_cell() -> None:
    heads = {width: printed(width).splitlines()[2] for width in (80, 120, 140)}
    assert ["interval" in head for head in heads.values()] == [False, True, True]
    assert ["limited by" in head for head in heads.values()] == [False, False, True]


def test_ranks_stand_before_the_models_and_a_starved_cell_has_none() -> None:
    text = printed(120, blocks=5)
    assert re.search(r"\n *[1-8]-[1-8] +thread ", text)
    assert re.search(r"\n +serial .*1 of 64", text)


def test_what_went_wrong_is_said_beside_the_model() -> None:
    text = printed(120)
    for note in ("1 of 64 served", "6 reset", "failed: the server gave no"):
        assert note in text


def test_the_best_is_bold_and_a_starved_cell_is_not_the_best() -> None:
    lines = printed(120, blocks=5, color=True).splitlines()
    bold = "\x1b[1;32m"
    assert any(bold in line and "coroutine" in line for line in lines)
    assert not [line for line in lines if bold in line and "1 of 64 served" in line]


def test_a_run_without_trials_is_said_in_a_sentence() -> None:
    assert "No trial was finished" in printed(80, empty=True)


def test_of_a_curve_only_the_knees_are_listed() -> None:
    file = io.StringIO()
    Console(file=file, width=80).print(Summary(report_of(*studies_run(1))))
    text = file.getvalue()
    assert "curve  64 connections, 1 KiB: the knee" in text
    assert re.search(r"asyncio +25,500 +", text)  # 85% of its own capacity
    assert "120% of its own capacity" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"), (0.03123, "0.0312"), (4.1, "4.10"), (9.996, "10.0"), (99.96, "100"),
        (82_134.4, "82,134"), (-1.5, "-1.50"), (float("nan"), units.MISSING),
    ],
)  # fmt: skip
def test_a_number_has_three_significant_digits(value: float, words: str) -> None:
    assert units.number(value) == words


@pytest.mark.parametrize(
    ("value_us", "words"),
    [(0.5, "0.500 us"), (812, "812 us"), (999.9, "1.00 ms"), (1240, "1.24 ms"), (3.1e6, "3.10 s")],
)
def test_a_duration_is_in_the_unit_that_suits_it(value_us: float, words: str) -> None:
    assert units.duration(value_us) == words


@given(st.floats(1e-6, 1e9))
def test_a_number_in_words_is_within_half_a_percent_and_has_no_exponent(value: float) -> None:
    words = units.number(value)
    assert "e" not in words
    assert float(words.replace(",", "")) == pytest.approx(value, rel=0.0051)
