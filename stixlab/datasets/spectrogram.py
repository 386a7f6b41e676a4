"""Spectrograms by request (SSID 24): counts summed over detectors and pixels. Codes as sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets import requests
from stixlab.datasets.construction import TIME_FIELDS, make_dataset
from stixlab.datasets.report import BuildReport
from stixlab.telemetry.assembly import Assembled
from stixlab.telemetry.columns import Columns
from stixlab.telemetry.data_times import start_offsets
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SETTINGS", "SPECTROGRAM_L0", "build_spectrogram"]

SETTINGS = (
    *requests.STATE_AND_LENGTH,
    requests.DETECTOR_MASK,
    requests.PIXEL_MASK,
    requests.EDGE_MASK,
    requests.COUNTS_VALID,
)
"""Settings of a spectrogram."""
SPECTROGRAM_L0 = DatasetSpec(
    "sci-xray-spec",
    "STIX spectrogram, codes as transmitted",
    (
        *TIME_FIELDS,
        *requests.CHANNELS,
        Field(
            "counts_code",
            ("time", "energy"),
            "uint8",
            "1",
            "counts summed over detectors and pixels, compressed on board; 0 where none were sent",
            source_parameter="NIX00268",
        ),
        Field(
            "triggers_code",
            ("time",),
            "uint8",
            "1",
            "triggers summed over the accumulators, compressed on board",
            source_parameter="NIX00267",
        ),
        *SETTINGS,
        requests.COUNTS_SCHEME,
        requests.TRIGGERS_SCHEME,
    ),
)
"""Level 0 of a spectrogram."""


@dataclass(frozen=True, eq=False)
class _Samples:
    """Times of a spectrogram, as sent."""

    structure: NDArray[np.int64]
    """(n,) structure of each."""
    packet: NDArray[np.int64]
    """(n_structures,) packet of each structure."""
    start: NDArray[np.int64]
    duration: NDArray[np.int64]
    """(n,) 0.1 s."""


def build_spectrogram(assembled: Assembled, clock: ClockTable, report: BuildReport) -> xr.Dataset | None:
    """Level 0 of a spectrogram.

    Parameters
    ----------
    assembled
        One request.
    clock
        On-board time to UTC.
    report
        Gets packets with samples that are left out: whose energies do not fit their bounds, or whose time runs back.

    Returns
    -------
    xarray.Dataset or None
        None if the request has no counts. A bin lasts until the next of its structure begins, the last for as long
        as the packet says; where it says 0, as old software did, until the next structure begins, if nothing is
        missing between. The very last then has no length.
    """
    columns = assembled.columns
    samples = _samples(columns)
    if not len(samples.start):
        return None
    low, high, band = _bands(columns, samples)
    n_codes = columns["NIX00270"].astype(np.int64)
    counted = (band >= 0).sum(axis=1)
    fits = n_codes == counted[samples.structure]
    _leave_out(~fits, samples, columns, report, "the number of energies does not fit their bounds")
    forward = samples.duration >= 0
    _leave_out(~forward & fits, samples, columns, report, "the times of a structure run back")
    fits &= forward
    order = np.flatnonzero(fits)
    order = order[np.lexsort((samples.duration[order], samples.start[order]))]
    if not len(order):
        return None
    codes, valid = _codes(columns, order, samples.structure[order], band, len(low))
    structure = samples.structure[order]
    packet = samples.packet[structure]
    arrays: dict[str, NDArray[Any]] = {
        **requests.common_arrays(
            assembled,
            clock,
            start=samples.start[order],
            duration=samples.duration[order],
            head=structure,
            low=low,
            high=high,
        ),
        "pixel_mask": columns["NIXD0407"][structure].astype(np.uint16),
        "counts_code": codes,
        "counts_valid": valid,
        "triggers_code": columns["NIX00267"][order].astype(np.uint8),
        "counts_scheme": requests.packed_scheme(columns, "NIX00268")[packet],
        "triggers_scheme": requests.packed_scheme(columns, "NIX00267")[packet],
    }
    return make_dataset(SPECTROGRAM_L0, arrays, level="L0", attrs=requests.request_attrs(assembled))


def _samples(columns: Columns) -> _Samples:
    """Start and length of each sample."""
    n_samples = columns["NIX00089"].astype(np.int64)
    start, _ = start_offsets(columns)
    structure = requests.structure_of(n_samples)
    packet = np.repeat(np.arange(len(columns)), columns.counts("NIX00089"))
    closing = columns["NIX00269"].astype(np.int64)[structure]
    # a structure without samples has no time of its own
    following = np.append(start[1:], start[-1:])
    last = np.append(np.diff(structure) > 0, True)[: len(start)]
    count = columns.block.sequence_count.astype(np.int64)
    adjacent = np.append(np.diff(count) % 16_384 == 1, False)
    there = packet[structure]
    next_packet = np.append(there[1:], there[-1:])
    goes_on = (next_packet == there) | ((next_packet == there + 1) & adjacent[there])
    unsaid = last & (closing == 0)
    goes_on &= following > start
    duration = np.where(last & ~unsaid, closing, np.where(unsaid & ~goes_on, 0, following - start))
    return _Samples(structure, packet, start, duration)


def _leave_out(
    faulty: NDArray[np.bool_], samples: _Samples, columns: Columns, report: BuildReport, reason: str
) -> None:
    packets = np.zeros(len(columns), dtype=bool)
    packets[samples.packet[samples.structure[faulty]]] = True
    report.leave_out(packets, columns.block.source_offset, reason)


def _bands(
    columns: Columns, samples: _Samples
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Energy bands that occur, and which of them each structure has.

    Returns
    -------
    low, high : (energy,)
    band : (n_structures, most bands)
        Place on the axis; -1 behind the last.
    """
    used = np.zeros(len(columns["NIX00089"]), dtype=bool)
    used[samples.structure] = True
    first, last = (columns[n].astype(np.int64)[:, None] for n in ("NIXD0442", "NIXD0443"))
    unit = columns["NIXD0019"].astype(np.int64)[:, None] + 1
    low = first + unit * np.arange(32)
    high = np.minimum(low + unit - 1, last)
    there = (low <= last) & used[:, None]
    code = np.where(there, low * 32 + high, -1)
    bands = np.unique(code[there])
    place = np.where(there, np.searchsorted(bands, code), -1)
    return (bands // 32).astype(np.uint8), (bands % 32).astype(np.uint8), place


def _codes(
    columns: Columns,
    order: NDArray[np.int64],
    structure: NDArray[np.int64],
    band: NDArray[np.int64],
    n_bands: int,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Codes of samples on the axis of energies, and which of them were sent; (time, energy) each."""
    values = columns["NIX00268"].astype(np.uint8, copy=False)
    n_codes = columns["NIX00270"].astype(np.int64)
    begin = np.cumsum(n_codes) - n_codes
    codes = np.zeros((len(order), n_bands), dtype=np.uint8)
    valid = np.zeros((len(order), n_bands), dtype=bool)
    kinds, kind = np.unique(band, axis=0, return_inverse=True)
    kind = kind.ravel()[structure]
    for number in np.unique(kind).tolist():
        mine = np.flatnonzero(kind == number)
        places = kinds[number][kinds[number] >= 0]
        block = values[requests.elements(begin[order[mine]], len(places))].reshape(len(mine), len(places))
        codes[mine[:, None], places] = block
        valid[mine[:, None], places] = True
    return codes, valid
