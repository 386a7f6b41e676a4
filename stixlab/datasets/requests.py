"""What all science requests have in common: their axes and settings, the times of their bins, who asked for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.bins import pack_scheme, times_of_bins
from stixlab.datasets.construction import ENERGY_FIELDS
from stixlab.telemetry.assembly import Assembled
from stixlab.telemetry.columns import Columns
from stixlab.telemetry.schemes import effective_scheme
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable
from stixlab.vocabulary import Field

__all__ = [
    "ACCUMULATOR",
    "CHANNELS",
    "COUNTS_SCHEME",
    "COUNTS_VALID",
    "DETECTOR",
    "DETECTOR_MASK",
    "EDGE_MASK",
    "ENERGY",
    "N_ACCUMULATORS",
    "PIXEL_MASK",
    "STATE_AND_LENGTH",
    "TRIGGERS_SCHEME",
    "common_arrays",
    "edge_mask",
    "elements",
    "is_synchronised",
    "packed_scheme",
    "request_attrs",
    "structure_of",
]

N_ACCUMULATORS = 16
"""Trigger accumulators, each of two detectors."""

DETECTOR = Field(
    "detector", ("detector",), "uint8", "1", "detector, 1 to 32 as on the hardware", coordinate=True
)
ACCUMULATOR = Field(
    "accumulator",
    ("accumulator",),
    "uint8",
    "1",
    "trigger accumulator, 0 to 15, of two detectors",
    coordinate=True,
)
CHANNELS = (
    Field(
        "channel_low",
        ("energy",),
        "uint8",
        "1",
        "lowest science channel of the energy band, 0 to 31",
        coordinate=True,
        source_parameter="NIXD0016",
    ),
    Field(
        "channel_high",
        ("energy",),
        "uint8",
        "1",
        "highest science channel of the energy band, 0 to 31",
        coordinate=True,
        source_parameter="NIXD0017",
    ),
)
"""The energy axis as transmitted."""
ENERGY = (
    ENERGY_FIELDS[0],
    replace(
        ENERGY_FIELDS[1],
        long_name="lower and upper bound of the energy band, by the channel table in force",
    ),
)
"""The energy axis in keV."""
STATE_AND_LENGTH = (
    Field(
        "rate_control_state",
        ("time",),
        "uint8",
        "1",
        "rate control state: 0 attenuator out, 1 attenuator in, higher: fewer pixels as well",
        source_parameter="NIX00401",
        fits_name="rcr",
    ),
    Field("integration_time", ("time",), "float32", "s", "duration of the bin", source_parameter="NIX00405"),
)
DETECTOR_MASK = Field(
    "detector_mask",
    ("time",),
    "uint32",
    "1",
    "detectors of which there are data, lowest bit: detector 1",
    source_parameter="NIX00407",
    fits_name="detector_masks",
)
PIXEL_MASK = Field(
    "pixel_mask",
    ("time",),
    "uint16",
    "1",
    "pixels of which there are data, lowest bit: pixel 0",
    source_parameter="NIXD0407",
    fits_name="pixel_masks",
)
EDGE_MASK = Field(
    "energy_edge_mask",
    ("time",),
    "uint64",
    "1",
    "science channel edges that border the energy bands, lowest bit: edge 0",
    source_parameter="NIXD0016 NIXD0017",
)
COUNTS_VALID = Field(
    "counts_valid",
    ("time", "energy"),
    "bool",
    "1",
    "whether the energy was received for that time; detectors and pixels: see the masks",
)
COUNTS_SCHEME = Field(
    "counts_scheme",
    ("time",),
    "uint8",
    "1",
    "compression of the counts as 100 s + 10 k + m",
    source_parameter="NIXD0007 NIXD0008 NIXD0009",
)
TRIGGERS_SCHEME = Field(
    "triggers_scheme",
    ("time",),
    "uint8",
    "1",
    "compression of the triggers as the software on board used it, 100 s + 10 k + m; 7: scaled",
    source_parameter="NIXD0010 NIXD0011 NIXD0012",
)
_SYNCHRONISED_BELOW = 1 << 47


def request_attrs(assembled: Assembled) -> dict[str, Any]:
    """Attributes that say what was asked for, and whether all of it came."""
    block, software = assembled.columns.block, assembled.columns.asw_version
    attrs: dict[str, Any] = {
        "origin": assembled.origin,
        "request_id": assembled.request,
        "tc_packet_id": assembled.tc_packet,
        "tc_sequence": assembled.tc_sequence,
        "complete": int(assembled.complete),
        "incomplete_because": assembled.why,
        "n_packets": len(assembled),
        "n_packets_missing": assembled.n_missing,
        "n_conflicts": assembled.n_conflicts,
        "sent_scet": int(block.scet_coarse.min()) if len(block) else 0,
    }
    if assembled.time_stamp >= 0:
        attrs["time_stamp_scet"] = assembled.time_stamp / FINE_PER_SECOND
    if software is not None and len(software) and int(software.min()):
        attrs["asw_version"] = int(software.min())
    return attrs


def is_synchronised(assembled: Assembled) -> bool:
    """Whether the time stamp of a request is one of a clock that knew the time."""
    return 0 <= assembled.time_stamp < _SYNCHRONISED_BELOW


def common_arrays(
    assembled: Assembled,
    clock: ClockTable,
    *,
    start: NDArray[np.int64],
    duration: NDArray[np.int64],
    head: NDArray[np.int64],
    low: NDArray[np.uint8],
    high: NDArray[np.uint8],
) -> dict[str, NDArray[Any]]:
    """Times, energies and settings that every request with counts has.

    Parameters
    ----------
    assembled
        One request.
    clock
        On-board time to UTC.
    start, duration : (time,), 0.1 s
        After the time stamp of the request; length of the bin.
    head : (time,)
        Structure of each bin that its settings are taken from.
    low, high : (energy,)
        Lowest and highest channel of each band.
    """
    columns = assembled.columns
    ticks = assembled.time_stamp + (start * FINE_PER_SECOND + 5) // 10
    return {
        **times_of_bins(ticks, duration, clock),
        "channel_low": low,
        "channel_high": high,
        "energy_edge_mask": np.full(len(start), edge_mask(low, high), dtype=np.uint64),
        "rate_control_state": columns["NIX00401"][head].astype(np.uint8),
        "detector_mask": columns["NIX00407"][head].astype(np.uint32),
    }


def edge_mask(low: NDArray[Any], high: NDArray[Any]) -> int:
    """Edges of science channels that border bands, lowest bit: edge 0.

    Parameters
    ----------
    low, high : (energy,)
        Lowest and highest channel of each band.
    """
    edges = np.union1d(low.astype(np.int64), high.astype(np.int64) + 1)
    return sum(1 << int(e) for e in edges)


def packed_scheme(columns: Columns, name: str) -> NDArray[np.uint8]:
    """Scheme by which a parameter of each packet is compressed, 100 s + 10 k + m; (n,).

    One that is impossible is kept as it is; see `stixlab.telemetry.schemes.scheme_problems`.
    """
    return pack_scheme(*effective_scheme(columns, name))


def structure_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Number of the structure that each of its parts belongs to.

    Parameters
    ----------
    counts : (n_structures,)
        Parts of each structure.
    """
    return np.repeat(np.arange(len(counts)), counts.astype(np.int64))


def elements(first: NDArray[np.int64], length: int) -> NDArray[np.int64] | slice:
    """Places of the elements of runs of equal length, (n_runs, length); a slice if they follow each other.

    Parameters
    ----------
    first : (n_runs,)
        Place of the first element of each.
    length
        Elements of each run.
    """
    if len(first) and (np.diff(first) == length).all():
        return slice(int(first[0]), int(first[0]) + length * len(first))
    return np.asarray(first[:, None] + np.arange(length))
