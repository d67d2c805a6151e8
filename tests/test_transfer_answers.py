"""What a server says to the file client: whatever it is, it is used or refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from clients.transfer.answers import entries_of, sentence_of, size_of, text_of, value_of
from clients.transfer.errors import PeerError

WORDS = st.sampled_from(["name", "size", "sha256", "\x1b[2J", "\u202e", "\ud800"]) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner),
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())

CHECKS: list[Callable[[bytes], object]] = [
    lambda body: entries_of(value_of(body)),
    lambda body: size_of(value_of(body)),
    lambda body: text_of(value_of(body), "name"),
]


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=50)
@given(body=BODIES)
@example(body=b"[" * 100_000)
@example(body=b'{"size": 1%s}' % (b"0" * 3000))
@example(body=b'[{"name": "\\ud800", "size": 1}]')
def test_an_answer_is_used_or_refused_in_a_sentence_for_a_terminal(
    check: Callable[[bytes], object], body: bytes
) -> None:
    said = ""
    try:
        check(body)
    except PeerError as error:
        said = str(error)
    assert not said or said.isprintable()
    assert len(said) < 300


@settings(max_examples=50)
@given(body=BODIES)
@example(body=b"\0\x08" + b"\x1b]0;owned\x07" * 10**6)
def test_the_words_of_a_refusal_are_few_and_printable(body: bytes) -> None:
    words = sentence_of(body)
    assert words
    assert words.isprintable()
    assert len(words) <= 200
