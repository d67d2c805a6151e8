"""Latency histograms in the HdrHistogram layout: merge them, read percentiles, exchange them.

The layout is HdrHistogram's for values of 1 ns to 68.7 s at 3 significant digits
(http://hdrhistogram.org): bucket 0 holds 2,048 slots of 1 ns; each further bucket doubles the
slot's width and adds 1,024 slots. A value is therefore known to 1 part in 1,024 or better, in
memory that never grows. The load engine fills arrays of the same layout; `tests/test_histogram.py`
holds both against the `hdrhistogram` library, which also does the encoding, so that a stored
histogram opens in any HdrHistogram tool.
"""

from __future__ import annotations

__all__ = [
    "PERCENTILES",
    "SAMPLES_ABOVE",
    "Histogram",
    "is_supported",
    "rank",
    "slot_of",
    "slot_values",
    "summarize",
]

import base64
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from hdrh.codec import HdrHistogramEncoder
from hdrh.histogram import HdrHistogram

LOWEST_NS = 1
HIGHEST_NS = 60_000_000_000
SIGNIFICANT_DIGITS = 3
HALF_BUCKET = 1024
BUCKETS = 26
SLOTS = (BUCKETS + 1) * HALF_BUCKET
MOST_COUNT = 2**53
MOST_PAYLOAD_BYTES = SLOTS * 9 + 40
"""A varint for each slot, after the header; see HdrHistogram's V2 encoding."""

PERCENTILES: Mapping[str, float] = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}
SAMPLES_ABOVE = 10
"""A percentile is given only with at least so many samples above it (docs/method.md)."""


def slot_of(value_ns: int) -> int:
    """Return the slot that counts `value_ns`; values beyond the range share the last slot."""
    bucket = (value_ns | (2 * HALF_BUCKET - 1)).bit_length() - HALF_BUCKET.bit_length()
    return min(bucket * HALF_BUCKET + (value_ns >> bucket), SLOTS - 1)


@lru_cache(maxsize=1)
def _zeros() -> npt.NDArray[np.int64]:
    """Return the counts that all empty histograms share, and that nobody can write to."""
    zeros = np.zeros(SLOTS, np.int64)
    zeros.flags.writeable = False
    return zeros


_NONE = np.zeros(0, np.intp), np.zeros(0, np.int64)


