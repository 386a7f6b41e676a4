"""Packets per second of the decoder, beside the physical limits of the same run and beside its peers."""

from __future__ import annotations

import binascii
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stixlab.bench.measurement import Measurement, best_of
from stixlab.bench.peers import load_peers, unrolled
from stixlab.bench.samples import (
    HOUSEKEEPING,
    LIGHT_CURVE,
    N_ENERGIES,
    PIXEL_DATA,
    housekeeping,
    light_curves,
    pixel_data,
)
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import Versions, load_versions
from stixlab.telemetry.compression import decompress
from stixlab.telemetry.data_times import time_stamps
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.schemes import compressed_parameters, decompress_column
from stixlab.telemetry.sources import read_packets
from stixlab.timing import ClockTable, bin_ticks

__all__ = ["light_curves", "measure"]

GOAL_START_S = 1.0
"""The command `decode` of a small file, from the shell."""
_NAME = "telemetry"
_N_PEER = 300
_STARTS = 3


@dataclass(frozen=True)
class _Subject:
    """A structure that is measured."""

    title: str
    spid: int
    n_packets: int
    make: Callable[[int, Versions], PacketBlock]
    times: Callable[[Columns, ClockTable], NDArray[np.datetime64]]
    goal_parse: float
    """Packets per second on one core: bytes to columns."""
    goal_all: float
    """Packets per second on one core: with decompression, variance and UTC."""
    repeats: dict[str, int]
    """Of the sample, for the peers."""


def bin_times(columns: Columns, clock: ClockTable) -> NDArray[np.datetime64]:
    """(n_bins,) UTC of the middle of every light-curve bin."""
    first = columns.splits["NIX00271"][:-1]
    start = columns.single("NIX00445").astype(np.int64) << 16 | columns.single("NIX00446").astype(np.int64)
    tenths = columns.single("NIX00405").astype(np.int64) + 1
    return clock.ticks_to_utc(bin_ticks(start, columns["NIX00271"][first].astype(np.int64), tenths))


