"""Experiments of chapters 2 and 3 of the course: what sockets do with bytes and connections."""
