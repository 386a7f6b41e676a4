"""Pixel data by request: raw (SSID 20), compressed (SSID 21), of summed pixels (SSID 22). Codes and integers as sent."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets import requests
from stixlab.datasets.cells import Cells, Rows, find_rows, grid_of
from stixlab.datasets.construction import TIME_FIELDS, make_dataset
from stixlab.datasets.pixel_layouts import layouts_of
from stixlab.datasets.report import BuildReport
from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS
from stixlab.telemetry.assembly import Assembled
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "ACCUMULATED",
    "COMPRESSED_L0",
    "PIXEL",
    "PIXEL_SETS",
    "RAW_L0",
    "SETTINGS",
    "SUMMED_L0",
    "build_pixel_data",
    "build_raw_pixel_data",
]

_CUBE = ("time", "detector", "pixel", "energy")
_N_CHANNELS = 32
PIXEL = Field(
    "pixel",
    ("pixel",),
    "uint8",
    "1",
    "pixel, 0 to 11; where pixels are summed, the number of the set",
    coordinate=True,
)
PIXEL_SETS = Field(
    "pixel_sets",
    ("time", "pixel"),
    "uint16",
    "1",
    "pixels that are summed in each set, lowest bit: pixel 0; 0: the set was not sent",
    source_parameter="NIXD0407",
)
SETTINGS = (
    *requests.STATE_AND_LENGTH,
    requests.DETECTOR_MASK,
    requests.PIXEL_MASK,
    PIXEL_SETS,
    requests.EDGE_MASK,
    requests.COUNTS_VALID,
)
"""Settings of all pixel data."""
ACCUMULATED = ("time", "accumulator")
_COMPRESSED = (
    *TIME_FIELDS,
    requests.DETECTOR,
    PIXEL,
    requests.ACCUMULATOR,
    *requests.CHANNELS,
    Field(
        "counts_code", _CUBE, "uint8", "1", "counts, compressed on board; 0 where none were sent",
        source_parameter="NIX00260",
    ),
    Field(
        "triggers_code", ACCUMULATED, "uint8", "1", "triggers, compressed on board",
        source_parameter="NIX00242 to NIX00257",
    ),
    *SETTINGS,
    requests.COUNTS_SCHEME,
    requests.TRIGGERS_SCHEME,
)  # fmt: skip

COMPRESSED_L0 = DatasetSpec("sci-xray-cpd", "STIX compressed pixel data, codes as transmitted", _COMPRESSED)
"""Level 0 of compressed pixel data."""
SUMMED_L0 = DatasetSpec("sci-xray-scpd", "STIX summed pixel data, codes as transmitted", _COMPRESSED)
"""Level 0 of summed pixel data."""
RAW_L0 = DatasetSpec(
    "sci-xray-rpd",
    "STIX raw pixel data, integers as transmitted",
    (
        *TIME_FIELDS,
        requests.DETECTOR,
        PIXEL,
        requests.ACCUMULATOR,
        *requests.CHANNELS,
        Field(
            "counts", _CUBE, "uint32", "count", "counts; pixels without any are not sent",
            source_parameter="NIX00065",
        ),
        Field(
            "triggers", ACCUMULATED, "uint32", "1", "triggers", source_parameter="NIX00408 to NIX00423"
        ),
        *SETTINGS,
    ),
)  # fmt: skip
"""Level 0 of raw pixel data."""

_SPECS: Mapping[int, DatasetSpec] = MappingProxyType({21: COMPRESSED_L0, 22: SUMMED_L0})
_TRIGGERS = tuple(f"NIX{n:05}" for n in range(242, 258))
_RAW_TRIGGERS = tuple(f"NIX{n:05}" for n in range(408, 424))


def _axes_and_settings(
    assembled: Assembled,
    clock: ClockTable,
    rows: Rows,
    *,
    channels: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    pixel: NDArray[np.uint8],
    sets: NDArray[np.uint16],
) -> dict[str, NDArray[Any]]:
    """Axes and settings of pixel data.

    Parameters
    ----------
    channels : two of (energy,)
        Lowest and highest of each band.
    pixel : (pixel,)
    sets : (time, pixel)
    """
    low, high = channels
    return {
        **requests.common_arrays(
            assembled, clock, start=rows.start, duration=rows.duration, head=rows.head, low=low, high=high
        ),
        "detector": np.arange(1, N_DETECTORS + 1, dtype=np.uint8),
        "pixel": pixel,
        "accumulator": np.arange(requests.N_ACCUMULATORS, dtype=np.uint8),
        "pixel_sets": sets,
        "pixel_mask": np.bitwise_or.reduce(sets, axis=1).astype(np.uint16),
    }


def build_pixel_data(assembled: Assembled, clock: ClockTable, report: BuildReport) -> xr.Dataset | None:
    """Level 0 of compressed or summed pixel data (SSID 21, 22).

    The energies of a bin may be spread over structures and packets; they are put together by the start and length
    of the bin. What a missing packet held is 0 in the codes and false in ``counts_valid``.

    Parameters
    ----------
    assembled
        One request.
    clock
        On-board time to UTC.
    report
        Gets packets with energies that are left out: whose counts do not fit the masks, or that came twice.

    Returns
    -------
    xarray.Dataset or None
        None if the request has no counts.
    """
    columns = assembled.columns
    n_codes = columns["NIX00259"].astype(np.int64)
    cells = Cells.of(assembled, columns["NIX00258"], columns["NIXD0016"], columns["NIXD0017"])
    layouts = layouts_of(assembled, columns["NIX00442"], cells, n_codes)
    fits = n_codes == layouts.n_codes[layouts.index[cells.structure]]
    cells.leave_out(~fits, report, "the number of counts does not fit the masks of detectors and pixels")
    fits &= cells.check_bands(report)
    grid = grid_of(assembled, cells, fits, report)
    if grid is None:
        return None
    rows, n_energies = grid.rows, len(grid.low)
    out = np.zeros((grid.size, N_DETECTORS * len(layouts.pixel)), dtype=np.uint8)
    first = np.cumsum(n_codes) - n_codes
    for number in np.unique(layouts.index[cells.structure[grid.kept]]).tolist():
        mine = np.flatnonzero(grid.kept & (layouts.index[cells.structure] == number))
        _place(out, grid.place[mine], columns["NIX00260"], first[mine], layouts.places(number))
    cube = out.reshape(len(rows.start), n_energies, -1).transpose(0, 2, 1)
    sets = layouts.sets_on_axis[layouts.index[rows.head]]
    arrays = {
        **_axes_and_settings(
            assembled, clock, rows, channels=(grid.low, grid.high), pixel=layouts.pixel, sets=sets
        ),
        "counts_code": np.ascontiguousarray(cube).reshape(len(rows.start), N_DETECTORS, -1, n_energies),
        "triggers_code": np.stack([columns[n][rows.head] for n in _TRIGGERS], axis=1).astype(np.uint8),
        "counts_valid": grid.valid,
        "counts_scheme": requests.packed_scheme(columns, "NIX00260")[rows.packet],
        "triggers_scheme": requests.packed_scheme(columns, _TRIGGERS[0])[rows.packet],
    }
    return make_dataset(_SPECS[assembled.ssid], arrays, level="L0", attrs=requests.request_attrs(assembled))


def _place(
    out: NDArray[np.uint8],
    rows: NDArray[np.int64],
    codes: NDArray[Any],
    first: NDArray[np.int64],
    places: NDArray[np.int64],
) -> None:
    """Put the codes of cells of one layout to their places among detectors and pixels."""
    block = codes[requests.elements(first, len(places))].reshape(len(rows), len(places))
    if len(places) == out.shape[1] and (np.diff(places) == 1).all():
        out[rows] = block
        return
    wide = np.zeros((len(rows), out.shape[1]), dtype=np.uint8)
    wide[:, places] = block
    out[rows] = wide


def build_raw_pixel_data(assembled: Assembled, clock: ClockTable, report: BuildReport) -> xr.Dataset | None:
    """Level 0 of raw pixel data (SSID 20); see `build_pixel_data`.

    Which energies were asked for is not in the packets: the axis has all 32 channels. Pixels without counts are not
    sent; of a bin beside a missing packet it is not known whether they had none: ``counts_valid`` is false.
    """
    columns = assembled.columns
    structure = requests.structure_of(columns["NIX00406"])
    n_structures = len(columns["NIX00406"])
    rows = find_rows(assembled, np.arange(n_structures))
    if not len(rows.start):
        return None
    pixel = columns["NIXD0158"].astype(np.int64)
    packet = rows.packet_of_structure[structure]
    faulty = np.zeros(len(columns), dtype=bool)
    faulty[packet[pixel >= N_PIXELS]] = True
    report.leave_out(faulty, columns.block.source_offset, f"counts of pixels beyond {N_PIXELS - 1}")
    good = pixel < N_PIXELS
    counts = np.zeros((len(rows.start), N_DETECTORS, N_PIXELS, _N_CHANNELS), dtype=np.uint32)
    where = (rows.of_structure[structure], columns["NIXD0153"], pixel, columns["NIXD0154"])
    counts[tuple(w[good] for w in where)] = _sample_counts(columns["NIXD0159"], columns["NIX00065"])[good]
    valid = np.ones((len(rows.start), _N_CHANNELS), dtype=bool)
    valid[rows.beside_gaps(assembled)] = False
    channels = np.arange(_N_CHANNELS, dtype=np.uint8)
    sets = columns["NIXD0407"].astype(np.int64)[rows.head, None] & 1 << np.arange(N_PIXELS)
    arrays = {
        **_axes_and_settings(
            assembled,
            clock,
            rows,
            channels=(channels, channels.copy()),
            pixel=np.arange(N_PIXELS, dtype=np.uint8),
            sets=sets.astype(np.uint16),
        ),
        "counts": counts,
        "triggers": np.stack([columns[n][rows.head] for n in _RAW_TRIGGERS], axis=1).astype(np.uint32),
        "counts_valid": valid,
    }
    return make_dataset(RAW_L0, arrays, level="L0", attrs=requests.request_attrs(assembled))


def _sample_counts(n_bytes: NDArray[Any], values: NDArray[Any]) -> NDArray[np.uint32]:
    """Counts of samples that have 0 to 3 bytes, the highest first; without any it is 1 count."""
    n = n_bytes.astype(np.int64)
    first = np.cumsum(n) - n
    padded = np.append(values.astype(np.uint32), np.zeros(3, dtype=np.uint32))
    counts = np.zeros(len(n), dtype=np.uint32)
    for i in range(3):
        counts = np.where(i < n, counts << 8 | padded[first + i], counts).astype(np.uint32)
    return np.where(n == 0, np.uint32(1), counts).astype(np.uint32)
