"""The verbs of the command line: each turns its options into values and says what came of it."""
