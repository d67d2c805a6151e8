"""The types of the compiled message."""

from typing_extensions import disjoint_base

from clients.engine import exchange

@disjoint_base
class Message:
    def __init__(self, message: exchange.Message, count: int) -> None: ...
