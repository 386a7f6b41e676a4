"""Aspect bursts (SSID 42): readings of the four photodiodes behind the aspect lens. The same in levels 0 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import TIME_FIELDS, make_dataset
from stixlab.datasets.report import BuildReport
from stixlab.datasets.requests import request_attrs
from stixlab.telemetry.assembly import Assembled
from stixlab.telemetry.data_times import first_values
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ASPECT", "ASPECT_L0", "build_aspect"]

_DIODES = (("cha_diode0", "A0"), ("cha_diode1", "A1"), ("chb_diode0", "B0"), ("chb_diode1", "B1"))
_PARAMETERS = ("NIX00090", "NIX00091", "NIX00092", "NIX00093")
_FIELDS = (
    *TIME_FIELDS,
    *(
        Field(
            name,
            ("time",),
            "uint16",
            "adu",
            f"photodiode {label}, sum of readings as transmitted",
            source_parameter=parameter,
            fits_name=name,
        )
        for (name, label), parameter in zip(_DIODES, _PARAMETERS, strict=True)
    ),
    Field("integration_time", ("time",), "float32", "s", "duration of the sample"),
    Field(
        "summing",
        ("time",),
        "uint8",
        "1",
        "readings, one each millisecond, that are added up",
        source_parameter="NIX00088",
    ),
    Field(
        "averaging",
        ("time",),
        "uint16",
        "1",
        "sums that are averaged into one sample",
        source_parameter="NIX00490",
    ),
)
ASPECT_L0 = DatasetSpec("sci-aspect-burst", "STIX aspect burst, integers as transmitted", _FIELDS)
"""Level 0 of an aspect burst."""
ASPECT = DatasetSpec("sci-aspect-burst", "STIX aspect burst", _FIELDS)
"""Level 1 of an aspect burst: there is no curve from readings to volts in the flight database."""


def build_aspect(assembled: Assembled, clock: ClockTable, report: BuildReport) -> xr.Dataset | None:
    """Level 0 of an aspect burst.

    Parameters
    ----------
    assembled
        One burst.
    clock
        On-board time to UTC.
    report
        Gets packets that are left out: whose time is not synchronised, or whose samples have no length.

    Returns
    -------
    xarray.Dataset or None
        None if there are no samples.
    """
    columns = assembled.columns
    n_samples = first_values(columns, "NIX00089")
    coarse = first_values(columns, "NIX00445")
    summing, averaging = first_values(columns, "NIX00088"), first_values(columns, "NIX00490", 1)
    step_ms = summing * averaging
    offset = columns.block.source_offset
    lost = (coarse >= 1 << 31) & (n_samples > 0)
    report.leave_out(lost, offset, "on-board time is not synchronised")
    short = (step_ms == 0) & (n_samples > 0) & ~lost
    report.leave_out(short, offset, "samples have no length: summing or averaging is 0")
    packet = np.repeat(np.arange(len(columns)), n_samples)
    number = np.arange(len(packet)) - np.repeat(np.cumsum(n_samples) - n_samples, n_samples)
    start = (coarse << 16 | first_values(columns, "NIX00446"))[packet]
    ticks = start + (number * step_ms[packet] * FINE_PER_SECOND) // 1000
    kept = np.flatnonzero(~(lost | short)[packet])
    kept = kept[np.argsort(ticks[kept], kind="stable")]
    if not len(kept):
        return None
    packet, ticks = packet[kept], ticks[kept]
    length = (step_ms[packet] * 1_000_000).astype("timedelta64[ns]")
    bounds = np.empty((len(kept), 2), dtype="datetime64[ns]")
    bounds[:, 0] = clock.ticks_to_utc(ticks)
    np.add(bounds[:, 0], length, out=bounds[:, 1])
    arrays: dict[str, NDArray[Any]] = {
        "time": bounds[:, 0] + length // 2,
        "time_bounds": bounds,
        "scet_coarse": (ticks >> 16).astype(np.uint32),
        "scet_fine": (ticks & 0xFFFF).astype(np.uint16),
        **{
            name: columns[parameter][kept].astype(np.uint16)
            for (name, _), parameter in zip(_DIODES, _PARAMETERS, strict=True)
        },
        "integration_time": (step_ms[packet] / 1000).astype(np.float32),
        "summing": summing[packet].astype(np.uint8),
        "averaging": averaging[packet].astype(np.uint16),
    }
    return make_dataset(ASPECT_L0, arrays, level="L0", attrs=request_attrs(assembled))
