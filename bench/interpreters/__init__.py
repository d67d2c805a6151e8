"""The Pythons that servers run under: named, found, asked what they are, and given libraries."""
