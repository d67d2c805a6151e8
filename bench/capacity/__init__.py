"""The highest rate at which a model keeps a promise."""
