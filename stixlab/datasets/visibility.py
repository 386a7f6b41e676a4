"""Visibilities computed on board, by request (SSID 23). Codes as sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets import requests
from stixlab.datasets.cells import Cells, Grid, grid_of
from stixlab.datasets.construction import TIME_FIELDS, make_dataset
from stixlab.datasets.report import BuildReport
from stixlab.instrument.detectors import N_DETECTORS
from stixlab.telemetry.assembly import Assembled
from stixlab.telemetry.schemes import SchemeProblem, scheme_problems
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SETTINGS", "VISIBILITY_L0", "build_visibility"]

_MASKS = ("NIXD0407", "NIXD0444", "NIXD0445", "NIXD0446", "NIXD0447")
_TRIGGERS = tuple(f"NIX{n:05}" for n in range(242, 258))
_BY_DETECTOR = ("time", "detector", "energy")
SETTINGS = (
    *requests.STATE_AND_LENGTH,
    requests.DETECTOR_MASK,
    *(
        Field(
            f"pixel_mask_{i}",
            ("time",),
            "uint16",
            "1",
            f"pixels of sum {i}, lowest bit: pixel 0"
            if i < 5
            else "pixels summed for the flux, lowest bit: pixel 0",
            source_parameter=name,
            fits_name=f"pixel_mask{i}",
        )
        for i, name in enumerate(_MASKS, start=1)
    ),
    requests.EDGE_MASK,
    requests.COUNTS_VALID,
    Field(
        "detector_valid",
        _BY_DETECTOR,
        "bool",
        "1",
        "whether a visibility of the detector was received",
        source_parameter="NIX00100",
    ),
)
"""Settings of visibilities."""
FLUX_SCHEME = Field(
    "flux_scheme", ("time",), "uint8", "1", "compression of the flux as the software on board used it, 100 s + 10 k + m",
    source_parameter="NIXD0007 NIXD0008 NIXD0009",
)  # fmt: skip
VISIBILITY_L0 = DatasetSpec(
    "sci-xray-vis",
    "STIX visibilities, codes as transmitted",
    (
        *TIME_FIELDS,
        requests.DETECTOR,
        requests.ACCUMULATOR,
        *requests.CHANNELS,
        Field("real_code", _BY_DETECTOR, "uint8", "1", "real part, compressed", source_parameter="NIX00263"),
        Field(
            "imaginary_code", _BY_DETECTOR, "uint8", "1", "imaginary part, compressed",
            source_parameter="NIX00264",
        ),
        Field("flux_code", ("time", "energy"), "uint8", "1", "flux, compressed", source_parameter="NIX00261"),
        Field(
            "triggers_code", ("time", "accumulator"), "uint8", "1", "triggers, compressed on board",
            source_parameter="NIX00242 to NIX00257",
        ),
        *SETTINGS,
        requests.COUNTS_SCHEME,
        FLUX_SCHEME,
        requests.TRIGGERS_SCHEME,
    ),
)  # fmt: skip
"""Level 0 of visibilities."""


def build_visibility(assembled: Assembled, clock: ClockTable, report: BuildReport) -> xr.Dataset | None:
    """Level 0 of visibilities.

    Parameters
    ----------
    assembled
        One request.
    clock
        On-board time to UTC.
    report
        Gets packets with energies or detectors that are left out.

    Returns
    -------
    xarray.Dataset or None
        None if the request has none. ``attrs["without_sign"]`` is 1 where the scheme has no sign though the
        parts are signed (software of 2020): values of codes from 128 on are not what was meant.
    """
    columns = assembled.columns
    cells = Cells.of(assembled, columns["NIX00258"], columns["NIXD0016"], columns["NIXD0017"])
    grid = grid_of(assembled, cells, cells.check_bands(report), report)
    if grid is None:
        return None
    rows, packet = grid.rows, grid.rows.packet
    flux = np.zeros(grid.size, dtype=np.uint8)
    flux[grid.place[grid.kept]] = columns["NIX00261"][grid.kept]
    arrays: dict[str, NDArray[Any]] = {
        **requests.common_arrays(
            assembled,
            clock,
            start=rows.start,
            duration=rows.duration,
            head=rows.head,
            low=grid.low,
            high=grid.high,
        ),
        **{f"pixel_mask_{i}": columns[n][rows.head].astype(np.uint16) for i, n in enumerate(_MASKS, start=1)},
        **_parts(cells, grid, report),
        "detector": np.arange(1, N_DETECTORS + 1, dtype=np.uint8),
        "accumulator": np.arange(requests.N_ACCUMULATORS, dtype=np.uint8),
        "flux_code": flux.reshape(grid.shape),
        "triggers_code": np.stack([columns[n][rows.head] for n in _TRIGGERS], axis=1).astype(np.uint8),
        "counts_valid": grid.valid,
        "counts_scheme": requests.packed_scheme(columns, "NIX00263")[packet],
        "flux_scheme": requests.packed_scheme(columns, "NIX00261")[packet],
        "triggers_scheme": requests.packed_scheme(columns, _TRIGGERS[0])[packet],
    }
    attrs = requests.request_attrs(assembled)
    attrs["without_sign"] = int((scheme_problems(columns) & SchemeProblem.NO_SIGN).any())
    return make_dataset(VISIBILITY_L0, arrays, level="L0", attrs=attrs)


def _parts(cells: Cells, grid: Grid, report: BuildReport) -> dict[str, NDArray[Any]]:
    """Real and imaginary parts, and where they were received, (time, detector, energy) each.

    Cells with a detector that there is not are noted; their other detectors stay.
    """
    columns = cells.columns
    cell = requests.structure_of(columns["NIX00262"])
    detector = columns["NIX00100"].astype(np.int64)
    known = detector < N_DETECTORS
    beyond = np.zeros(len(cells.structure), dtype=bool)
    beyond[cell[~known]] = True
    cells.leave_out(beyond, report, f"visibilities of detectors beyond {N_DETECTORS}")
    used = known & grid.kept[cell]
    where = (grid.place[cell[used]], detector[used])

    def by_detector(values: NDArray[Any], dtype: type) -> NDArray[Any]:
        cube: NDArray[Any] = np.zeros((grid.size, N_DETECTORS), dtype=dtype)
        cube[where] = values[used]
        return np.ascontiguousarray(cube.reshape(*grid.shape, N_DETECTORS).transpose(0, 2, 1))

    return {
        "real_code": by_detector(columns["NIX00263"], np.uint8),
        "imaginary_code": by_detector(columns["NIX00264"], np.uint8),
        "detector_valid": by_detector(np.ones(len(detector), dtype=bool), bool),
    }
