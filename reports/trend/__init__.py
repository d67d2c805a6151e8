"""What changes from run to run."""
