"""How a conversation is carried out: one driver for each way to wait."""

RECEIVE_BYTES = 65_536
"""How much a driver receives at a time."""
