"""Products over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from stixlab.api.interval import as_datetimes
from stixlab.api.source import TheSource
from stixlab.model import Product
from stixlab.timing.intervals import read_interval
from stixlab.vocabulary import ORIGINS, known_type

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["products"])

_PUBLIC = (
    "product_id",
    "type",
    "level",
    "origin",
    "start",
    "end",
    "version",
    "content_sha256",
    "n_times",
    "fits_sha256",
    "fits_bytes",
    "created",
    "request_id",
    "complete",
)
MOST = 5000
"""Most products of one answer."""


@router.get("/products", summary="Products by type, level, origin and time")
def products(
    source: TheSource,
    *,
    type: Annotated[str | None, Query(description="Archive name, such as ql-lightcurve")] = None,
    level: Annotated[str | None, Query(pattern="^(L[0123]A?|ANC|CAL)$")] = None,
    start: Annotated[str | None, Query(description="UTC; products that end before it are left out")] = None,
    end: Annotated[str, Query(description="UTC; empty: one day after the start")] = "",
    origin: Annotated[str | None, Query(pattern=f"^({'|'.join(ORIGINS)})$")] = None,
) -> dict[str, Any]:
    """Products that overlap the interval, each with the address of its FITS file."""
    filters: dict[str, Any] = {"type": type, "level": level, "origin": origin}
    if type is not None:
        known_type(type)
    if start is not None:
        filters["start"], filters["end"] = as_datetimes(read_interval(start, end))
    found = source.lab.products(**{name: value for name, value in filters.items() if value is not None})
    return {"found": len(found), "products": [_public(product) for product in found[:MOST]]}


def _public(product: Product) -> dict[str, Any]:
    document = asdict(product)
    return {name: document[name] for name in _PUBLIC} | {
        "url": f"/data/{product.fits}" if product.fits else None
    }
