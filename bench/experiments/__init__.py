"""Small experiments: what the course says of concurrency, measured. One file and one row each."""
