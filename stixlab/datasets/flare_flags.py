"""What the instrument itself says of a flare, and where it sees it (TM(21,6) SSID 34)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.bins import INTEGRATION_TIME, Bins, usable_bins
from stixlab.datasets.construction import TIME_FIELDS, make_dataset, state_field
from stixlab.datasets.report import BuildReport
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FLARE_FLAG", "FLARE_FLAG_L0", "LOCATION_TEXT", "build_flare_flag"]

LOCATION_TEXT = "in the frame of the flight software (positive Y is negative Y of the spacecraft)"
_PROGRESS = "NIXD0449"
# Source of the states: flight database, CIXT0059TM to CIXT0061TM. Of axes and unit: technical note STIX-TN-0109.
_FIELDS = (
    *TIME_FIELDS,
    INTEGRATION_TIME,
    state_field(
        "thermal_index",
        "NIXD0061",
        {0: "none", 1: "minor_b1", 2: "small_c1", 3: "moderate_m1", 4: "major_x1"},
        "thermal flare, how large",
        "thermal_index",
    ),
    state_field(
        "non_thermal_index",
        "NIXD0060",
        {0: "none", 1: "weak", 2: "significant"},
        "flux at high, non-thermal energies",
        "non_thermal_index",
    ),
    state_field(
        "location_status",
        "NIXD0059",
        {0: "not_available", 1: "previous", 2: "new"},
        "what the location is: only with 1 and 2 there is one",
        "location_status",
    ),
    Field(
        "location_y",
        ("time",),
        "int16",
        "arcmin",
        f"flare location Y {LOCATION_TEXT}",
        source_parameter="NIX00284",
        fits_name="loc_y",
    ),
    Field(
        "location_z",
        ("time",),
        "int16",
        "arcmin",
        "flare location Z in the frame of the flight software",
        source_parameter="NIX00283",
        fits_name="loc_z",
    ),
    state_field(
        "flare_in_progress", _PROGRESS, {0: "false", 1: "true"}, "a flare is going on", "flare_progress"
    ),
    Field(
        "flare_in_progress_valid",
        ("time",),
        "bool",
        "1",
        "whether flare_in_progress was sent: flight software has it since May 2020",
    ),
)

FLARE_FLAG_L0 = DatasetSpec("ql-flareflag", "STIX flare flag and location on board, raw", _FIELDS)
"""Level 0 of the flare flag; its numbers are those of level 1."""
FLARE_FLAG = DatasetSpec("ql-flareflag", "STIX flare flag and location on board", _FIELDS)
"""Level 1 of the flare flag."""


def build_flare_flag(columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    """Level 0 flare flags of packets.

    Parameters
    ----------
    columns
        Decoded packets of TM(21,6) SSID 34.
    clock
        On-board time to UTC.
    report
        Gets the packets that are left out; packets without a bin are dropped silently.

    Returns
    -------
    list of xarray.Dataset
        One, or none if there is no bin. Bins in the order of the packets.
    """
    n_bins = usable_bins(columns, columns.counts("NIXD0061"), report)
    packets = np.flatnonzero(n_bins)
    if not packets.size:
        return []
    bins = Bins.of(columns, packets, n_bins)
    progress, valid = _progress(bins)
    arrays = bins.times(clock) | {"flare_in_progress": progress, "flare_in_progress_valid": valid}
    for field in _FIELDS:
        if field.name not in arrays:
            arrays[field.name] = bins.values(field.source_parameter).astype(field.dtype)
    return [make_dataset(FLARE_FLAG_L0, arrays, level="L0", attrs={})]


def _progress(bins: Bins) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The flag that old software does not send, and where it was sent."""
    progress = np.zeros(len(bins), dtype=np.uint8)
    if _PROGRESS not in bins.columns:
        return progress, np.zeros(len(bins), dtype=bool)
    valid = (bins.columns.counts(_PROGRESS) > 0)[bins.packet]
    place = bins.columns.splits[_PROGRESS][:-1][bins.packet] + bins.step
    progress[valid] = bins.columns[_PROGRESS][place[valid]]
    return progress, valid
