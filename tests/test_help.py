"""What --help says, on every command line: verbs in a line each, options in complete sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

import bench.__main__  # noqa: F401  # a verb is known once its module has been imported
from bench.verbs.common import app
from clients.__main__ import command_line
from clients.transfer import commands, execution
from servers.usage import usage
from tests.commands import bench_in_process

COMPLETION = {"--install-completion", "--show-completion"}  # whose words are typer's

IMPERATIVES = """
    Add Allow Answer Ask Call Compare Count Cut Draw End Exit Fail Fetch Find Give Have Install
    Judge Keep Leave Let List Listen Load Make Measure Need Never Offer Open Pause Place Print
    Promise Put Record Report Request Reset Run Say Search Seed Send Serve Show Space
    Spend Start Store Take Use Wait Write
"""
"""Verbs in the imperative, by which a sentence about an option is told from a fragment."""


def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:  # typer has a click of its own
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, f"{path} {name}")


COMMANDS = [
    found
    for application, name in (
        (app, "bench"),
        (command_line(), "clients"),
        (commands.app, "clients files"),
        (execution.app, "clients exec"),
    )
    for found in walk(get_command(application), name)
]


def is_sentence(words: str) -> bool:
    return words.endswith(".") and re.split(r"\W", words)[0] in IMPERATIVES.split()


@pytest.mark.parametrize("command", [pytest.param(command, id=path) for path, command in COMMANDS])
def test_every_option_is_told_in_a_complete_sentence(command: Any) -> None:
    told = {
        each.opts[0]: getattr(each, "help", None) or ""
        for each in command.params
        if not COMPLETION & set(each.opts)
    }
    assert {name: words for name, words in told.items() if not is_sentence(words)} == {}


def test_every_verb_is_told_in_one_line_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for group in ([], ["baseline"], ["history"]):
        listing = bench_in_process(*group, "--help").stdout.split("Commands:")[1]
        assert "..." not in listing


def test_every_option_of_the_servers_is_told_in_complete_sentences() -> None:
    options = usage().split("Options")[1].split("Examples:")[0]
    entries = re.split(r"\n  (?=--)", options)[1:]
    assert len(entries) > 15
    for entry in entries:
        words = re.sub(r"^--[a-z-]+( [A-Z]{2}\S*)?\s+", "", " ".join(entry.split()))
        assert is_sentence(words), entry
