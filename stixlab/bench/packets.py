"""Search for packets in a year of files, through the real database; the files are made up for it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from stixlab import factory
from stixlab.archive import Archive
from stixlab.bench.measurement import Measurement, best_of
from stixlab.catalog.stores import Catalog
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import Versions, load_versions
from stixlab.model import RawFile
from stixlab.packets.search import find_packets
from stixlab.packets.tree import get_packet
from stixlab.settings import read_settings
from stixlab.telemetry.encode import make_headers
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.headers import parse_headers
from stixlab.timing import FINE_PER_SECOND, ClockTable, to_datetime

__all__ = ["measure"]

N_DAYS, FILES_A_DAY, PACKETS_A_FILE = 365, 10, 1000
GOAL_DAY_MS = 50.0
GOAL_YEAR_S = 2.0
_FIRST_DAY = np.datetime64("2022-01-01", "ns")
_NAME = "packets"
_KINDS = ((3, 25, 1444, 2, 109), (3, 25, 1444, 1, 59), (21, 6, 1500, 30, 60), (21, 6, 1468, 24, 200))
"""Service, subtype, APID, discriminator, bytes."""


def measure() -> Iterator[Measurement]:
    """Milliseconds of a search in a day and in a year: the first page and the number of all that fit."""
    versions, clock = load_versions(), load_clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(home=Path(folder), mongo_uri="", access="operator")
        archive = Archive(factory.archive_folder(settings), writable=True)
        with factory.open_catalog(settings) as catalog:
            records = _make_files(archive, versions, clock)
            for record in records:
                catalog.raw_files.save(record)
            yield from _searches(catalog, archive, versions, clock)


def _searches(
    catalog: Catalog, archive: Archive, versions: Versions, clock: ClockTable
) -> Iterator[Measurement]:
    def find(**conditions: Any) -> Callable[[], object]:
        return lambda: find_packets(catalog, archive, versions, clock, **conditions)

    day = {"start": "2022-07-01", "end": "2022-07-02"}
    year = {"start": "2022-01-01", "end": "2023-01-01"}
    milliseconds: tuple[tuple[str, Callable[[], object]], ...] = (
        ("a day, all packets", find(**day)),
        ("a day, one structure", find(**day, spid=54118)),
        ("a day, words of the description", find(**day, text="light curve")),
        ("a day, one APID, oldest first", find(**day, apid=1468, newest_first=False)),
    )
    for name, step in milliseconds:
        yield Measurement(_NAME, name, 1e3 * best_of(step), "ms", GOAL_DAY_MS, smaller_is_better=True)
    seconds = (
        ("a year, all packets", find(**year)),
        ("a year, one structure and status", find(**year, spid=54118, status="ok")),
        ("a year, one request", find(**year, request=2_200_001_825)),
        ("the whole archive, words of the description", find(text="light curve")),
    )
    for name, step in seconds:
        yield Measurement(_NAME, name, best_of(step, repeats=3), "s", GOAL_YEAR_S, smaller_is_better=True)
    last = find_packets(catalog, archive, versions, clock, limit=1, count=False)
    further: tuple[tuple[str, Callable[[], object]], ...] = (
        ("the latest packets of the whole archive, not counted", find(count=False)),
        ("a year, copies of several files once", find(**year, distinct=True)),
        ("a packet by its id, decoded", lambda: get_packet(catalog, archive, versions, clock, last.ids[0])),
    )
    for name, step in further:
        yield Measurement(_NAME, name, 1e3 * best_of(step), "ms")


def _make_files(archive: Archive, versions: Versions, clock: ClockTable) -> list[RawFile]:
    """Packet files of a year, and their records as an ingest would write them."""
    rng = np.random.default_rng(0)
    records = []
    length = np.timedelta64(86_400 // FILES_A_DAY, "s")
    for number in range(N_DAYS * FILES_A_DAY):
        start = _FIRST_DAY + number * length
        block = _headers_only(start, length, versions, clock, rng)
        sha256 = hashlib.sha256(str(number).encode()).hexdigest()
        with archive.write_packets(sha256, versions) as writer:
            writer.append(block)
        kinds, counts = np.unique(block.ssid, return_counts=True)
        names = {ssid: f"{service},{subtype},{ssid}" for service, subtype, _, ssid, _ in _KINDS}
        records.append(
            RawFile(
                sha256=sha256,
                names=(f"made-up-{start.astype('M8[s]')}.xml",),
                kind="edds-tm",
                size_bytes=int(block.offsets[-1]),
                origin="flight",
                received=datetime.now(UTC).replace(microsecond=0),
                start=to_datetime(start),
                end=to_datetime(start + length),
                packets={"ok": len(block)},
                structures={names[int(k)]: int(c) for k, c in zip(kinds, counts, strict=True)},
                requests=(f"flight/24/{2_200_000_000 + number}/0",),
                processed=True,
                report={"remarks": {f"reason {i}": {"first_offsets": list(range(8))} for i in range(5)}},
            )
        )
    return records


def _headers_only(
    start: np.datetime64,
    length: np.timedelta64,
    versions: Versions,
    clock: ClockTable,
    rng: np.random.Generator,
) -> PacketBlock:
    """Packets with headers that make sense and nothing behind them."""
    coarse, _ = clock.to_scet(start)
    seconds = int(length / np.timedelta64(1, "s"))
    blocks = []
    for service, subtype, apid, ssid, size in _KINDS:
        n = PACKETS_A_FILE // len(_KINDS)
        lengths = np.full(n, size)
        headers = make_headers(
            lengths,
            service=service,
            subtype=subtype,
            apid=apid,
            sequence_flag=3,
            sequence_count=np.arange(n),
            scet_coarse=int(coarse) + np.sort(rng.integers(0, seconds, n)),
            scet_fine=rng.integers(0, FINE_PER_SECOND, n),
        )
        content = np.zeros((n, size), dtype=np.uint8)
        content[:, :16] = headers
        content[:, 16] = ssid
        offsets = np.arange(n + 1) * size
        block = parse_headers(
            content.ravel(),
            offsets[:-1],
            offsets[1:],
            truncated=np.zeros(n, dtype=bool),
            source_offset=offsets[:-1].copy(),
            versions=versions,
        )
        blocks.append(block.with_status(np.full(n, Status.OK, dtype=np.uint8)))
    return PacketBlock.concatenate(blocks)
