"""One server under one load, and everything that is measured of it."""
