"""Experiments of sections 5.1 to 5.4 and chapters 7 and 8: who runs when, and what that costs."""
