"""Science requests as they are before compression: counts of pixels, visibilities, spectrograms, aspect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.instrument.detectors import N_DETECTORS, mask_bits
from stixlab.timing.scet import FINE_PER_SECOND

__all__ = [
    "ALL_DETECTORS",
    "ALL_PIXELS",
    "SINGLE_PIXELS",
    "SUMMED_PIXELS",
    "AspectSamples",
    "PixelCounts",
    "Request",
    "Spectrogram",
    "Visibilities",
]

ALL_DETECTORS, ALL_PIXELS = 0xFFFFFFFF, 0xFFF
SINGLE_PIXELS = tuple(1 << pixel for pixel in range(12))
"""Pixel sets of one pixel each."""
SUMMED_PIXELS = (0x888, 0x444, 0x222, 0x111)
"""The four pixel sets that the instrument sums for imaging, in its order: last column first."""
TC_PACKET_ID = 91
"""What the instrument gives as packet id of the telecommand that asked for data."""
_ASPECT_STEPS_PER_S = 1000
"""Readings of the aspect diodes in a second, before they are summed and averaged."""


@dataclass(frozen=True)
class Request:
    """What is the same in all packets of a request."""

    request_id: int
    """YYMMDDnnnn as planned on ground."""
    tc_sequence: int
    """Sequence control word of the telecommand that asked for the data."""
    time_stamp: int
    """On-board second from which the times within the request count."""
    counts_scheme: tuple[int, int, int] = (0, 4, 4)
    triggers_scheme: tuple[int, int, int] = (0, 4, 4)
    tc_packet: int = TC_PACKET_ID
    """Packet id of that telecommand."""

    def columns(self) -> dict[str, Any]:
        """What stands at the head of each packet."""
        return {
            "NIX00001": self.tc_packet,
            "NIX00002": self.tc_sequence,
            "NIX00037": self.request_id,
            **dict(zip(("NIXD0007", "NIXD0008", "NIXD0009"), self.counts_scheme, strict=True)),
            **dict(zip(("NIXD0010", "NIXD0011", "NIXD0012"), self.triggers_scheme, strict=True)),
            "NIX00402": self.time_stamp * FINE_PER_SECOND,
        }


@dataclass(frozen=True, eq=False)
class PixelCounts:
    """Counts of pixels or of pixel sets, before compression."""

    start_tenths: NDArray[np.int64]
    """(time,) start of each bin after the time stamp, 0.1 s."""
    duration_tenths: NDArray[np.int64]
    """(time,) 0.1 s."""
    counts: NDArray[np.int64]
    """(time, detector, pixel, energy); all 32 detectors, those not in the mask are not sent; pixel: pixel set."""
    triggers: NDArray[np.int64]
    """(time, 16)."""
    pixel_sets: tuple[int, ...] = SINGLE_PIXELS
    """Mask of each pixel set, lowest bit: pixel 0."""
    detector_mask: int = ALL_DETECTORS
    """Lowest bit: detector 1."""
    energy_low: tuple[int, ...] = tuple(range(32))
    """(energy,) lowest science channel of each energy."""
    energy_high: tuple[int, ...] = tuple(range(32))
    """(energy,) highest science channel of each energy."""
    rate_control_state: NDArray[np.int64] | None = None
    """(time,), none: all 0."""

    @property
    def detectors(self) -> NDArray[np.int64]:
        """Indices of the detectors that are sent, 0 to 31."""
        return np.flatnonzero(mask_bits(np.array([self.detector_mask]), N_DETECTORS)[0])

    @property
    def state(self) -> NDArray[np.int64]:
        """(time,)."""
        return (
            np.zeros(len(self.start_tenths), dtype=np.int64)
            if self.rate_control_state is None
            else self.rate_control_state
        )


@dataclass(frozen=True, eq=False)
class Visibilities:
    """Visibilities computed on board, before compression."""

    start_tenths: NDArray[np.int64]
    duration_tenths: NDArray[np.int64]
    """(time,) 0.1 s."""
    real: NDArray[np.int64]
    """(time, energy, detector), count; only the detectors of the mask, in their order."""
    imaginary: NDArray[np.int64]
    """(time, energy, detector), count."""
    flux: NDArray[np.int64]
    """(time, energy), count."""
    triggers: NDArray[np.int64]
    """(time, 16)."""
    detector_mask: int = ALL_DETECTORS
    energy_low: tuple[int, ...] = tuple(range(32))
    energy_high: tuple[int, ...] = tuple(range(32))
    """(energy,) science channels."""


@dataclass(frozen=True, eq=False)
class Spectrogram:
    """Counts summed over detectors and pixels, before compression."""

    start_tenths: NDArray[np.int64]
    """(time,) start of each bin after the time stamp, 0.1 s."""
    duration_tenths: NDArray[np.int64]
    """(time,) 0.1 s; sent for the last bin of a structure only, the others end where the next begins."""
    counts: NDArray[np.int64]
    """(time, energy)."""
    triggers: NDArray[np.int64]
    """(time,)."""
    lowest_channel: int = 0
    channels_per_energy: int = 1
    detector_mask: int = 0xFFFFFCFF
    """By default all but the background monitor and the coarse locator."""
    pixel_mask: int = ALL_PIXELS
    rate_control_state: NDArray[np.int64] | None = None
    """(time,), none: all 0."""


@dataclass(frozen=True, eq=False)
class AspectSamples:
    """Voltages of the four aspect diodes."""

    start_ticks: int
    """On-board time of the first sample, 1/65536 s."""
    volts: NDArray[np.int64]
    """(time, 4) raw words of the diodes A0, A1, B0, B1."""
    averaging: int = 64
    summing: int = 16

    def ticks(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """On-board time of samples, 1/65536 s: readings are made every ms."""
        return (
            self.start_ticks
            + (index * self.averaging * self.summing * FINE_PER_SECOND) // _ASPECT_STEPS_PER_S
        )
