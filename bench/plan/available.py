"""Which models a user means, and which of them can run here.

A list names models, families, or `all`; nothing means the card: the eight classics that a run has
compared from the start. A model that is named and cannot run here is an error. One that came along
with its family or with `all` is left out, with a sentence that says why.
"""

from __future__ import annotations

__all__ = ["Choice", "UnavailableError", "choose", "reached", "reason_against"]

from collections.abc import Collection, Sequence
from typing import NamedTuple

from bench.errors import UserError
from bench.interpreters.environments import has
from bench.interpreters.named import OWN, Interpreter
from bench.plan.order import Pairing
from bench.plan.scenarios import Scenario
from servers.catalog import FAMILIES, MODELS, Model, find, over

EXTRA = "threadmill[models]"
"""What to install for every model that needs a distribution."""


CARD = (
    "serial",
    "thread",
    "process",
    "socketserver",
    "thread-pool",
    "process-pool",
    "coroutine",
    "asyncio",
)
"""What is compared when nothing is named."""


class Choice(NamedTuple):
    """What a user's list of models comes to."""

    models: tuple[Model, ...]
    left_out: tuple[str, ...]  # a sentence for each that cannot run here
    pairs: frozenset[Pairing]  # those that run under another interpreter only


class UnavailableError(UserError):
    """A model that was asked for by name and cannot run here; the message says what it lacks."""


def reason_against(model: Model, interpreter: Interpreter = OWN) -> str:
    """Return why a model cannot run under an interpreter, in one sentence; empty when it can."""
    name = interpreter.name
    if interpreter.version < model.python:
        oldest = ".".join(map(str, model.python))
        return f"{model.name} needs Python {oldest}, and {name or 'this'} is {interpreter.said}"
    missing = [need for need in model.needs if not has(interpreter, need)]
    if missing:
        lacks = " and ".join(missing)
        if name:
            how = f"for {name}: threadmill interpreters --install models {name.partition(':')[0]}"
        else:
            how = f"here: pip install '{EXTRA}'"
        return f"{model.name} needs {lacks}, not installed {how}"
    return ""


def choose(
    names: str,
    interpreters: Sequence[Interpreter] = (OWN,),
    transports: Collection[str] = ("tcp",),
) -> Choice:
    """Return the models that a list `a,b` means, each once and in the list's order.

    Nothing means the card, and for loads over UDP all models of datagrams.

    A model that can run under some of the interpreters is left out under the others.

    UnknownModel for a word that is neither a model nor a family, UnavailableError for a model that
    is named and cannot run here.
    """
    models: dict[Model, None] = {}
    left_out: list[str] = []
    pairs: list[Pairing] = []
    for word in names.replace(",", " ").split() or _unless_named(transports):
        group = _group(word)
        for model in group or [find(word)]:
            reasons = {each: reason_against(model, each) for each in interpreters}
            against = [each for each, reason in reasons.items() if reason]
            if len(against) < len(reasons):
                models[model] = None
                pairs += [Pairing(model, each) for each in against]
            elif not group:
                raise UnavailableError(reasons[against[0]])
            left_out += [reasons[each] for each in against]
    return Choice(tuple(models), tuple(dict.fromkeys(left_out)), frozenset(pairs))


def reached(models: Sequence[Model], scenarios: Sequence[Scenario]) -> Choice:
    """Return the models that one of the loads reaches, over its transport.

    A model of datagrams has nothing to say to a load of connections. UnavailableError when none is
    left.
    """
    transports = {scenario.load.transport for scenario in scenarios}
    others = [model for model in models if model.transport not in transports]
    left_out = tuple(
        f"{model.name} is reached over {model.transport}, and no load here is" for model in others
    )
    if left_out and len(others) == len(models):
        raise UnavailableError(left_out[0])
    return Choice(tuple(model for model in models if model not in others), left_out, frozenset())


def _unless_named(transports: Collection[str]) -> tuple[str, ...]:
    """Return what is compared when nothing is named."""
    return tuple(
        name
        for transport, names in (("tcp", CARD), ("udp", [model.name for model in over("udp")]))
        if transport in transports
        for name in names
    )


def _group(word: str) -> list[Model]:
    """Return the models of a family, whose name may have a hyphen for its space, or all of them."""
    if word == "all":
        return list(MODELS)
    family = word.replace("-", " ")
    # A model of the family's own name is meant by it.
    is_model = any(model.name == word for model in MODELS)
    return [] if is_model else [m for m in MODELS if m.family == family and family in FAMILIES]
