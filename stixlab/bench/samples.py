"""Full-size packets of known contents for the benchmarks: light curves, pixel data, housekeeping."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Versions
from stixlab.simulation.instrument import BACKGROUND, Observation
from stixlab.simulation.packets import BINS_PER_PACKET, light_curve_packets
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock

__all__ = [
    "HOUSEKEEPING",
    "LIGHT_CURVE",
    "N_ENERGIES",
    "PIXEL_DATA",
    "housekeeping",
    "light_curves",
    "pixel_data",
]

LIGHT_CURVE, PIXEL_DATA, HOUSEKEEPING = 54118, 54115, 54102
"""Structures (21,6,30), (21,6,21) and (3,25,2)."""
N_ENERGIES, _N_PIXELS = 10, 384
"""Of each pixel-data packet: energy bins, and pixels of all detectors; the packets have 3.9 kB, as on board."""
_SCET = 800_000_000
_EVERY_S = 64


def light_curves(n_packets: int, versions: Versions, *, seed: int = 0) -> PacketBlock:
    """Light-curve packets of 580 bins with the counts of a quiet Sun."""
    rng = np.random.default_rng(seed)
    n = n_packets * BINS_PER_PACKET
    seen = Observation(
        counts=rng.poisson(BACKGROUND, (n, len(BACKGROUND))),
        triggers=rng.poisson(4000, n),
        rate_control_state=np.zeros(n, dtype=np.uint8),
    )
    return light_curve_packets(seen, _SCET, 0, 0, versions)


def pixel_data(n_packets: int, versions: Versions, *, seed: int = 0) -> PacketBlock:
    """Pixel-data packets of one time bin, ten energies, all pixels."""
    rng = np.random.default_rng(seed)
    names = versions.latest.program(PIXEL_DATA).columns
    n_groups = n_packets * N_ENERGIES
    columns: dict[str, Any] = {
        "NIX00037": 2_201_010_001,
        "NIXD0008": 4, "NIXD0009": 4, "NIXD0011": 4, "NIXD0012": 4,
        "NIX00402": _SCET << 16,
        "NIX00403": 1,
        "NIX00442": 1,
        "NIXD0407": 0xFFF,
        "NIX00407": 0xFFFFFFFF,
        "NIX00405": 40,
        "NIX00258": N_ENERGIES,
        "NIXD0016": np.tile(np.arange(N_ENERGIES), n_packets),
        "NIXD0017": np.tile(np.arange(1, N_ENERGIES + 1), n_packets),
        "NIX00259": np.full(n_groups, _N_PIXELS),
        "NIX00260": rng.integers(0, 100, n_groups * _N_PIXELS),
        **{f"NIX00{242 + i}": rng.integers(0, 160, n_packets) for i in range(16)},
    }  # fmt: skip
    columns[next(name for name in ("NIX00441", "NIX00404") if name in names)] = (
        40 * np.arange(n_packets) % 60_000
    )
    return _encode(PIXEL_DATA, columns, n_packets, versions)


def housekeeping(n_packets: int, versions: Versions, *, seed: int = 0) -> PacketBlock:
    """Housekeeping packets, every reading its own."""
    rng = np.random.default_rng(seed)
    definitions = versions.latest
    columns: dict[str, NDArray[Any]] = {}
    for field in definitions.structures[HOUSEKEEPING]:
        width = definitions.parameters[field.parameter].width_bits
        if field.parameter.startswith("NIXD"):
            columns[field.parameter] = rng.integers(0, 1 << width, n_packets)
    return _encode(HOUSEKEEPING, columns, n_packets, versions)


def _encode(spid: int, columns: dict[str, Any], n: int, versions: Versions) -> PacketBlock:
    return encode(
        spid,
        columns,
        scet_coarse=_SCET + _EVERY_S * np.arange(n),
        sequence_count=np.arange(n) % 16384,
        versions=versions,
    )
