"""What stands in the datasets, over HTTP: from their declarations."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from stixlab.datasets.schema import describe_product, described_types
from stixlab.errors import NotInCatalogError, SchemaError
from stixlab.vocabulary import known_type

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["schema"])


class FieldSchema(BaseModel):
    """One variable or coordinate."""

    name: str
    dims: list[str]
    dtype: str = Field(description="numpy type in memory, such as uint32 or datetime64[ns]")
    units: str | None = Field(description="astropy unit; null for times")
    meaning: str
    coordinate: bool
    uncertainty: list[str] = Field(description="names of the variables that hold its standard deviation")
    fits_column: str | None
    telemetry_parameter: str | None
    flags: dict[str, str] = Field(description="meaning of each value of a state")


class ProductSchema(BaseModel):
    """One product type."""

    product: str
    title: str
    group: str = Field(description="folder of the FITS archive")
    packet: list[int] | None = Field(description="service, subservice and structure of its packets")
    dims: list[str]
    fields: list[FieldSchema]


class ProductName(BaseModel):
    """A product type in the list."""

    product: str
    title: str
    url: str


@router.get("/schema", summary="Product types that have a declaration")
def types() -> list[ProductName]:
    """Names and titles, with the address of what stands in each."""
    return [
        ProductName(product=t, title=known_type(t).title, url=f"/api/v1/schema/{t}")
        for t in described_types()
    ]


@router.get("/schema/{product}", summary="Variables of a product: dims, type, unit, meaning")
def schema(product: str) -> ProductSchema:
    """The declaration that checking, FITS, Zarr and netCDF go by; see docs/products.md."""
    try:
        found: dict[str, Any] = describe_product(product[:60])
    except SchemaError as error:
        raise NotInCatalogError(error.message) from None
    return ProductSchema(**found)
