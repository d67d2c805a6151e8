"""Which models can run here: what a row needs, held against an interpreter and what it has."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution

from servers.catalog import Model

EXTRA = "threadmill[models]"
"""What to install for every model that needs a distribution."""


class UnavailableError(LookupError):
    """A model that was asked for by name and cannot run here; the message says what it lacks."""


def reason_against(model: Model) -> str:
    """Return why a model cannot run under this interpreter, in one sentence; empty when it can."""
    if sys.version_info < model.python:
        oldest = ".".join(map(str, model.python))
        return f"{model.name} needs Python {oldest}, and this is {sys.version.split()[0]}"
    missing = [name for name in model.needs if not _is_installed(name)]
    if missing:
        lacks = " and ".join(missing)
        return f"{model.name} needs {lacks}, not installed here: pip install '{EXTRA}'"
    return ""


def check_available(model: Model) -> Model:
    """Return the model; UnavailableError when it cannot run here."""
    if reason := reason_against(model):
        raise UnavailableError(reason)
    return model


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
