"""What a list of models means, and what cannot run here."""

from __future__ import annotations

import sys

import pytest

from bench.plan import available
from bench.plan.available import CARD, UnavailableError, choose, reason_against
from servers.catalog import FAMILIES, MODELS, Model, UnknownModel, find

NEEDS_NOTHING = MODELS[0]
NEEDS_A_LIBRARY = NEEDS_NOTHING._replace(name="other", needs=("no-such-distribution", "psutil"))
TOO_NEW = NEEDS_NOTHING._replace(name="new", python=(9, 9))


def test_nothing_means_the_card_and_all_means_all() -> None:
    assert [model.name for model in choose("").models] == list(CARD)
    assert set(choose("all").models) <= set(MODELS)
    assert set(choose("").models) <= set(choose("all").models)


def test_models_and_families_come_in_the_list_s_order_and_each_once() -> None:
    names = [model.name for model in choose("coroutine, threads,thread").models]
    assert names[:3] == ["coroutine", "thread", "socketserver"]
    assert len(names) == len(set(names))


def test_a_family_with_a_space_may_be_written_with_a_hyphen() -> None:
    family = next(model.family for model in MODELS if " " in model.family)
    chosen = choose(family.replace(" ", "-")).models
    assert {model.family for model in chosen} == {family}


def test_what_is_no_model_and_no_family_is_an_error() -> None:
    with pytest.raises(UnknownModel):
        choose("thread,nonesuch")


def test_a_row_is_of_a_known_family() -> None:
    assert {model.family for model in MODELS} <= set(FAMILIES)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (NEEDS_NOTHING, ""),
        (
            NEEDS_A_LIBRARY,
            "other needs no-such-distribution, not installed here:"
            " pip install 'threadmill[models]'",
        ),
        (TOO_NEW, f"new needs Python 9.9, and this is {sys.version.split()[0]}"),
    ],
    ids=lambda value: value.name if isinstance(value, Model) else "",
)
def test_why_a_model_cannot_run_here(model: Model, sentence: str) -> None:
    assert reason_against(model) == sentence


def test_only_a_model_that_came_with_others_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available, "MODELS", (NEEDS_NOTHING, TOO_NEW))
    monkeypatch.setattr(available, "find", lambda name: TOO_NEW if name == "new" else find(name))
    for group in ("all", NEEDS_NOTHING.family):
        assert choose(group)[:2] == ((NEEDS_NOTHING,), (reason_against(TOO_NEW),))
    with pytest.raises(UnavailableError, match=r"needs Python 9\.9"):
        choose("new")


def test_the_lock_installs_what_every_model_needs() -> None:
    reasons = [reason_against(model) for model in MODELS if sys.version_info >= model.python]
    assert [reason for reason in reasons if reason] == []
