"""A trial whose server and generators are on hosts of their own."""
