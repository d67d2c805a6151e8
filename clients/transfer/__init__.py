"""The file client."""
