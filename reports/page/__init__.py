"""The page of a run, and its text for a terminal."""
