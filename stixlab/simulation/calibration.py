"""Energy calibration spectra of the simulated instrument: the lines of the source on board in each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Versions
from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS
from stixlab.simulation.channels import pixel_share
from stixlab.simulation.requests import ALL_DETECTORS, ALL_PIXELS
from stixlab.simulation.sequences import Departure, fill_packets, group_bytes, sequence_flags
from stixlab.telemetry.compression import compress
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock

__all__ = [
    "SUBSPECTRA",
    "CalibrationRun",
    "CalibrationSpectra",
    "calibration_packets",
    "simulate_calibration",
]

SPID = 54124
SCHEME = (0, 4, 4)
SUBSPECTRA = ((200, 25, 2), (250, 200, 1), (450, 23, 24))
"""Lowest channel, points and channels of each point of the three parts that are sent: those of real packets."""
_N_ADC = 1024
_GAIN, _OFFSET = 2.315, 225.5
"""Channels per keV and channel of 0 keV: means of the pixels of a real run."""
_GAIN_SPREAD, _OFFSET_SPREAD = 0.024, 3.0
_LINES = ((30.85, 1.0, 0.9), (35.1, 0.25, 0.9), (81.0, 0.30, 1.1))
"""Lines of the barium source: keV, counts relative to the first, full width at half maximum in keV."""
_LINE_RATE = 0.35
"""Counts of the first line in a large pixel, 1/s."""
_CONTINUUM = 0.0004
"""Counts of the continuum, 1/s in one channel of a large pixel at low energies."""
_CONTINUUM_KEV = 60.0
_QUIET_TICKS, _TEMPERATURE = 6, 3947
"""Raw words of a real packet: quiet time in 1/65536 s, mean temperature."""
_LIVE = 0.466
"""Live milliseconds in each ms of a run: the share of a real packet."""
_FWHM = 2.3548


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibrationSpectra:
    """Spectra of a calibration run before compression."""

    start_s: int
    """On-board second of its start."""
    duration_s: int
    live_ms: int
    counts: NDArray[np.int64]
    """(detector, pixel, channel), 1024 channels of the analogue-digital converter."""
    subspectra: tuple[tuple[int, int, int], ...] = SUBSPECTRA
    """Lowest channel, points and channels of each point of the parts that are sent: at most 8."""
    scheme: tuple[int, int, int] = SCHEME
    quiet_ticks: int = _QUIET_TICKS
    """Quiet time, 1/65536 s."""
    temperature: int = _TEMPERATURE
    """Raw word."""

    def part(self, number: int) -> NDArray[np.int64]:
        """(detector, pixel, point) counts of a part that is sent."""
        low, points, width = self.subspectra[number]
        counts = self.counts[:, :, low : low + points * width]
        summed: NDArray[np.int64] = counts.reshape(N_DETECTORS, N_PIXELS, points, width).sum(axis=-1)
        return summed


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibrationRun(CalibrationSpectra):
    """A simulated run."""

    gain: NDArray[np.float64]
    """(detector, pixel) channels per keV."""
    offset: NDArray[np.float64]
    """(detector, pixel) channel of 0 keV."""


def simulate_calibration(start_s: int, duration_s: int, seed: int) -> CalibrationRun:
    """Spectra of all pixels of a run.

    Parameters
    ----------
    start_s, duration_s
        On-board seconds.
    seed
        Of the instrument: the same gives the same gains and offsets in all runs.
    """
    shape = (N_DETECTORS, N_PIXELS)
    instrument, rng = np.random.default_rng([seed, 41]), np.random.default_rng([seed, start_s, 41])
    gain = instrument.normal(_GAIN, _GAIN_SPREAD, shape)
    offset = instrument.normal(_OFFSET, _OFFSET_SPREAD, shape)
    kev = (np.arange(_N_ADC) + 0.5 - offset[:, :, None]) / gain[:, :, None]
    rate = np.where(kev > 0, _CONTINUUM * np.exp(-np.maximum(kev, 0) / _CONTINUUM_KEV), 0.0)
    for energy, relative, width in _LINES:
        sigma = width / _FWHM
        shape_of_line = np.exp(-0.5 * ((kev - energy) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        rate += _LINE_RATE * relative * shape_of_line / gain[:, :, None]
    area = pixel_share() / pixel_share().max()
    counts = rng.poisson(rate * area[:, None] * duration_s * _LIVE)
    return CalibrationRun(
        start_s=start_s,
        duration_s=duration_s,
        live_ms=round(duration_s * 1000 * _LIVE),
        counts=counts,
        gain=gain,
        offset=offset,
    )


def calibration_packets(run: CalibrationSpectra, leave: Departure, versions: Versions) -> PacketBlock:
    """Spectra of a run, TM(21,6) SSID 41: part by part, of each part detector by detector.

    Parameters
    ----------
    run, leave, versions
    """
    parts = [
        compress(run.part(i), *run.scheme).reshape(N_DETECTORS * N_PIXELS, -1)
        for i in range(len(run.subspectra))
    ]
    n_points = np.repeat([p.shape[1] for p in parts], N_DETECTORS * N_PIXELS)
    number, pixel = np.divmod(np.arange(len(n_points)), N_DETECTORS * N_PIXELS)
    definitions = versions.at(leave.coarse)
    limits = fill_packets(
        n_points + group_bytes(definitions, SPID, "NIX00159"), packet_bytes=group_bytes(definitions, SPID)
    )
    described: dict[str, int] = {}
    for i, (low, points, width) in enumerate(run.subspectra):
        names = (f"NIXD{129 + 3 * i + j:04}" for j in range(3))
        described |= dict(zip(names, (points - 1, width - 1, low), strict=True))
    coarse, fine = leave.times(len(limits) - 1)
    columns = {
        "NIX00445": run.start_s,
        "NIX00122": run.duration_s,
        "NIX00123": run.quiet_ticks,
        "NIX00124": run.live_ms,
        "NIX00125": run.temperature,
        **dict(zip(("NIXD0126", "NIXD0127", "NIXD0128"), run.scheme, strict=True)),
        "NIX00407": ALL_DETECTORS,
        "NIXD0407": ALL_PIXELS,
        "NIX00160": 2 ** len(run.subspectra) - 1,
        **described,
        "NIX00159": np.diff(limits),
        "NIXD0155": pixel // N_PIXELS,
        "NIXD0156": pixel % N_PIXELS,
        "NIXD0157": number,
        "NIX00146": n_points,
        "NIX00158": np.concatenate([p.ravel() for p in parts]),
    }
    return encode(
        SPID,
        columns,
        scet_coarse=coarse,
        scet_fine=fine,
        sequence_count=np.arange(len(coarse)),
        sequence_flag=sequence_flags(len(coarse)),
        destination=leave.destination,
        versions=versions,
    )
