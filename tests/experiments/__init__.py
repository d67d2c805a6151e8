"""Tests of the experiments: their frame, their verdict rules, and that each of them runs."""
