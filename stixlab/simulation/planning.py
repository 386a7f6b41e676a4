"""Which data are asked for of the simulated flares, what the instrument then sends, and what is true about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Versions
from stixlab.simulation.channels import (
    LOCATOR,
    MONITOR,
    N_CHANNELS,
    channel_counts,
    pixel_pattern,
    pixel_share,
)
from stixlab.simulation.instrument import Expectation
from stixlab.simulation.request_packets import (
    aspect_packets,
    pixel_packets,
    raw_pixel_packets,
    spectrogram_packets,
    visibility_packets,
)
from stixlab.simulation.requests import (
    SUMMED_PIXELS,
    AspectSamples,
    PixelCounts,
    Request,
    Spectrogram,
    Visibilities,
)
from stixlab.simulation.sequences import Departure
from stixlab.simulation.sun import SolarFlare
from stixlab.telemetry.encode import SIMULATED_DESTINATION
from stixlab.telemetry.frames import PacketBlock
from stixlab.timing.scet import FINE_PER_SECOND

__all__ = [
    "REQUEST_KINDS",
    "Made",
    "Occasion",
    "flare_location",
    "flare_seed",
    "make_request",
    "request_window",
]

REQUEST_KINDS = {
    "raw-pixel-data": 20,
    "pixel-data": 21,
    "summed-pixel-data": 22,
    "visibilities": 23,
    "spectrogram": 24,
    "aspect": 42,
}
"""What can be asked for, with its SSID."""
_BIN_TENTHS = 40
_PIXEL_BINS, _SPECTROGRAM_BINS = 5, 2
"""Bins of 4 s of the light curve in a bin of pixel data and of a spectrogram."""
_PIXEL_CHANNELS = (1, 18)
"""First channel of pixel data, and the end: 4 to 28 keV."""
_TRIGGERS_QUIET, _TRIGGERS_PER_COUNT = 4200.0, 1.3
_SCHEMES = {"visibilities": (1, 4, 3), "spectrogram": (0, 5, 3)}
"""Compression of counts, where it is not the usual one."""
_DEPARTURE_S = 0.37
_ASPECT_MEAN = np.array([7136, 5408, 5550, 5839])
"""(4,) raw words of a real packet."""


@dataclass(frozen=True)
class Occasion:
    """A flare that data are asked for, and when the bins of 4 s around it were."""

    flare: SolarFlare
    expected: Expectation
    """Of the window of the request."""
    coarse: int
    """On-board second at which its first bin begins."""
    fine: int


@dataclass(frozen=True)
class Made:
    """Packets of a request, and what is true about it."""

    kind: str
    ssid: int
    request_id: int
    tc_sequence: int
    start_scet: float
    end_scet: float
    n_bins: int
    total_counts: int
    """Counts before compression; 0 for aspect."""
    counts_by_channel: tuple[int, ...]
    """(32,) of all bins, detectors and pixels, before compression."""
    packets: PacketBlock


def flare_seed(flare: SolarFlare) -> int:
    """A number of the flare's own: the same whatever else is simulated."""
    return abs(int(flare.peak.astype("datetime64[ms]").astype(np.int64)))


def flare_location(flare: SolarFlare) -> tuple[int, int]:
    """Y and Z of the flare as the instrument gives them, whole arc minutes: somewhere on the disc."""
    rng = np.random.default_rng([flare_seed(flare), 7])
    radius, angle = 15.0 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    return round(float(radius * np.cos(angle))), round(float(radius * np.sin(angle)))


def request_window(flare: SolarFlare, kind: str) -> tuple[np.datetime64, np.datetime64]:
    """UTC of the data asked for: the whole flare for spectrograms and aspect, the time around its maximum for others."""
    before, after = (6.0, 5.0) if REQUEST_KINDS[kind] >= 24 else (2.0, 1.0)

    def seconds(s: float) -> np.timedelta64:
        return np.timedelta64(round(s * 1e9), "ns")

    return flare.peak - seconds(before * flare.rise_s), flare.peak + seconds(after * flare.decay_s)


