"""Whether the files of a product are what they were when they were written."""

from __future__ import annotations

from stixlab import files
from stixlab.archive import Archive
from stixlab.errors import ArchiveError
from stixlab.model import Product

__all__ = ["drop_damaged", "is_fits_sound"]


def drop_damaged(archive: Archive, product: Product) -> bool:
    """Remove the dataset of a product if it is not what it was, so that it is written anew.

    Parameters
    ----------
    archive
        Opened for writing.
    product

    Returns
    -------
    bool
        Whether it is missing, or was damaged and removed.

    Raises
    ------
    ArchiveError
        If the disk does not allow it.
    """
    from stixlab.products.formats.zarr import stored_sha256

    if not product.zarr or not archive.path(product.zarr).exists():
        return True
    try:
        sound = stored_sha256(archive.path(product.zarr)) == product.content_sha256
    except (ArchiveError, OSError, ValueError, KeyError, TypeError, RuntimeError):
        sound = False
    if not sound:
        archive.remove(product.zarr)
    return not sound


def is_fits_sound(archive: Archive, product: Product) -> bool:
    """Whether the FITS file of a product is there, byte by byte."""
    if not product.fits:
        return False
    try:
        return files.sha256_of(archive.path(product.fits)) == product.fits_sha256
    except OSError:
        return False
