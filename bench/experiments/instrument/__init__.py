"""Experiments of ours: what the suite's servers, files and load generator cost."""
