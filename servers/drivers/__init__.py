"""How a conversation is carried out: one driver for each way to wait."""
