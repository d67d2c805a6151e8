"""The gate: two trees side by side, and stored runs."""
