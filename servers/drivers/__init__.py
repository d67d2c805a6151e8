"""How a conversation is carried out: one driver for each way to wait."""

__all__ = ["RECEIVE_BYTES"]

RECEIVE_BYTES = 65_536
"""How much a driver receives at a time."""
