"""What the trials of a cell say."""
