"""Small experiments, each a pytest-benchmark file or a script that prints a ratio."""