@lru_cache(maxsize=1)
def _edges() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the lowest and the highest value in ns that each slot counts, shape (SLOTS,) each."""
    slots = np.arange(SLOTS, dtype=np.int64)
    bucket = np.maximum(slots // HALF_BUCKET - 1, 0)
    lowest = (slots - bucket * HALF_BUCKET) << bucket
    return lowest, lowest + (np.int64(1) << bucket) - 1


def slot_values() -> npt.NDArray[np.float64]:
    """Return what a value of each slot is given as, in ns: the highest that it counts."""
    return _edges()[1].astype(float)


def rank(percentile: float, count: int) -> int:
    """Return which of `count` sorted values, from 1 on, stands at `percentile` (0..100)."""
    return max(1, int(percentile * count / 100 + 0.5))


def is_supported(percentile: float, count: int) -> bool:
    """Say whether `count` samples leave enough of them above `percentile` to give it at all.

    Rounded, because 100 - 99.9 is a little less than a tenth in binary, and would want 10,001
    samples for a p99.9 that 10,000 support.
    """
    return round(count * (100 - percentile) / 100, 6) >= SAMPLES_ABOVE


class Histogram:
    """Counts of durations in nanoseconds; immutable by convention, merged by `merge`.

    Of the 27,648 slots a trial uses some hundred, so those are what is kept of a stored one, and
    what figures are computed from.
    """

    __slots__ = ("_counts", "_text", "_used")

    def __init__(self, counts: npt.NDArray[np.int64] | None = None) -> None:
        self._counts = counts
        self._text = ""  # what it is to be decoded from, once somebody asks
        self._used: tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]] | None = None

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """The count of each slot, shape (SLOTS,); ValueError when stored text is no histogram."""
        if self._counts is not None:
            return self._counts
        slots, used = self.used
        if not slots.size:
            return _zeros()
        counts = np.zeros(SLOTS, np.int64)
        counts[slots] = used
        return counts

    @property
    def used(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
        """The slots that hold anything, ascending, and the count of each."""
        if self._used is None:
            if self._counts is not None:
                slots = _slots_of(self._counts)
                self._used = slots, self._counts[slots]
            else:
                self._used = Histogram.decode(self._text).used if self._text else _NONE
        return self._used

    @classmethod
    def encoded(cls, text: str) -> Histogram:
        """Return what `text` gave, decoded when it is first used."""
        histogram = cls()
        histogram._text = text
        return histogram

    def __reduce__(self) -> tuple[Callable[..., Histogram], tuple[object, ...]]:
        """Go to another process as text where it is not decoded yet, or else as slots in use."""
        if self._used is None and self._text:
            return Histogram.encoded, (self._text,)
        return Histogram.of_slots, self.used

    @classmethod
    def of_slots(cls, slots: npt.NDArray[np.intp], used: npt.NDArray[np.int64]) -> Histogram:
        """Build a histogram of the counts of some slots, ascending; those of all others are 0."""
        histogram = cls()
        histogram._used = slots, used
        return histogram

    @classmethod
    def from_pairs(cls, pairs: Iterable[Sequence[int]]) -> Histogram:
        """Build a histogram from pairs (slot, count), the form in which the engine reports."""
        counts = np.zeros(SLOTS, np.int64)
        for slot, count in pairs:
            counts[slot] += count
        return cls(counts)

    @classmethod
    def of(cls, values_ns: Iterable[int]) -> Histogram:
        """Build a histogram of single values in nanoseconds."""
        return cls.from_pairs((slot_of(value), 1) for value in values_ns)

    @classmethod
    def merge(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Add histograms up. This, never an average of percentiles, is how trials combine."""
        parts = [part for histogram in histograms if (part := histogram.used)[0].size]
        if len(parts) < 2:
            return cls.of_slots(*(parts[0] if parts else _NONE))
        counts = np.zeros(SLOTS, np.int64)
        for slots, used in parts:
            counts[slots] += used
        together = _slots_of(counts)
        return cls.of_slots(together, counts[together])

    @property
    def count(self) -> int:
        """The number of values recorded."""
        return int(self.used[1].sum())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and bool(np.array_equal(self.counts, other.counts))

    __hash__ = None  # type: ignore[assignment]  # equal by content, and the content is an array

    def mean(self) -> float:
        """Return the mean in ns, each value taken at the middle of its slot; nan when empty."""
        lowest, highest = _edges()
        slots, used = self.used
        if not slots.size:
            return float("nan")
        return float(used @ ((lowest[slots] + highest[slots]) / 2)) / self.count

    def max(self) -> int:
        """Return the largest value in ns, to the precision of its slot; 0 when empty."""
        slots, _ = self.used
        return int(_edges()[1][slots[-1]]) if slots.size else 0

    def min(self) -> int:
        """Return the smallest value in ns, to the precision of its slot; 0 when empty."""
        slots, _ = self.used
        return int(_edges()[0][slots[0]]) if slots.size else 0

    def values_at(self, percentiles: Sequence[float]) -> npt.NDArray[np.int64]:
        """Return the values in ns at `percentiles` (above 0, to 100), as HdrHistogram defines them.

        The value at percentile p is the highest one of the slot in which the cumulated count
        first reaches `rank(p, count)`. Zeros when the histogram is empty.
        """
        count = self.count
        if not count:
            return np.zeros(len(percentiles), np.int64)
        ranks = [rank(percentile, count) for percentile in percentiles]
        slots, used = self.used
        return _edges()[1][slots[np.searchsorted(np.cumsum(used), ranks)]]

    def encode(self) -> str:
        """Return HdrHistogram's V2 compressed form in base64."""
        histogram = _blank()
        for slot, count in zip(*self.used, strict=True):
            histogram.record_value(int(_edges()[0][slot]), int(count))
        encoded: bytes = histogram.encode()
        return encoded.decode("ascii")

    def text(self) -> str:
        """Return what `encoded` takes: as `encode`, but no text when nothing was recorded."""
        return self._text or (self.encode() if self.count else "")

    @classmethod
    def decode(cls, text: str) -> Histogram:
        """Read what `encode` wrote; ValueError when it is no HdrHistogram of this range."""
        try:
            _check_size(text)
            # Its counts alone: the library's histogram around them takes as long again.
            stored = HdrHistogramEncoder.decode(text)
            _check_range(stored.payload)
            stored.init_counts(SLOTS)
        except Exception as error:  # the library raises a dozen unrelated types
            raise ValueError(f"not an encoded HdrHistogram: {error}") from error
        counts = np.frombuffer(stored.counts, np.int64)
        slots = _slots_of(counts)
        used = counts[slots]
        if slots.size and (used.min() < 0 or float(used.sum(dtype=float)) > MOST_COUNT):
            raise ValueError(f"an HdrHistogram of less than 0 or more than {MOST_COUNT:,} values")
        return cls.of_slots(slots, used)


def _slots_of(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    # numpy looks for what is true five times as fast as for what is not 0.
    return np.flatnonzero(counts.astype(bool))


def _check_range(header: Any) -> None:
    """Refuse slots that are not ours: other digits, or values that reach as far as another."""
    low, high = header.lowest_trackable_value, header.highest_trackable_value
    if (low, header.significant_figures) != (LOWEST_NS, SIGNIFICANT_DIGITS) or not (
        HALF_BUCKET <= high >> (BUCKETS - 1) < 2 * HALF_BUCKET
    ):
        raise ValueError(
            f"its slots are for {low:,} to {high:,} with {header.significant_figures} digits"
        )


def _check_size(text: str) -> None:
    """Refuse what would unpack to more than any histogram of ours: the library would try."""
    packed = base64.b64decode(text)[8:]  # after the cookie and the length
    unpacking = zlib.decompressobj()
    unpacking.decompress(packed, MOST_PAYLOAD_BYTES)
    if unpacking.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {MOST_PAYLOAD_BYTES:,} bytes")


def _blank() -> HdrHistogram:
    return HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)


def summarize(answered: Histogram, unanswered: Histogram) -> dict[str, float | bool | None]:
    """Return mean, percentiles and maximum in ns over answered and unanswered requests.

    An unanswered request counts with its age, which is less than what its latency would have
    become. A figure that such requests reach is a lower bound, and `<name>_at_least` is then
    true (the key is absent otherwise). A percentile with fewer than ten samples above it is
    None, and so is every figure of an empty set.
    """
    merged = Histogram.merge([answered, unanswered]) if unanswered.count else answered
    count = merged.count
    if not count:
        return dict.fromkeys(("mean", *PERCENTILES, "max"))
    figures: dict[str, float | bool | None] = {"mean": merged.mean()}
    for name, value in zip(PERCENTILES, merged.values_at([*PERCENTILES.values()]), strict=True):
        figures[name] = float(value) if is_supported(PERCENTILES[name], count) else None
    figures["max"] = float(merged.max())
    if unanswered.count:
        youngest = unanswered.min()
        for name, figure in tuple(figures.items()):
            if name == "mean" or (figure is not None and figure >= youngest):
                figures[f"{name}_at_least"] = True
    return figures
