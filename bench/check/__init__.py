"""Whether this machine and this instrument can be trusted."""
