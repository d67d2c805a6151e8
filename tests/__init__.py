"""The tests; one behaviour suite runs over every model."""