def make_request(
    occasion: Occasion, kind: str, leave_s: int, versions: Versions, *, spacing_s: float = 2.0
) -> Made:
    """A request of one kind: counts drawn, compressed and put into packets.

    Parameters
    ----------
    occasion
    kind
        One of `REQUEST_KINDS`.
    leave_s
        On-board second at which its first packet leaves.
    versions
    spacing_s
        Time from one packet to the next.
    """
    number = list(REQUEST_KINDS).index(kind)
    text = np.datetime_as_string(occasion.flare.peak, "m")
    minute = int(text[11:13]) * 60 + int(text[14:16])
    request_id = int(text[2:4] + text[5:7] + text[8:10]) * 10_000 + minute * len(REQUEST_KINDS) + number + 1
    request = Request(
        request_id % 2**32,
        tc_sequence=0xC000 | request_id % 2**14,
        time_stamp=occasion.coarse - 4,
        counts_scheme=_SCHEMES.get(kind, (0, 4, 4)),
        triggers_scheme=(0, 5, 3),
    )
    rng = np.random.default_rng([flare_seed(occasion.flare), number])
    leave = Departure(
        leave_s, round((_DEPARTURE_S + 0.07 * number) * FINE_PER_SECOND), spacing_s, SIMULATED_DESTINATION
    )
    counts, n_bins, packets = _MAKERS[kind](occasion, request, leave, versions, rng)
    by_channel = np.zeros(N_CHANNELS, dtype=np.int64)
    by_channel[: len(counts)] = counts
    start = occasion.coarse + occasion.fine / FINE_PER_SECOND
    return Made(
        kind, REQUEST_KINDS[kind], request.request_id, request.tc_sequence, start,
        start + len(occasion.expected.flare) * _BIN_TENTHS / 10, n_bins, int(counts.sum()),
        tuple(by_channel.tolist()), packets,
    )  # fmt: skip


_Result = tuple[NDArray[np.int64], int, PacketBlock]
"""Counts by channel from channel 0, bins, packets."""


def _offset_tenths(occasion: Occasion, request: Request) -> int:
    """Start of the window after the time stamp; the instrument rounds to 0.1 s."""
    return (occasion.coarse - request.time_stamp) * 10 + occasion.fine * 10 // FINE_PER_SECOND


def _bins(occasion: Occasion, length: int) -> NDArray[np.int64]:
    """First bin of 4 s of each longer bin; a change of the attenuator begins a new one."""
    state = occasion.expected.rate_control_state.astype(np.int64)
    changes = np.flatnonzero(np.diff(state)) + 1
    return np.union1d(np.arange(0, len(state), length), changes)


def _pixels(
    occasion: Occasion, request: Request, rng: np.random.Generator, channels: slice
) -> tuple[PixelCounts, NDArray[np.int64]]:
    """Counts of single pixels, and those of all channels from 0."""
    first = _bins(occasion, _PIXEL_BINS)
    quiet, flare = (np.add.reduceat(x, first)[:, channels] for x in channel_counts(occasion.expected))
    even = np.tile(pixel_share() / (len(pixel_pattern(0)) - 2), (len(pixel_pattern(0)), 1))
    pattern = pixel_pattern(flare_seed(occasion.flare))
    mean = quiet[:, None, None] * even[None, :, :, None] + flare[:, None, None] * pattern[None, :, :, None]
    counts = rng.poisson(mean)
    length = np.diff(first, append=len(occasion.expected.flare))
    light = np.add.reduceat(occasion.expected.flare.sum(axis=1), first)
    triggers = (_TRIGGERS_QUIET * length + _TRIGGERS_PER_COUNT * light) / 16
    numbers = tuple(range(*channels.indices(N_CHANNELS)))
    data = PixelCounts(
        start_tenths=_offset_tenths(occasion, request) + first * _BIN_TENTHS,
        duration_tenths=length * _BIN_TENTHS,
        counts=counts,
        triggers=rng.poisson(np.repeat(triggers[:, None], 16, axis=1)),
        energy_low=numbers,
        energy_high=numbers,
        rate_control_state=occasion.expected.rate_control_state[first].astype(np.int64),
    )
    totals = np.zeros(N_CHANNELS, dtype=np.int64)
    totals[channels] = counts.sum(axis=(0, 1, 2))
    return data, totals


def _pixel_data(
    occasion: Occasion, request: Request, leave: Departure, versions: Versions, rng: np.random.Generator
) -> _Result:
    data, totals = _pixels(occasion, request, rng, slice(*_PIXEL_CHANNELS))
    return totals, len(data.start_tenths), pixel_packets(request, data, leave, versions)


