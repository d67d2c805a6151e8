"""Drives servers: the load engine, its plain-Python oracle, and a command line of their own."""
