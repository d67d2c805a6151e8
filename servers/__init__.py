"""What is measured: one service, served by one concurrency model per file."""
