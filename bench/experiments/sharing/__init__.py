"""Experiments of sections 5.10 to 5.13: locks, queues, producers and consumers."""
