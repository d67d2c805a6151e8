"""Experiments of sections 5.5 to 5.9: starting, waiting for, sharing with and burying processes."""
