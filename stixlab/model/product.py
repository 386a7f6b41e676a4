"""A product: a dataset at a stated level, with its file forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["Product"]


@dataclass(frozen=True)
class Product:
    """What the catalogue knows of one product."""

    product_id: str
    """``LEVEL_TYPE_YYYYMMDD_ORIGIN``, such as ``L1_ql-lightcurve_20210116_flight``; of a data request ``LEVEL_`` and
    the id of the request, such as ``L1_sci-xray-cpd_2312148821-51759_flight``. Further parts, of other energies, end
    in ``-2``, ``-3`` ..."""
    type: str
    """Archive name of the product type."""
    level: str
    origin: str
    """``flight`` or ``simulated``."""
    start: datetime
    """UTC, start of the first bin."""
    end: datetime
    """UTC, end of the last bin, rounded up to a millisecond; of a time without length a millisecond more, so that
    ``[start, end)`` holds all."""
    version: int
    """Counts up when the content changes."""
    content_sha256: str
    """Hash of the arrays: the same inputs give the same content."""
    n_times: int
    zarr: str = ""
    """Key of the analysis form under the archive."""
    fits: str = ""
    """Key of the FITS form under the archive."""
    fits_sha256: str = ""
    fits_bytes: int = 0
    sources: tuple[str, ...] = ()
    """Hashes of the raw files it is made from, sorted."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Software and definition versions, clock, energies; under ``inputs`` hashes of all that it depends on."""
    created: datetime | None = None
    hidden: str = ""
    """Why it is not shown; empty if it is. A product that is made again stays hidden."""
    request: str = ""
    """Id of the data request (`ScienceRequest.id`); empty for products of a day."""
    request_id: int = 0
    """Number of the data request; 0 if it has none, and for products of a day."""
    complete: bool = True
    """Whether nothing is known to be missing: of a data request all packets were received, of a day there is no gap."""
    why: str = ""
    """What is missing, in words; empty if nothing is known to be."""
