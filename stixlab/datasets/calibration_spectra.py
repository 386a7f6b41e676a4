"""Energy calibration spectra: lines of the source on board in each pixel, over hours (TM(21,6) SSID 41).

A run is sent in many packets. Each names the run by its start, and holds spectra of some pixels: parts of the range of
the converter (sub-spectra), each with its own number of channels in a point. The points of all sub-spectra, one behind
the other, are the axis of channels.

The duration in a packet goes on until the packet is made; the smallest is that of the run: on 2020-05-06 it is
45,599 s in the first packet, which left 2 s later, and 49,104 s in the last, with the same live time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.bins import impossible_scheme, not_synchronised, pack_scheme, times_of_bins
from stixlab.datasets.calibration_fields import (
    CALIBRATION,
    CALIBRATION_L0,
    N_CHANNELS,
    N_SUBSPECTRA,
    PARTS,
    SCHEME,
)
from stixlab.datasets.construction import make_dataset
from stixlab.datasets.report import BuildReport
from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS
from stixlab.telemetry.decode import Columns
from stixlab.telemetry.duplicates import content_hashes
from stixlab.timing.scet import ClockTable

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CALIBRATION", "CALIBRATION_L0", "build_calibration"]

_START, _DURATION = "NIX00445", "NIX00122"
_DETECTOR, _PIXEL, _PART = "NIXD0155", "NIXD0156", "NIXD0157"
_N_POINTS, _POINT = "NIX00146", "NIX00158"


@dataclass(frozen=True, eq=False)
class _Layout:
    """Sub-spectra of a run, and the axis that their points make."""

    mask: int
    points: NDArray[np.int64]
    """(8,) points of each sub-spectrum; 0 of those that are not sent."""
    width: NDArray[np.int64]
    """(8,) channels in a point."""
    lowest: NDArray[np.int64]
    """(8,) first channel."""

    @classmethod
    def of(cls, row: NDArray[np.int64]) -> _Layout:
        """From the mask and the 24 numbers of a packet."""
        mask, parts = int(row[0]), row[1:].reshape(N_SUBSPECTRA, 3)
        sent = mask >> np.arange(N_SUBSPECTRA) & 1
        return cls(mask, (parts[:, 0] + 1) * sent, parts[:, 1] + 1, parts[:, 2])

    @property
    def possible(self) -> bool:
        """There is a sub-spectrum, and none reaches beyond the range of the converter."""
        inside = self.lowest + self.points * self.width <= N_CHANNELS
        return bool(self.points.any() and inside[self.points > 0].all())

    @property
    def first(self) -> NDArray[np.int64]:
        """(8,) place of the first point of each sub-spectrum on the axis."""
        return np.asarray(np.cumsum(self.points) - self.points)

    def axis(self) -> dict[str, NDArray[Any]]:
        """Variables of the axis of channels."""
        part = np.repeat(np.arange(N_SUBSPECTRA), self.points)
        step = np.arange(len(part)) - self.first[part]
        low = self.lowest[part] + step * self.width[part]
        bounds = np.stack([low, low + self.width[part]], axis=1).astype(np.float64)
        return {
            "channel": bounds.mean(axis=1),
            "channel_bounds": bounds,
            "subspectrum": (part + 1).astype(np.uint8),
            "detector": np.arange(1, N_DETECTORS + 1, dtype=np.uint8),
            "pixel": np.arange(N_PIXELS, dtype=np.uint8),
        }


def build_calibration(columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    """Level 0 calibration runs of packets, one dataset for each set of sub-spectra.

    Parameters
    ----------
    columns
        Decoded packets of TM(21,6) SSID 41, in any order.
    clock
        On-board time to UTC.
    report
        Gets the packets that are left out; packets without a spectrum are dropped silently.

    Returns
    -------
    list of xarray.Dataset
        Runs in the order of time. Points that were not received are 0 and not valid.
    """
    usable = _usable(columns, report)
    names = ("NIX00160", *PARTS)
    rows = np.stack([columns[n].astype(np.int64) for n in names], axis=1)
    found = []
    for row in np.unique(rows[usable], axis=0):
        same = usable & (rows == row).all(axis=1)
        layout = _Layout.of(row)
        faulty = same & (_misfits(columns, layout) if layout.possible else True)
        report.leave_out(
            faulty,
            columns.block.source_offset,
            "calibration spectra do not fit the sub-spectra of the packet",
        )
        packets = np.flatnonzero(same & ~faulty)
        if packets.size:
            arrays = _runs(columns, packets, layout, clock)
            found.append(make_dataset(CALIBRATION_L0, arrays, level="L0", attrs={}))
    # An element of a variable of xarray would load dask, which takes a second.
    return sorted(found, key=lambda ds: int(ds["scet_coarse"].to_numpy()[0]))


def _usable(columns: Columns, report: BuildReport) -> NDArray[np.bool_]:
    """(n,) packets with spectra whose time and compression make sense."""
    offset, filled = columns.block.source_offset, columns.counts(_PART) > 0
    unsynchronised = filled & not_synchronised(columns)
    unclear = filled & ~unsynchronised & impossible_scheme(columns, SCHEME)
    report.leave_out(unsynchronised, offset, "on-board time is not synchronised")
    report.leave_out(unclear, offset, "compression scheme is signed or wider than 8 bits")
    return np.asarray(filled & ~unsynchronised & ~unclear)


def _misfits(columns: Columns, layout: _Layout) -> NDArray[np.bool_]:
    """(n,) packets with a detector, pixel or length of spectrum that there is not."""
    points = layout.points[columns[_PART].astype(np.intp)]
    wrong = (columns[_DETECTOR] >= N_DETECTORS) | (columns[_PIXEL] >= N_PIXELS) | (points == 0)
    wrong |= columns[_N_POINTS] != points
    before, splits = np.concatenate([[0], np.cumsum(wrong)]), columns.splits[_PART]
    return np.asarray(before[splits[1:]] > before[splits[:-1]])


def _runs(
    columns: Columns, packets: NDArray[np.intp], layout: _Layout, clock: ClockTable
) -> dict[str, NDArray[Any]]:
    """Arrays of all runs with the same sub-spectra."""
    block = columns.block.select(packets)
    order = np.lexsort(
        (
            *(content_hashes(block), block.sequence_count, block.scet_fine, block.scet_coarse),
            *(columns[_DURATION][packets], columns[_START][packets]),
        )
    )
    packets = packets[order]
    start = columns[_START][packets].astype(np.int64)
    head = np.diff(start, prepend=-1) != 0
    run, first = np.cumsum(head) - 1, packets[head]
    duration = columns[_DURATION][first].astype(np.int64)
    codes, valid = _spectra(columns, packets, run, layout)
    single = {
        "quiet_time": ("NIX00123", "uint16"),
        "live_time": ("NIX00124", "uint32"),
        "temperature": ("NIX00125", "uint16"),
        "detector_mask": ("NIX00407", "uint32"),
        "pixel_mask": ("NIXD0407", "uint16"),
        "subspectrum_mask": ("NIX00160", "uint8"),
    }
    return (
        times_of_bins(start[head] << 16, duration * 10, clock)
        | layout.axis()
        | {"counts_code": codes, "counts_valid": valid}
        | {name: columns[source][first].astype(dtype) for name, (source, dtype) in single.items()}
        | {"counts_scheme": pack_scheme(*(columns[n][first] for n in SCHEME))}
    )


def _spectra(
    columns: Columns, packets: NDArray[np.intp], run: NDArray[np.int64], layout: _Layout
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Codes of all points of some packets at their places, and which places were filled.

    Parameters
    ----------
    columns
    packets, run : (k,)
        Run of each packet, from 0.
    layout
    """
    n_spectra = columns.counts(_PART)[packets]
    total = int(n_spectra.sum())
    step = np.arange(total) - np.repeat(np.cumsum(n_spectra) - n_spectra, n_spectra)
    spectrum = np.repeat(columns.splits[_PART][:-1][packets], n_spectra) + step
    part = columns[_PART][spectrum].astype(np.intp)
    n_axis = int(layout.points.sum())
    pixel = columns[_DETECTOR][spectrum].astype(np.int64) * N_PIXELS + columns[_PIXEL][spectrum]
    pixel += np.repeat(run, n_spectra) * (N_DETECTORS * N_PIXELS)
    target = pixel * n_axis + layout.first[part]
    ends = np.cumsum(columns[_N_POINTS].astype(np.int64))
    source, length = (ends - columns[_N_POINTS])[spectrum], layout.points[part]
    point = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    # Of several spectra for one place the first stays: what is written last is what stands.
    place = (np.repeat(target, length) + point)[::-1]
    codes = np.zeros((int(run[-1]) + 1) * N_DETECTORS * N_PIXELS * n_axis, dtype=np.uint8)
    valid = np.zeros(len(codes), dtype=bool)
    codes[place] = columns[_POINT][(np.repeat(source, length) + point)[::-1]]
    valid[place] = True
    shape = (-1, N_DETECTORS, N_PIXELS, n_axis)
    return codes.reshape(shape), valid.reshape(shape)
