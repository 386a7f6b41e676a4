"""Background monitor: the counts of detector 10, whose openings are small, in bands (TM(21,6) SSID 31)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stixlab.datasets.bands import BandedPacket, banded_arrays
from stixlab.datasets.bins import INTEGRATION_TIME
from stixlab.datasets.construction import ENERGY_FIELDS, TIME_FIELDS, make_dataset
from stixlab.datasets.quicklook import LIGHTCURVE, LIGHTCURVE_L0
from stixlab.datasets.report import BuildReport
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["BACKGROUND", "BACKGROUND_L0", "build_background"]

_PACKET = BandedPacket(
    points="NIX00277",
    counts="NIX00278",
    per_bin=("NIX00274",),
    per_bin_text="triggers",
    upper_edge="NIXD0111",
    counts_scheme=("NIXD0108", "NIXD0109", "NIXD0110"),
    triggers_scheme=("NIXD0112", "NIXD0113", "NIXD0114"),
)
_SETTING_FIELDS = (
    INTEGRATION_TIME,
    replace(LIGHTCURVE["energy_edge_mask"], source_parameter="NIX00266 NIXD0111"),
    replace(LIGHTCURVE["counts_scheme"], source_parameter=" ".join(_PACKET.counts_scheme)),
    replace(LIGHTCURVE["triggers_scheme"], source_parameter=" ".join(_PACKET.triggers_scheme)),
)

BACKGROUND_L0 = DatasetSpec(
    "ql-background",
    "STIX quicklook background monitor, codes as transmitted",
    (
        *TIME_FIELDS,
        *ENERGY_FIELDS,
        replace(LIGHTCURVE_L0["counts_code"], source_parameter=_PACKET.counts),
        LIGHTCURVE_L0["triggers_code"],
        *_SETTING_FIELDS,
    ),
)
"""Level 0 of the background."""

BACKGROUND = DatasetSpec(
    "ql-background",
    "STIX quicklook background monitor",
    (
        *TIME_FIELDS,
        *ENERGY_FIELDS,
        replace(
            LIGHTCURVE["counts"],
            long_name="counts of the background monitor, detector 10",
            source_parameter=_PACKET.counts,
        ),
        LIGHTCURVE["counts_error"],
        LIGHTCURVE["counts_compression_error"],
        replace(LIGHTCURVE["triggers"], long_name="triggers of the accumulator of detectors 10 and 16"),
        LIGHTCURVE["triggers_error"],
        *_SETTING_FIELDS,
    ),
)
"""Level 1 of the background."""


def build_background(columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    """Level 0 background of packets, one dataset for each set of energies.

    Parameters
    ----------
    columns
        Decoded packets of TM(21,6) SSID 31.
    clock
        On-board time to UTC.
    report
        Gets the packets that are left out; packets without a bin are dropped silently.

    Returns
    -------
    list of xarray.Dataset
        Bins in the order of the packets.
    """
    return [
        make_dataset(BACKGROUND_L0, arrays | {"triggers_code": bins.values("NIX00274")}, level="L0", attrs={})
        for bins, arrays in banded_arrays(columns, _PACKET, clock, report)
    ]
