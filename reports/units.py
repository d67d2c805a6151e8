"""Figures in words: three significant digits, the unit that suits, never an exponent."""

from __future__ import annotations

__all__ = [
    "AT_LEAST",
    "DASH",
    "MISSING",
    "duration",
    "extent",
    "mebibytes",
    "number",
    "percent",
    "ratio",
    "whole",
]

import math

DASH = "\N{EN DASH}"
MISSING = DASH
AT_LEAST = "\N{GREATER-THAN OR EQUAL TO} "

_DURATIONS = ((1e6, "s"), (1e3, "ms"), (1.0, "us"))


def number(value: float) -> str:
    """Return `value` with three significant digits, or whole from 100 on: 0.0312, 4.10, 82,134."""
    if not math.isfinite(value):
        return MISSING
    if value == 0 or abs(value) >= 99.95:
        return f"{value:,.0f}"
    decimals = 2 - math.floor(math.log10(abs(value)))
    # Rounding may carry into the next decade (9.996 is 10.0), which then has a decimal less.
    decimals = 2 - math.floor(math.log10(round(abs(value), decimals)))
    return f"{value:.{decimals}f}"


def duration(value_us: float) -> str:
    """Return a duration given in microseconds in the unit that suits it: 812 us, 1.24 ms, 3.1 s."""
    for scale, unit in _DURATIONS:
        if value_us >= scale * 0.9995:
            return f"{number(value_us / scale)} {unit}"
    return f"{number(value_us)} us"


def mebibytes(value: float) -> str:
    """Return a size given in MiB."""
    return f"{number(value)} MiB"


def percent(share: float) -> str:
    """Return a share of 1 as a whole percentage."""
    return f"{share:.0%}"


def whole(value: float) -> str:
    """Return a count."""
    return f"{value:,.0f}"


def ratio(value: float) -> str:
    """Return a figure between 0 and 1 with three decimals, as indices are given."""
    return f"{value:.3f}"


def extent(low: float, high: float) -> str:
    """Return two whole counts as one figure when they are the same: 6, or 6 to 9."""
    return f"{low:,.0f}" if low == high else f"{low:,.0f}{DASH}{high:,.0f}"
