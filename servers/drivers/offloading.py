"""A session that has its COMPUTE done elsewhere: by threads or processes of a pool."""

from __future__ import annotations

__all__ = ["OffloadingSession"]

from functools import partial

from servers.protocol import ANSWER, COMPUTE, frame
from servers.service import Session, compute
from servers.steps import Elsewhere

# See servers/service.py: typing is not imported in a server.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from typing import Any

    from servers.steps import Step


class OffloadingSession(Session):
    """The service's side of a connection on a loop that is not to be held up."""

    __slots__ = ("_submit",)

    def __init__(self, submit: Callable[..., Future[None]], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._submit = submit

    def _compute_steps(  # type: ignore[override]  # its driver is one that knows of Elsewhere
        self, tag: int, rounds: int, payload: bytes
    ) -> Iterator[Step | Elsewhere]:
        yield Elsewhere(partial(self._submit, compute, rounds))
        yield frame(COMPUTE + ANSWER, tag, payload)
