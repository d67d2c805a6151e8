"""The types of the compiled schedule."""

from typing_extensions import disjoint_base

@disjoint_base
class Schedule:
    @property
    def next_ns(self) -> float: ...
    def __init__(self, rate: float, arrivals: str, seed: int, first_ns: float = 0.0) -> None: ...
    def take(self, count: int) -> list[float]: ...
