"""What `stixlab.connect()` gives: data, flares, products and runs, by name and time."""

from stixlab.client.lab import Lab

__all__ = ["Lab"]
