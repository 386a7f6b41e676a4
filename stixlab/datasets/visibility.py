"""Visibilities computed on board, by request (SSID 23). Codes as sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.cells import Cells, find_rows, keep_first, kept_bands
from stixlab.datasets.construction import TIME_FIELDS, make_dataset
from stixlab.datasets.report import BuildReport
from stixlab.datasets.requests import (
    ACCUMULATOR,
    CHANNELS,
    COUNTS_SCHEME,
    COUNTS_VALID,
    DETECTOR,
    DETECTOR_MASK,
    EDGE_MASK,
    N_ACCUMULATORS,
    STATE_AND_LENGTH,
    TRIGGERS_SCHEME,
    bin_arrays,
    edge_mask,
    packed_scheme,
    request_attrs,
    structure_of,
)
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
    *STATE_AND_LENGTH,
    DETECTOR_MASK,
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
    EDGE_MASK,
    COUNTS_VALID,
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
        DETECTOR,
        ACCUMULATOR,
        *CHANNELS,
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
        COUNTS_SCHEME,
        FLUX_SCHEME,
        TRIGGERS_SCHEME,
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
    fits = cells.check_bands(report)
    rows = find_rows(assembled, cells.structure[fits])
    if not len(rows.start):
        return None
    low, high, band = kept_bands(cells, fits)
    place = rows.of_structure[cells.structure] * len(low) + band
    fits &= keep_first(cells, place, fits, report)
    n_times, n_energies, head, packet = len(rows.start), len(low), rows.head, rows.packet
    cell = structure_of(columns["NIX00262"])
    detector = columns["NIX00100"].astype(np.int64)
    known = detector < N_DETECTORS
    beyond = np.zeros(len(cells.structure), dtype=bool)
    beyond[cell[~known]] = True
    cells.leave_out(beyond, report, f"visibilities of detectors beyond {N_DETECTORS}")
    used = known & fits[cell]
    valid = np.zeros(n_times * n_energies, dtype=bool)
    valid[place[fits]] = True
    flux = np.zeros(n_times * n_energies, dtype=np.uint8)
    flux[place[fits]] = columns["NIX00261"][fits]

    def by_detector(values: NDArray[Any], dtype: type) -> NDArray[Any]:
        cube: NDArray[Any] = np.zeros((n_times * n_energies, N_DETECTORS), dtype=dtype)
        cube[place[cell[used]], detector[used]] = values[used]
        return np.ascontiguousarray(cube.reshape(n_times, n_energies, N_DETECTORS).transpose(0, 2, 1))

    masks = {f"pixel_mask_{i}": columns[n][head].astype(np.uint16) for i, n in enumerate(_MASKS, start=1)}
    arrays: dict[str, NDArray[Any]] = {
        **bin_arrays(assembled.time_stamp, rows.start, rows.duration, clock),
        **masks,
        "detector": np.arange(1, N_DETECTORS + 1, dtype=np.uint8),
        "accumulator": np.arange(N_ACCUMULATORS, dtype=np.uint8),
        "channel_low": low,
        "channel_high": high,
        "energy_edge_mask": np.full(n_times, edge_mask(low, high), dtype=np.uint64),
        "rate_control_state": columns["NIX00401"][head].astype(np.uint8),
        "detector_mask": columns["NIX00407"][head].astype(np.uint32),
        "real_code": by_detector(columns["NIX00263"], np.uint8),
        "imaginary_code": by_detector(columns["NIX00264"], np.uint8),
        "flux_code": flux.reshape(n_times, n_energies),
        "triggers_code": np.stack([columns[n][head] for n in _TRIGGERS], axis=1).astype(np.uint8),
        "counts_valid": valid.reshape(n_times, n_energies),
        "detector_valid": by_detector(np.ones(len(detector), dtype=bool), bool),
        "counts_scheme": packed_scheme(columns, "NIX00263")[packet],
        "flux_scheme": packed_scheme(columns, "NIX00261")[packet],
        "triggers_scheme": packed_scheme(columns, _TRIGGERS[0])[packet],
    }
    attrs = request_attrs(assembled)
    attrs["without_sign"] = int((scheme_problems(columns) & SchemeProblem.NO_SIGN).any())
    return make_dataset(VISIBILITY_L0, arrays, level="L0", attrs=attrs)
