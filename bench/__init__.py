"""Puts the suite together: runs servers under load, and writes and reads the reports."""
