"""When two machines' fingerprints say that their figures do not compare. Pure."""

from __future__ import annotations

__all__ = ["TELLING", "differences"]

from collections.abc import Mapping
from typing import Any

TELLING = ("cpu", "cpus_allowed", "hypervisor", "kernel", "python", "gil")
"""The fields that move figures by more than any change that one looks for."""


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what tells two machines apart, as `kernel: Linux 6.1 and Linux 6.8`."""
    return [
        f"{name}: {one.get(name)} and {other.get(name)}"
        for name in TELLING
        if one.get(name) != other.get(name)
    ]