def structure_times(columns: Columns, clock: ClockTable) -> NDArray[np.datetime64]:
    """(n_structures,) UTC of the start of every time bin of pixel data."""
    name = "NIX00441" if "NIX00441" in columns else "NIX00404"
    stamps = np.repeat(time_stamps(columns), columns.counts(name))
    return clock.ticks_to_utc(stamps + columns[name].astype(np.int64) * 65_536 // 10)


def packet_times(columns: Columns, clock: ClockTable) -> NDArray[np.datetime64]:
    """(n,) UTC of every packet."""
    return clock.to_utc(columns.block.scet_coarse, columns.block.scet_fine)


SUBJECTS = (
    _Subject(
        "(21,6,30)", LIGHT_CURVE, 1000, light_curves, bin_times, 80_000, 40_000,
        {"NIX00270": 5},
    ),
    _Subject(
        "(21,6,21)", PIXEL_DATA, 1000, pixel_data, structure_times, 60_000, 40_000,
        {"NIX00403": 1, "NIX00442": 1, "NIX00258": N_ENERGIES},
    ),
    _Subject("(3,25,2)", HOUSEKEEPING, 20_000, housekeeping, packet_times, 300_000, 250_000, {}),
)  # fmt: skip


def measure() -> Iterator[Measurement]:
    """Packets per second of each step and of all, the limits beside them, peers, and the time of the command."""
    versions, clock = load_versions(), load_clock()
    peers = load_peers()
    for subject in SUBJECTS:
        yield from _measure_subject(subject, versions, clock)
        for name, peer in peers.items():
            yield _measure_peer(subject, name, peer, versions)
    for name in ("ccsdspy", "space_packet_parser"):
        if name not in peers:
            yield Measurement(_NAME, f"{name}: not installed", 0.0, "packets/s")
    yield _measure_start(versions)


def _measure_subject(subject: _Subject, versions: Versions, clock: ClockTable) -> Iterator[Measurement]:
    n, spid = subject.n_packets, subject.spid
    block = subject.make(n, versions)
    content = block.data.tobytes()
    columns, statuses = decode(block, spid, versions)
    if statuses.any() or len(columns) != n:
        raise RuntimeError(f"bench telemetry: the sample of {subject.title} does not decode")
    names = compressed_parameters(spid)

    def parse() -> Columns:
        found, _ = read_packets(content, "bench", versions)
        return decode(found, spid, versions)[0]

    def expand(done: Columns) -> None:
        for name in names:
            decompress_column(done, name)

    def everything() -> None:
        done = parse()
        expand(done)
        subject.times(done, clock)

    def per_second(step: Callable[[], object]) -> float:
        return n / best_of(step, repeats=7)

    parse()
    everything()  # compiled code is loaded before the clock runs
    yield Measurement(
        _NAME, f"{subject.title} parse: bytes to columns", per_second(parse), "packets/s", subject.goal_parse
    )
    yield Measurement(
        _NAME,
        f"{subject.title} all: counts, variance, UTC",
        per_second(everything),
        "packets/s",
        subject.goal_all,
    )
    steps: list[tuple[str, Callable[[], object]]] = [
        ("find packets and headers", lambda: read_packets(content, "bench", versions)),
        ("decode into columns", lambda: decode(block, spid, versions)),
        ("UTC", lambda: subject.times(columns, clock)),
    ]
    if names:
        steps.insert(2, ("decompress, with variance", lambda: expand(columns)))
    codes = [columns[name].astype(np.uint8) for name in names] or [block.data]
    for name, step in [*steps, *_limits(content, np.concatenate(codes))]:
        yield Measurement(_NAME, f"{subject.title} {name}", per_second(step), "packets/s")


def _limits(content: bytes, codes: NDArray[np.uint8]) -> list[tuple[str, Callable[[], object]]]:
    """What memory allows: the same bytes copied and widened, the same codes looked up, the same digits read."""
    data = np.frombuffer(content, dtype=np.uint8)
    value, variance = decompress(np.arange(256, dtype=np.uint8), 0, 4, 4)
    text = binascii.hexlify(content)
    return [
        ("limit: memory copy of the packets", data.copy),
        ("limit: codes widened to 64 bits", lambda: codes.astype(np.int64)),
        (
            "limit: 256-entry table look-up of the codes, twice",
            lambda: (value.take(codes), variance.take(codes)),
        ),
        ("limit: hexadecimal digits to bytes", lambda: binascii.unhexlify(text)),
    ]


def _measure_peer(
    subject: _Subject, name: str, peer: Callable[..., Callable[[bytes], object]], versions: Versions
) -> Measurement:
    block = subject.make(_N_PEER, versions)
    fields = unrolled(versions.latest.program(subject.spid), subject.repeats)
    decoder = peer(fields)
    content = block.data.tobytes()
    try:
        seconds = best_of(lambda: decoder(content), repeats=3)
    except KeyError:
        return Measurement(_NAME, f"{subject.title} cannot be told to {name}", 0.0, "packets/s")
    return Measurement(_NAME, f"{subject.title} parse by {name}", _N_PEER / seconds, "packets/s")


def _measure_start(versions: Versions) -> Measurement:
    """The command on a file of some packets; the file system and the interpreter are warm."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.bin"
        parts = [subject.make(5, versions).data.tobytes() for subject in SUBJECTS]
        path.write_bytes(b"".join(parts))
        command = [sys.executable, "-m", "stixlab.cli", "decode", str(path), "--json"]
        settings = {**os.environ, "STIXLAB_HOME": str(Path(folder) / "home")}
        seconds = best_of(
            lambda: subprocess.run(command, check=True, capture_output=True, env=settings),
            repeats=_STARTS,
        )
    return Measurement(
        _NAME,
        "stixlab decode of 15 packets, from the shell",
        seconds,
        "s",
        GOAL_START_S,
        smaller_is_better=True,
    )
