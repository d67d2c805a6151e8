"""What is told of more than one run, or of one run to somebody in particular."""
