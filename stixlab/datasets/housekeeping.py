"""Housekeeping packets: the short (SID 1) and the long (SID 2) report of TM(3,25). One packet is one time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stixlab.datasets.bins import times_of_packets
from stixlab.datasets.construction import TIME_FIELDS, make_dataset
from stixlab.datasets.housekeeping_fields import MAXI_FIELDS, MINI_FIELDS
from stixlab.datasets.report import BuildReport
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MAXI", "MAXI_L0", "MINI", "MINI_L0", "build_maxi", "build_mini"]


def _level0(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """The same variables as integers: 16 bits hold what has a physical value in level 1."""
    return tuple(
        Field(
            f.name,
            f.dims,
            "uint16" if f.dtype == "float32" else f.dtype,
            "1",
            f.long_name,
            source_parameter=f.source_parameter,
        )
        for f in fields
    )


_MINI_TITLE, _MAXI_TITLE = "STIX housekeeping, short report", "STIX housekeeping, long report"
MINI = DatasetSpec("hk-mini", _MINI_TITLE, (*TIME_FIELDS, *MINI_FIELDS))
"""Level 1 of the short report."""
MAXI = DatasetSpec("hk-maxi", _MAXI_TITLE, (*TIME_FIELDS, *MAXI_FIELDS))
"""Level 1 of the long report."""
MINI_L0 = DatasetSpec("hk-mini", f"{_MINI_TITLE}, raw", (*TIME_FIELDS, *_level0(MINI_FIELDS)))
"""Level 0 of the short report."""
MAXI_L0 = DatasetSpec("hk-maxi", f"{_MAXI_TITLE}, raw", (*TIME_FIELDS, *_level0(MAXI_FIELDS)))
"""Level 0 of the long report."""


def build_mini(columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    """Level 0 of short reports; see `build_maxi`."""
    return _build(MINI_L0, columns, clock, report)


def build_maxi(columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    """Level 0 of long reports.

    Parameters
    ----------
    columns
        Decoded packets of TM(3,25) SID 2.
    clock
        On-board time to UTC.
    report
        Gets the packets that are left out: those whose time is not synchronised.

    Returns
    -------
    list of xarray.Dataset
        One, or none if no packet is left. The time is that of the packet; a bin has no length.
    """
    return _build(MAXI_L0, columns, clock, report)


def _build(spec: DatasetSpec, columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    packets, arrays = times_of_packets(columns, clock, report)
    if not packets.size:
        return []
    for field in spec.fields:
        if field.source_parameter:
            arrays[field.name] = columns.values[field.source_parameter][packets].astype(field.dtype)
    return [make_dataset(spec, arrays, level="L0", attrs={})]
