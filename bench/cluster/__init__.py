"""Runs that other machines take part in, placed there by Dask."""
