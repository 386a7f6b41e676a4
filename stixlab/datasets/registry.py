"""Which packets make which product: one line for each family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stixlab.datasets import (
    background,
    calibration_spectra,
    flare_flags,
    housekeeping,
    onboard_flares,
    quicklook,
    science_level1,
    spectra,
    variance,
)
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
    (21, 6, 31): ProductBuilder("ql-background", background.BACKGROUND_L0, background.build_background),
    (21, 6, 32): ProductBuilder("ql-spectra", spectra.SPECTRA_L0, spectra.build_spectra),
    (21, 6, 33): ProductBuilder("ql-variance", variance.VARIANCE_L0, variance.build_variance),
    (21, 6, 34): ProductBuilder("ql-flareflag", flare_flags.FLARE_FLAG_L0, flare_flags.build_flare_flag),
    (21, 6, 41): ProductBuilder(
        "cal-spectra", calibration_spectra.CALIBRATION_L0, calibration_spectra.build_calibration
    ),
    (21, 6, 43): ProductBuilder(
        "ql-tmstatusflarelist", onboard_flares.FLARE_LIST_L0, onboard_flares.build_flare_list
    ),
}
"""Builders by service, subservice and structure."""

SPECS: dict[str, DatasetSpec] = {
    s.product: s
    for s in (
        housekeeping.MINI,
        housekeeping.MAXI,
        quicklook.LIGHTCURVE,
        background.BACKGROUND,
        spectra.SPECTRA,
        variance.VARIANCE,
        flare_flags.FLARE_FLAG,
        calibration_spectra.CALIBRATION,
        onboard_flares.FLARE_LIST,
        *science_level1.SPECS,
    )
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
