"""The load engine, its oracle in plain Python, and the process it runs in."""
