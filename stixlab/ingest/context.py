"""Files of others that say what was around the measurements: orbit and attitude, calibration of the energies.

They are kept as received and named in the catalogue; what asks for place or energies reads them from there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab import files
from stixlab.archive import Archive
from stixlab.model import Product
from stixlab.timing import to_datetime
from stixlab.vocabulary import CONTEXT_TYPES, FLIGHT

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["IMPORTED", "context_product", "context_type", "take_context"]

IMPORTED = "imported"
"""Folder of the archive for files of others that are kept as they are, in the order of the FITS archive."""
_VERSION = re.compile(r"_V(?P<version>[0-9]{1,4})U?(?=[_.]|$)")
_AUX = ("aux-ephemeris", "asp-ephemeris")
_LEVELS = {"aux-ephemeris": "L2", "asp-ephemeris": "ANC", "cal-energy": "CAL"}


def context_type(ds: xr.Dataset, name: str) -> str:
    """Type of a product that was read, by its name where two types hold the same; empty if it is no context."""
    product = str(ds.attrs["product"])
    if product not in CONTEXT_TYPES:
        return ""
    if product in _AUX:
        return next((t for t in _AUX if t in name.lower()), product)
    return product


def context_product(ds: xr.Dataset, name: str, sha256: str) -> Product:
    """Record of a file of context.

    Parameters
    ----------
    ds
        As `stixlab.products.formats.fits_dialects.read_fits` gives it.
    name
        Under which it arrived.
    sha256
        Of the file.

    Returns
    -------
    Product
        One a UTC day of orbit and attitude, one a run of calibration; of files of the same the record has the same id.
    """
    from stixlab.products.merging import content_sha256

    type_ = context_type(ds, name)
    level = str(ds.attrs.get("source_level") or "") or _LEVELS[type_]
    bounds = ds["time_bounds"].to_numpy()
    start, end = bounds.min(), bounds.max()
    day = str((start + (end - start) // 2 if type_ in _AUX else start).astype("datetime64[D]"))
    stamp = day if type_ in _AUX else str(np.datetime_as_string(start, unit="s")).replace(":", "")
    match = _VERSION.search(name)
    return Product(
        product_id=f"{level}_{type_}_{stamp.replace('-', '')}_{FLIGHT}",
        type=type_,
        level=level,
        origin=FLIGHT,
        start=to_datetime(start),
        end=to_datetime(end),
        version=int(match["version"]) if match else 1,
        content_sha256=content_sha256(ds),
        n_times=ds.sizes["time"],
        fits=f"{IMPORTED}/{level}/{day.replace('-', '/')}/{CONTEXT_TYPES[type_].group}/{_plain(name)}",
        fits_sha256=sha256,
        sources=(sha256,),
        provenance=_told(ds, name),
        created=datetime.now(UTC).replace(microsecond=0),
    )


def _told(ds: xr.Dataset, name: str) -> dict[str, Any]:
    named = ("source_level", "dialect", "elut", "orbit_source", "attitude_source")
    return {"imported": name} | {k: str(ds.attrs[k]) for k in named if ds.attrs.get(k)}


def _plain(name: str) -> str:
    """A file name that any file system and any address takes."""
    text = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".")
    return text if text.lower().endswith((".fits", ".fits.gz")) else f"{text}.fits"


def take_context(catalog: Any, archive: Archive, product: Product) -> tuple[Product, bool]:
    """Name a stored file of context in the catalogue, unless a later version of the same is there.

    Which of two files is used depends on the files alone, not on which came first: the later version, of equal
    versions the one with the larger hash.

    Parameters
    ----------
    catalog, archive
        Writable; `Archive.writing` is held. The file itself is in the archive already.
    product
        Of `context_product`.

    Returns
    -------
    Product, bool
        The record in force, and whether it is the given one.

    Raises
    ------
    ArchiveError, CatalogError
        If something cannot be written.
    """
    from dataclasses import replace

    known: Product | None = catalog.products.get(product.product_id)
    if known is not None and _rank(known) > _rank(product):
        return known, False
    content = archive.read_raw(product.fits_sha256)
    files.write_bytes(archive.path(product.fits), content)
    hidden, created = (known.hidden, known.created) if known is not None else ("", product.created)
    same = known is not None and known.fits_sha256 == product.fits_sha256
    saved = replace(
        product, fits_bytes=len(content), hidden=hidden, created=created if same else product.created
    )
    catalog.products.save(saved)
    if known is not None and known.fits and known.fits != saved.fits:
        archive.remove(known.fits)
    return saved, True


def _rank(product: Product) -> tuple[int, str]:
    return product.version, product.fits_sha256
