"""Packets in an archive and a catalogue, without an ingest."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from stixlab.archive import Archive
from stixlab.catalog.memory import MemoryCatalog
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import Versions, load_versions
from stixlab.model import RawFile
from stixlab.packets.page import covered_times
from stixlab.packets.search import find_packets
from stixlab.packets.table import PacketTable
from stixlab.packets.tree import PacketTree, get_packet
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.timing import ClockTable, to_datetime


@dataclass
class Store:
    """A home with packets in it."""

    catalog: MemoryCatalog
    archive: Archive
    versions: Versions
    clock: ClockTable

    def add(self, block: PacketBlock, name: str = "tm.xml", *, origin: str = "flight", **more: Any) -> str:
        """Store the packets of a file; its hash."""
        sha256 = hashlib.sha256(f"{name} {len(self.catalog.raw_files.find())}".encode()).hexdigest()
        with self.archive.write_packets(sha256, self.versions) as writer:
            writer.append(block)
        packets = self.archive.open_packets(sha256)
        span = covered_times(packets, self.clock)
        kinds = zip(block.service.tolist(), block.subtype.tolist(), block.ssid.tolist(), strict=True)
        self.catalog.raw_files.save(
            RawFile(
                sha256=sha256,
                names=(name,),
                kind="edds-tm",
                size_bytes=int(block.offsets[-1]),
                origin=origin,
                received=datetime.now(UTC),
                start=to_datetime(span[0]) if span else None,
                end=to_datetime(span[1]) if span else None,
                packets=Counter(Status(int(s)).name.lower() for s in packets["status"]),
                structures=Counter(",".join(str(v) for v in kind if v >= 0) for kind in kinds),
                requests=tuple(f"{origin}/24/{r}/0" for r in np.unique(packets["request"]).tolist() if r),
                **more,
            )
        )
        return sha256

    def find(self, **conditions: Any) -> PacketTable:
        return find_packets(self.catalog, self.archive, self.versions, self.clock, **conditions)

    def get(self, identity: str) -> PacketTree:
        return get_packet(self.catalog, self.archive, self.versions, self.clock, identity)


def new_store(home: Path) -> Store:
    return Store(MemoryCatalog(), Archive(home / "archive", writable=True), load_versions(), load_clock())
