"""The page in a real browser: a made-up run of thirty models under eight workloads.

One browser for all tests of the file, and a page of its own for each. Nothing here asserts a time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest

from reports.cells.report import Report, read_report
from reports.charts.gallery import Chart
from reports.page.html import page as html_of
from reports.page.live import SPECS
from reports.store import FILE
from reports.units import number
from tests.thirty import CATALOGUE, store, thirty_by_eight

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")

AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"
BLOCKS = 5
WINDOW = {"width": 1280, "height": 900}
TO_FRAGMENT = """fragment => new Promise(done => {
    addEventListener("hashchange", () => setTimeout(done), {once: true});
    location.hash = fragment;
})"""
PICTURE = b'<svg width="9" height="9"><text>drawn by matplotlib</text></svg>'


class Stored(NamedTuple):
    """A run as it is stored, and its page."""

    trials: list[dict[str, Any]]
    report: Report
    block: dict[str, Any]  # what the page's script reads
    address: str


class Opened(NamedTuple):
    """A page in the browser, and what it did while it was open."""

    page: Any
    complaints: list[str]  # of its console, and errors that nobody caught
    requests: list[str]  # one, for the page itself
    visits: list[str]  # the fragments that it was brought to


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """The run, and its page with one figure that is not drawn, because that takes long."""
    root = tmp_path_factory.mktemp("page")
    folder = store(root, *thirty_by_eight(BLOCKS))
    report = read_report(folder)
    asked = report.workloads[0]
    chart = Chart("still", asked.scenario, asked.level, "echo: a still picture", {"svg": PICTURE})
    file = root / "report.html"
    html = html_of(report, [chart])
    file.write_text(html, encoding="utf-8")
    block = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', html)
    assert block
    lines = (folder.path / FILE).read_text(encoding="utf-8").splitlines()
    trials = [json.loads(line) for line in lines[1:]]
    return Stored(trials, report, json.loads(block[1]), file.as_uri())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # The sandbox of Chromium does not run as root, and CI does.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def usual(browser: Any, stored: Stored) -> Iterator[Opened]:
    """The page as most tests take it, opened once: a fragment that says a state resets it."""
    with browser.new_context(viewport=WINDOW) as context:
        yield open_in(context, stored.address)


@pytest.fixture
def opened(browser: Any, stored: Stored, usual: Opened) -> Iterator[Open]:
    """Return a function that brings the page to a fragment; in the end nothing was wrong.

    It is opened anew for one that asks for that, or for a context of its own.
    """
    all_opened = [usual]
    contexts = []

    def open_at(fragment: str = "", *, anew: bool = False, **options: Any) -> Opened:
        if anew or options:
            contexts.append(browser.new_context(**{"viewport": WINDOW, **options}))
            all_opened.append(open_in(contexts[-1], f"{stored.address}#{fragment}"))
        else:
            usual.page.evaluate(TO_FRAGMENT, f"{fragment}&none={len(usual.visits)}")
            usual.visits.append(fragment)
        return all_opened[-1]

    yield open_at
    for context in contexts:
        context.close()
    assert [seen.complaints for seen in all_opened if seen.complaints] == []
    for seen in all_opened:
        assert {url.partition("#")[0] for url in seen.requests} == {stored.address}


def open_in(context: Any, address: str) -> Opened:
    seen = Opened(context.new_page(), [], [], [])
    seen.page.on("console", lambda said: seen.complaints.append(said.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(address)
    return seen


def plotted(page: Any, view: str) -> Any:
    """Return a view of the explorer, in sight and drawn."""
    figure = page.locator(f"#explore figure[data-view={view}]")
    figure.scroll_into_view_if_needed()
    figure.locator(".plot svg").wait_for()
    return figure


def fragment(page: Any) -> str:
    return str(page.evaluate("location.hash"))


def section_of(page: Any, stored: Stored, scenario: str) -> Any:
    """Return the first section of a scenario; one far from sight has text, but shows none."""
    return page.locator(f"#{id_of(stored, scenario)}")


def id_of(stored: Stored, scenario: str) -> str:
    return next(
        str(each["id"]) for each in stored.block["workloads"] if each["scenario"] == scenario
    )


def row_of(page: Any, model: str) -> Any:
    return page.locator(f"table.figures tr[data-model='{model}']").first


def test_the_page_has_every_model_and_draws_its_views_without_a_word_on_the_console(
    opened: Open,
) -> None:
    page = opened("explore").page
    figures = plotted(page, "figures")
    assert set(CATALOGUE) <= set(figures.locator("svg text").all_text_contents())
    for view in ("plane", "curve", "time"):
        assert plotted(page, view).locator("svg .mark-symbol path").count() > len(CATALOGUE) / 2


def test_three_figures_of_the_page_are_those_that_follow_from_the_stored_trials(
    opened: Open, stored: Stored
) -> None:
    page = opened("explore").page
    for scenario, model in (("churn", "epoll"), ("echo-many", "asyncio"), ("sessions", "gevent")):
        trials = [
            trial
            for trial in stored.trials
            if (trial["cell"]["scenario"], trial["cell"]["model"]) == (scenario, model)
        ]
        assert len(trials) == BLOCKS
        said = number(
            median(trial["tally"]["requests"] / trial["tally"]["seconds"] for trial in trials)
        )
        row = section_of(page, stored, scenario).locator(f"tr[data-model='{model}']").first
        assert said in row.text_content()
        drawn = next(each for each in stored.block["workloads"] if each["scenario"] == scenario)
        cell = next(
            each
            for each in drawn["cells"]
            if stored.block["subjects"][each["subject"]]["name"] == model
        )
        assert cell["figures"]["throughput"][3] == said
        assert len(cell["trials"]["throughput"]) == BLOCKS


def test_a_model_clicked_in_a_table_or_in_a_chart_is_lit_everywhere_and_in_the_address(
    opened: Open,
) -> None:
    page = opened("explore").page
    page.locator(".heat tr[data-model=epoll] button.light").first.click()
    assert row_of(page, "epoll").get_attribute("class") == "lit"
    assert page.locator("button.light[aria-pressed=true]").count() > 4
    assert "lit=epoll" in fragment(page)
    plane = plotted(page, "plane")
    assert "epoll" in plane.locator("svg .mark-text text").all_text_contents()
    point = plane.locator("svg .mark-symbol path[aria-label*='trio']").first
    point.click(force=True)
    assert "lit=trio" in fragment(page)
    assert "lit" in row_of(page, "trio").get_attribute("class")
    page.get_by_role("button", name="Mark none").click()
    assert page.locator("tr.lit").count() == 0
    assert "lit" not in fragment(page)


def test_hovering_reads_the_value_with_its_interval_and_its_rank(opened: Open) -> None:
    page = opened("explore").page
    point = plotted(page, "plane").locator("svg .mark-symbol path").first
    point.hover(force=True)
    tip = page.get_by_role("tooltip")
    tip.wait_for()
    assert re.search(r"Throughput: [\d,.]+ requests/s\ninterval .+\n.*rank", tip.inner_text())


def test_a_table_sorts_up_down_and_back_by_the_keyboard(opened: Open, stored: Stored) -> None:
    page = opened().page
    workload = next(each for each in stored.report.workloads if each.scenario == "churn")
    table = section_of(page, stored, "churn").locator("table.figures").first
    heads = table.locator("thead th")
    column = next(
        n for n in range(heads.count()) if heads.nth(n).text_content().strip().endswith("p99")
    )
    head = heads.nth(column)
    rows = table.locator("tbody tr")

    def order() -> list[str]:
        return [str(name) for name in rows.evaluate_all("all => all.map(r => r.dataset.model)")]

    before = order()
    p99 = {cell.subject: cell.figures["latency_p99_us"].value for cell in workload.cells}
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert p99[order()[0]] == pytest.approx(min(p99.values()), rel=0.01)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert p99[order()[0]] == pytest.approx(max(p99.values()), rel=0.01)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "none"
    assert order() == before


def test_a_family_left_out_leaves_tables_and_charts_and_comes_back(opened: Open) -> None:
    page = opened("explore").page
    button = page.locator("#families button", has_text="threads").first
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert not row_of(page, "thread-pool").is_visible()
    assert "thread-pool" not in plotted(page, "figures").locator("svg text").all_text_contents()
    assert "hide=thread-pool" in fragment(page)
    assert "are hidden" in page.locator("#lacking").inner_text()
    page.get_by_role("button", name="Show everything").click()
    assert row_of(page, "thread-pool").is_visible()


def test_a_fragment_that_was_sent_opens_the_same_view_and_another_one_changes_it(
    opened: Open, stored: Stored
) -> None:
    churn = id_of(stored, "churn")
    page = opened(
        f"explore&workload={churn}&figure=p99&axes=log&lit=gevent&only=gevent&only=trio", anew=True
    ).page
    form = page.locator("#controls")
    assert form.locator("[name=workload]").input_value() == churn
    assert form.locator("[name=figure]").input_value() == "p99"
    assert form.locator("[name=axes]").input_value() == "log"
    names = plotted(page, "figures").locator("svg .role-axis-label text").all_text_contents()
    assert {"gevent", "trio"} <= set(names)
    assert not {"epoll", "asyncio"} & set(names)
    assert page.locator(".heat input:checked + label").inner_text() == "p99"
    page.evaluate("location.hash = 'figure=CPU&lit=nobody&workload=nothing'")
    page.wait_for_function("document.querySelector('#controls').figure.value === 'CPU'")
    assert page.locator("tr.lit").count() == 0
    assert row_of(page, "epoll").is_visible()


def test_an_ordinary_link_within_the_page_keeps_what_was_chosen(opened: Open) -> None:
    page = opened("figure=p99&lit=trio").page
    page.locator("nav a", has_text="Method").click()
    page.wait_for_function("location.hash.startsWith('#method&')")
    assert "lit=trio" in fragment(page)
    assert "figure=p99" in fragment(page)


def test_the_latency_curve_and_the_time_axis_zoom_by_mouse_keys_and_buttons(opened: Open) -> None:
    page = opened("explore").page
    for view, name in (("curve", "nines"), ("time", "seconds")):
        figure = plotted(page, view)
        plot = figure.locator(".plot")
        box = plot.bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.4, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.7, middle, steps=4)
        page.mouse.up()
        drawn = re.search(rf"{name}=([\d.]+)(?:~|%7E)([\d.]+)", fragment(page))
        assert drawn
        domain = plot.evaluate("plot => plot.view.scale('x').domain()")
        assert domain == pytest.approx([float(drawn[1]), float(drawn[2])], rel=0.01)
        plot.focus()
        page.keyboard.press("0")
        assert name not in fragment(page)
        figure.get_by_role("button", name="Zoom into").click()
        assert name in fragment(page)


def test_a_cell_opens_its_evidence_and_the_escape_key_closes_it(opened: Open) -> None:
    page = opened().page
    cell = page.locator(".heat .panel:visible tr[data-model=trio] td[data-workload*=bulk] button")
    cell.click()
    dialog = page.get_by_role("dialog")
    said = dialog.inner_text()
    assert "trio under bulk" in said
    assert "gave no ready line" in said
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert "cell=" not in fragment(page)
    page.locator(".heat .panel:visible tr[data-model=epoll] td[data-workload] button").first.click()
    dialog.locator(".plot svg .mark-symbol path").first.wait_for()
    said = dialog.inner_text()
    for words in ("What limited it", "server 0.", "generator 55% of a core", "byte for byte"):
        assert words in said
    assert ".venv/bin/threadmill run --models epoll --scenarios echo --blocks 5" in said
    assert "cell=" in fragment(page)


def test_the_arrow_keys_move_within_the_heat_table_and_enter_opens(opened: Open) -> None:
    page = opened().page
    table = page.locator(".heat .panel:visible table")
    assert table.locator("td > button[tabindex='0']").count() == 1
    table.locator("td > button[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.closest('td').cellIndex")
    assert focused == 2
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").is_visible()


def test_without_scripts_the_figures_and_tables_stand_and_nothing_else_shows(
    opened: Open,
) -> None:
    page = opened(java_script_enabled=False).page
    assert page.get_by_text("drawn by matplotlib").count() == 1
    assert page.locator("#explore").count() == 0
    assert page.locator(".heat .panel:visible tr[data-model=epoll]").is_visible()


def test_in_print_the_static_figures_stand_and_the_explorer_does_not(opened: Open) -> None:
    page = opened("explore&lit=epoll", anew=True).page
    plotted(page, "figures")
    page.emulate_media(media="print")
    assert not page.locator("#explore").is_visible()
    assert not page.locator("#lit").is_visible()
    assert page.locator("figure svg", has_text="drawn by matplotlib").is_visible()
    assert page.pdf(format="A4", landscape=True).startswith(b"%PDF")


def test_nothing_of_the_explorer_is_wider_than_the_window(opened: Open) -> None:
    page = opened("explore", color_scheme="dark").page
    for width in (1280, 800, 390):
        page.set_viewport_size({"width": width, "height": 900})
        plotted(page, "time")
        right = page.locator("#explore").evaluate(
            "all => Math.max(...[...all.querySelectorAll('*')]"
            ".map(each => each.getBoundingClientRect().right))"
        )
        assert right <= width


@pytest.mark.skipif(not AXE.exists(), reason="npm install --no-save axe-core has not been run")
def test_axe_finds_nothing_serious(opened: Open) -> None:
    page = opened("explore").page
    for view in SPECS[:4]:
        plotted(page, view)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    assert [
        (each["id"], node["html"][:200], node["failureSummary"])
        for each in found
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"][:3]
    ] == []
