"""FITS form of the products of data requests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from stixlab.archive import Archive
from stixlab.ingest.completeness import names_of_sources
from stixlab.ingest.headers import PlaceSources, place_keywords
from stixlab.model import Product, RawFile
from stixlab.vocabulary import FLIGHT

__all__ = ["write_request_fits"]

_SENT_AGAIN = re.compile(r"_[t0-9]+-[0-9]+-(?P<number>[0-9]+)_[a-z]+")
_MOST_PARTS = 4
"""More tables of energy channels than this within one request there are not."""


def write_request_fits(
    product: Product,
    ds: Any,
    archive: Archive,
    *,
    part: int = 0,
    place: PlaceSources,
    sources: Iterable[RawFile] = (),
) -> Product:
    """Write the FITS form of a product; as it was where there is no such form of its type.

    Parameters
    ----------
    product
        Without its FITS form.
    ds
        Its data.
    archive
        Opened for writing.
    part
        Number of the product in its request, from 0.
    place
        Where the header takes the place of the spacecraft from.
    sources
        Files it was made from, whose names the header tells.

    Returns
    -------
    Product
        With the key, hash and size of the file.

    Raises
    ------
    ArchiveError
        If it cannot be written.
    SchemaError
        If the data depart from their declaration.
    """
    from stixlab.products.formats.fits import write_fits
    from stixlab.products.formats.fits_layout import can_write

    if not can_write(product.type):
        return replace(product, fits="", fits_sha256="", fits_bytes=0)
    key = _fits_key(product, ds, part)
    created = product.created or datetime.now(UTC).replace(microsecond=0)
    sha256, size = write_fits(
        ds,
        archive.target(key),
        version=product.version,
        created=created,
        **names_of_sources(sources),
        complete=product.complete,
        why=product.why,
        keywords=place_keywords(ds, place, archive),
    )
    return replace(product, fits=key, fits_sha256=sha256, fits_bytes=size)


def _fits_key(product: Product, ds: Any, part: int) -> str:
    """Where the file of a product stands in the archive."""
    from stixlab.products.formats.fits_layout import fits_folder, request_fits_name

    bounds = ds["time_bounds"].to_numpy()
    again = _SENT_AGAIN.search(product.request)
    # What was sent twice has the numbers and times of what was sent first: it counts on from there.
    number = part + (_MOST_PARTS * (int(again["number"]) - 1) if again else 0)
    name = request_fits_name(
        product.type,
        bounds.min(),
        bounds.max(),
        product.version,
        request_id=product.request_id,
        tc_sequence=int(ds.attrs.get("tc_sequence", 0)),
        complete=product.complete,
        origin=product.origin,
        part=number,
    )
    folder = fits_folder(product.level, bounds.min().astype("datetime64[D]"), product.type)
    return f"{'' if product.origin == FLIGHT else product.origin + '/'}{folder}/{name}"
