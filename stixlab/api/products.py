"""Products over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from stixlab.api.interval import as_datetimes
from stixlab.api.source import TheSource
from stixlab.errors import NotInCatalogError
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
    "why",
)
MOST = 5000
"""Most products of one answer."""
_LONGEST_ID = 200


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


class PublicProduct(BaseModel):
    """What everyone may see of a product."""

    product_id: str
    type: str
    level: str
    origin: str = Field(description="flight, simulated or reencoded")
    start: datetime = Field(description="UTC, start of the first bin")
    end: datetime = Field(description="UTC, end of the last bin")
    version: int
    content_sha256: str = Field(description="hash of the data, whatever the file")
    n_times: int
    fits_sha256: str
    fits_bytes: int
    created: datetime | None
    request_id: int = Field(description="number of the data request; 0 for what is made by day")
    complete: bool | None = Field(
        description="whether everything that belongs to it has arrived; null: not known"
    )
    why: str = Field(description="what is missing, in words")
    url: str | None = Field(description="address of the FITS file")


@router.get("/products/{product_id}", summary="A product by its id")
def product(source: TheSource, product_id: str) -> PublicProduct:
    """Its record with the address of its FITS file; what is hidden is not there. `/api/v1/explain/ID` tells what it was made from."""
    found = source.lab.catalog.products.get(product_id[:_LONGEST_ID])
    if found is None or found.hidden:
        raise NotInCatalogError(
            f"product {product_id[:_LONGEST_ID]!r}: there is none; /api/v1/products lists those there are"
        )
    return PublicProduct(**_public(found))


def _public(product: Product) -> dict[str, Any]:
    document = asdict(product)
    return {name: document[name] for name in _PUBLIC} | {
        "url": f"/data/{product.fits}" if product.fits else None
    }
