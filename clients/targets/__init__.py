"""Servers with known answers, to hold the engine and the client against."""