def _raw(
    occasion: Occasion, request: Request, leave: Departure, versions: Versions, rng: np.random.Generator
) -> _Result:
    data, totals = _pixels(occasion, request, rng, slice(*_PIXEL_CHANNELS))
    return totals, len(data.start_tenths), raw_pixel_packets(request, data, leave, versions)


def _sum_sets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(time, detector, 4, energy) counts of the four summed pixel sets, from those of the twelve pixels."""
    sets = np.array([[mask >> p & 1 for p in range(12)] for mask in SUMMED_PIXELS])
    summed: NDArray[np.int64] = np.einsum("sp,tdpe->tdse", sets, counts)
    return summed


def _summed(
    occasion: Occasion, request: Request, leave: Departure, versions: Versions, rng: np.random.Generator
) -> _Result:
    data, totals = _pixels(occasion, request, rng, slice(*_PIXEL_CHANNELS))
    data = PixelCounts(
        data.start_tenths, data.duration_tenths, _sum_sets(data.counts), data.triggers, SUMMED_PIXELS,
        energy_low=data.energy_low, energy_high=data.energy_high, rate_control_state=data.rate_control_state,
    )  # fmt: skip
    return totals, len(data.start_tenths), pixel_packets(request, data, leave, versions, ssid=22)


def _visibilities(
    occasion: Occasion, request: Request, leave: Departure, versions: Versions, rng: np.random.Generator
) -> _Result:
    data, totals = _pixels(occasion, request, rng, slice(*_PIXEL_CHANNELS))
    mask = 0xFFFFFFFF & ~(1 << LOCATOR | 1 << MONITOR)
    d, c, b, a = _sum_sets(data.counts)[:, [i for i in range(32) if mask >> i & 1]].transpose(2, 0, 3, 1)
    made = Visibilities(
        data.start_tenths, data.duration_tenths, a - c, b - d, data.counts.sum(axis=(1, 2)), data.triggers, mask,
        energy_low=data.energy_low, energy_high=data.energy_high,
    )  # fmt: skip
    return totals, len(data.start_tenths), visibility_packets(request, made, leave, versions)


def _spectrogram(
    occasion: Occasion, request: Request, leave: Departure, versions: Versions, rng: np.random.Generator
) -> _Result:
    first = _bins(occasion, _SPECTROGRAM_BINS)
    quiet, flare = channel_counts(occasion.expected)
    counts = rng.poisson(np.add.reduceat(quiet + flare, first))
    length = np.diff(first, append=len(occasion.expected.flare))
    light = np.add.reduceat(occasion.expected.flare.sum(axis=1), first)
    offset = _offset_tenths(occasion, request)
    data = Spectrogram(
        start_tenths=offset + first * _BIN_TENTHS,
        duration_tenths=length * _BIN_TENTHS,
        counts=counts,
        triggers=rng.poisson(_TRIGGERS_QUIET * length + _TRIGGERS_PER_COUNT * light),
        rate_control_state=occasion.expected.rate_control_state[first].astype(np.int64),
    )
    return counts.sum(axis=0), len(first), spectrogram_packets(request, data, leave, versions)


def _aspect(
    occasion: Occasion, request: Request, leave: Departure, versions: Versions, rng: np.random.Generator
) -> _Result:
    del request
    n = len(occasion.expected.flare) * 4
    drift = np.cumsum(rng.normal(0, 0.3, (n, 4)), axis=0)
    volts = np.clip(np.rint(_ASPECT_MEAN + drift + rng.normal(0, 1, (n, 4))), 0, 65_535).astype(np.int64)
    data = AspectSamples(occasion.coarse * FINE_PER_SECOND + occasion.fine, volts)
    return np.zeros(0, dtype=np.int64), n, aspect_packets(data, leave, versions)


_Maker = Callable[[Occasion, Request, Departure, Versions, np.random.Generator], _Result]
_MAKERS: dict[str, _Maker] = {
    "raw-pixel-data": _raw,
    "pixel-data": _pixel_data,
    "summed-pixel-data": _summed,
    "visibilities": _visibilities,
    "spectrogram": _spectrogram,
    "aspect": _aspect,
}
