"""Which packets make which product: one line for each family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stixlab.datasets import housekeeping, quicklook
from stixlab.datasets.report import BuildReport
from stixlab.errors import SchemaError
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BUILDERS", "SPECS", "ProductBuilder", "get_spec"]

Build = Callable[[Columns, ClockTable, BuildReport], "list[xr.Dataset]"]


@dataclass(frozen=True)
class ProductBuilder:
    """How packets of one structure become datasets."""

    product: str
    """Archive name of the product type."""
    spec: DatasetSpec
    """Declaration of the level 0 dataset."""
    build: Build
    """Columns, clock, report -> level 0 datasets, one for each set of energies, not yet in order."""


BUILDERS: dict[tuple[int, int, int], ProductBuilder] = {
    (3, 25, 1): ProductBuilder("hk-mini", housekeeping.MINI_L0, housekeeping.build_mini),
    (3, 25, 2): ProductBuilder("hk-maxi", housekeeping.MAXI_L0, housekeeping.build_maxi),
    (21, 6, 30): ProductBuilder("ql-lightcurve", quicklook.LIGHTCURVE_L0, quicklook.build_lightcurve),
}
"""Builders by service, subservice and structure."""

SPECS: dict[str, DatasetSpec] = {
    s.product: s for s in (housekeeping.MINI, housekeeping.MAXI, quicklook.LIGHTCURVE)
}
"""Declarations of the level 1 datasets, by product type."""


def get_spec(product: str) -> DatasetSpec:
    """Declaration of the level 1 dataset of a product type.

    Raises
    ------
    SchemaError
        If none is declared yet; the message lists those that are.
    """
    try:
        return SPECS[product]
    except KeyError:
        raise SchemaError(f"product type: expected one of {', '.join(SPECS)}; found {product!r}") from None
