"""Decoding of light-curve packets, beside the physical limits of the same run."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from stixlab.bench.measurement import Measurement, best_of
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import Versions, load_versions
from stixlab.simulation.instrument import BACKGROUND, Observation
from stixlab.simulation.packets import BINS_PER_PACKET, light_curve_packets
from stixlab.telemetry.compression import decompress
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.schemes import decompress_column
from stixlab.telemetry.sources import read_packets
from stixlab.timing import ClockTable

__all__ = ["light_curves", "measure"]

N_PACKETS = 1000
GOAL = 20_000.0
"""Light-curve packets of 580 bins a second on one core, decompression and UTC included."""
_NAME = "telemetry"
_SCET = 800_000_000


def light_curves(n_packets: int, versions: Versions, *, seed: int = 0) -> PacketBlock:
    """Full-size light-curve packets with the counts of a quiet Sun."""
    rng = np.random.default_rng(seed)
    n = n_packets * BINS_PER_PACKET
    seen = Observation(
        counts=rng.poisson(BACKGROUND, (n, len(BACKGROUND))),
        triggers=rng.poisson(4000, n),
        rate_control_state=np.zeros(n, dtype=np.uint8),
    )
    return light_curve_packets(seen, _SCET, 0, 0, versions)


def bin_times(columns: Columns, clock: ClockTable) -> NDArray[np.datetime64]:
    """(n_bins,) UTC of the middle of every bin."""
    n_bins = columns["NIX00271"][:: int(columns["NIX00270"][0])].astype(np.int64)
    tenths = columns.single("NIX00405").astype(np.int64) + 1
    start = columns.single("NIX00445").astype(np.int64) << 16 | columns.single("NIX00446").astype(np.int64)
    first = np.repeat(np.cumsum(n_bins) - n_bins, n_bins)
    number = np.arange(n_bins.sum()) - first
    return clock.ticks_to_utc(
        np.repeat(start, n_bins) + ((2 * number + 1) * np.repeat(tenths, n_bins) * 65_536) // 20
    )


def measure() -> Iterator[Measurement]:
    """Packets per second of each step and of all, and the limits beside them."""
    versions, clock = load_versions(), load_clock()
    block = light_curves(N_PACKETS, versions)
    content = block.data.tobytes()
    spid = int(block.spid[0])
    columns, _ = decode(block, spid, versions)
    codes = columns["NIX00272"].astype(np.uint8)

    def everything() -> None:
        found, _ = read_packets(content, "bench", versions)
        done, _ = decode(found, spid, versions)
        for name in ("NIX00272", "NIX00274"):
            decompress_column(done, name)
        bin_times(done, clock)

    def per_second(step: Callable[[], object]) -> float:
        return N_PACKETS / best_of(step)

    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("find packets and headers", lambda: read_packets(content, "bench", versions)),
        ("decode into columns", lambda: decode(block, spid, versions)),
        (
            "decompress counts and triggers, with variance",
            lambda: [decompress_column(columns, n) for n in ("NIX00272", "NIX00274")],
        ),
        ("UTC of every bin", lambda: bin_times(columns, clock)),
    )
    yield Measurement(
        _NAME, "all steps: file bytes to counts, variances, UTC", per_second(everything), "packets/s", GOAL
    )
    for name, step in steps:
        yield Measurement(_NAME, name, per_second(step), "packets/s")
    yield from _limits(content, codes, per_second)


def _limits(
    content: bytes, codes: NDArray[np.uint8], per_second: Callable[[Callable[[], object]], float]
) -> Iterator[Measurement]:
    """What memory allows: the same bytes copied, the same codes looked up, the same digits read."""
    data = np.frombuffer(content, dtype=np.uint8)
    value, variance = decompress(np.arange(256, dtype=np.uint8), 0, 5, 3)
    text = binascii.hexlify(content)

    def look_up() -> None:
        value.take(codes)
        variance.take(codes)

    limits: tuple[tuple[str, Callable[[], object]], ...] = (
        ("limit: memory copy of the packets", data.copy),
        ("limit: table look-up of the codes (value, variance)", look_up),
        ("limit: hexadecimal digits to bytes", lambda: binascii.unhexlify(text)),
    )
    for name, step in limits:
        yield Measurement(_NAME, name, per_second(step), "packets/s")
