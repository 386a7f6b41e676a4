"""Variance of the counts within a bin, in one wide band (TM(21,6) SSID 33).

The counts of the band are taken many times in a bin (40 times 0.1 s); what is sent tells how much they differ. It is
the sum of the squared differences from their mean: of counts that differ by chance alone it is on average the number
of counts in the bin. So it is on 2020-05-06 (median 2943, and 2782 counts in 25 to 150 keV).

The lowest bit of the energy mask stands for channel 0. Files of others read it from the other end and name the band
4 to 20 keV; the values follow the counts above 25 keV (correlation 0.72 with 50 to 150 keV, negative below 25 keV).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.bands import bins_by_bounds
from stixlab.datasets.bins import INTEGRATION_TIME, usable_bins
from stixlab.datasets.construction import ENERGY_FIELDS, TIME_FIELDS, make_dataset
from stixlab.datasets.quicklook import LIGHTCURVE
from stixlab.datasets.report import BuildReport
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["VARIANCE", "VARIANCE_L0", "build_variance"]

_SCHEME = ("NIXD0118", "NIXD0119", "NIXD0120")
_SETTING_FIELDS = (
    INTEGRATION_TIME,
    Field(
        "samples_per_variance",
        ("time",),
        "uint8",
        "1",
        "how often the counts are taken in a bin",
        source_parameter="NIX00279",
        fits_name="samples_per_variance",
    ),
    LIGHTCURVE["detector_mask"],
    LIGHTCURVE["pixel_mask"],
    Field(
        "energy_mask",
        ("time",),
        "uint32",
        "1",
        "science channels summed, lowest bit: channel 0",
        source_parameter="NIX00282",
    ),
    Field(
        "variance_scheme",
        ("time",),
        "uint8",
        "1",
        "compression of the variance as 100 s + 10 k + m",
        source_parameter=" ".join(_SCHEME),
    ),
)

VARIANCE_L0 = DatasetSpec(
    "ql-variance",
    "STIX quicklook variance, codes as transmitted",
    (
        *TIME_FIELDS,
        *ENERGY_FIELDS,
        Field(
            "variance_code",
            ("time", "energy"),
            "uint8",
            "1",
            "variance, compressed on board",
            source_parameter="NIX00281",
        ),
        *_SETTING_FIELDS,
    ),
)
"""Level 0 of the variance."""

VARIANCE = DatasetSpec(
    "ql-variance",
    "STIX quicklook variance",
    (
        *TIME_FIELDS,
        *ENERGY_FIELDS,
        Field(
            "variance",
            ("time", "energy"),
            "uint32",
            "count2",
            "sum of the squared differences of the counts from their mean in a bin",
            source_parameter="NIX00281",
            ancillary="variance_error",
            fits_name="variance",
        ),
        Field(
            "variance_error",
            ("time", "energy"),
            "float32",
            "count2",
            "standard deviation of the variance, compression only",
            fits_name="variance_comp_err",
        ),
        *_SETTING_FIELDS,
    ),
)
"""Level 1 of the variance."""


def build_variance(columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    """Level 0 variance of packets, one dataset for each band; a band reaches from its lowest channel to its highest.

    Parameters
    ----------
    columns
        Decoded packets of TM(21,6) SSID 33.
    clock
        On-board time to UTC.
    report
        Gets the packets that are left out; packets without a bin are dropped silently.

    Returns
    -------
    list of xarray.Dataset
        Bins in the order of the packets.
    """
    n_bins = usable_bins(columns, columns.counts("NIX00281"), report, schemes=(_SCHEME,))
    mask = columns["NIX00282"].astype(np.uint64)
    empty = (mask == 0) & (n_bins > 0)
    report.leave_out(empty, columns.block.source_offset, "energy mask has no channel")
    n_bins = np.where(empty, 0, n_bins)
    datasets = []
    for bins, axes in bins_by_bounds(columns, clock, mask, n_bins, _one_band):
        arrays = axes | {
            "variance_code": bins.values("NIX00281")[:, None],
            "samples_per_variance": bins.spread("NIX00279", "uint8"),
            "detector_mask": bins.spread("NIX00407", "uint32"),
            "pixel_mask": bins.spread("NIXD0407", "uint16"),
            "energy_mask": bins.spread("NIX00282", "uint32"),
            "variance_scheme": bins.scheme(_SCHEME),
        }
        datasets.append(make_dataset(VARIANCE_L0, arrays, level="L0", attrs={}))
    return datasets


def _one_band(mask: int, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    lowest, highest = (mask & -mask).bit_length() - 1, mask.bit_length() - 1
    return np.array([[edges[lowest], edges[highest + 1]]])
