"""Tells what was measured. Imports nothing of the other folders."""
