"""Experiments of chapter 6: what the GIL lets threads do, and what they wait for."""
