"""Files of the data center, by key: raw files, packet blocks, datasets, FITS files, executed notebooks."""

from stixlab.archive.store import Archive

__all__ = ["Archive"]
