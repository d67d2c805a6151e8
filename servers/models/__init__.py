"""One file per concurrency model."""
