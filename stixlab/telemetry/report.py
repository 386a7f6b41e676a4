"""What became of every byte and every packet of a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.telemetry.frames import PacketBlock, Status

__all__ = ["DecodeReport", "Remark"]

_Counters = tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.int64]]
_FIRST = 8
"""Places kept of each reason; the count goes on."""


@dataclass
class Remark:
    """One reason why something was left out or looked at twice."""

    count: int = 0
    size_bytes: int = 0
    first_offsets: list[int] = field(default_factory=list)
    """Bytes of the file at which it was first seen, at most eight."""


@dataclass
class DecodeReport:
    """Account of one file; the bytes of all kinds add up to its size."""

    name: str
    kind: str = ""
    size_bytes: int = 0
    """Of the file, unpacked if it is compressed."""
    compressed_bytes: int = 0
    """Of the file as it is if it is compressed, otherwise 0."""
    bytes_by_use: dict[str, int] = field(default_factory=dict)
    """Bytes of the file: ``packets``, ``frame headers``, ``markup``, ``skipped``."""
    packets: dict[str, int] = field(default_factory=dict)
    """Packets by status."""
    structures: dict[str, int] = field(default_factory=dict)
    """Packets by service, subtype and discriminator, such as ``21,6,30``."""
    remarks: dict[str, Remark] = field(default_factory=dict)
    """By reason."""
    n_unsynchronised: int = 0
    n_simulated: int = 0
    _counters: list[_Counters] = field(default_factory=list, repr=False, compare=False)

    @property
    def n_packets(self) -> int:
        """All packets, good or bad."""
        return sum(self.packets.values())

    def remark(self, reason: str, offset: int, size_bytes: int = 0) -> None:
        """Count one more case of a reason."""
        entry = self.remarks.setdefault(reason, Remark())
        entry.count += 1
        entry.size_bytes += size_bytes
        if len(entry.first_offsets) < _FIRST:
            entry.first_offsets.append(int(offset))

    def use(self, what: str, size_bytes: int) -> None:
        """Account for bytes of the file."""
        if size_bytes:
            self.bytes_by_use[what] = self.bytes_by_use.get(what, 0) + int(size_bytes)

    @property
    def sequence_gaps(self) -> dict[int, int]:
        """Packets that the counters say are missing, by APID."""
        return _sequence_gaps(self._counters)

    def count_packets(self, block: PacketBlock) -> None:
        """Take the verdicts of a block in place of those counted so far (after decoding, for instance)."""
        self.packets, self.structures = {}, {}
        self.n_unsynchronised = self.n_simulated = 0
        self._counters = []
        for reason in _REASONS.values():
            self.remarks.pop(reason, None)
        self.add_packets(block)

    def add_packets(self, block: PacketBlock) -> None:
        """Count the packets of one more block."""
        for code, n in zip(*np.unique(block.status, return_counts=True), strict=True):
            name = Status(code).name.lower()
            self.packets[name] = self.packets.get(name, 0) + int(n)
        kinds = block.service.astype(np.int64) << 48 | block.subtype.astype(np.int64) << 40
        kinds |= block.ssid.astype(np.int64) + 1
        for kind, n in zip(*np.unique(kinds, return_counts=True), strict=True):
            ssid = (int(kind) & 0xFFFFFFFFFF) - 1
            name = f"{kind >> 48},{kind >> 40 & 0xFF}" + (f",{ssid}" if ssid >= 0 else "")
            self.structures[name] = self.structures.get(name, 0) + int(n)
        for status, reason in _REASONS.items():
            where = np.flatnonzero(block.status == status)
            if len(where):
                entry = self.remarks.setdefault(reason, Remark())
                entry.count += len(where)
                entry.size_bytes += int(block.lengths[where].sum())
                room = _FIRST - len(entry.first_offsets)
                entry.first_offsets += block.source_offset[where[:room]].tolist()
        self.n_unsynchronised += int(np.count_nonzero(~block.synchronised))
        self.n_simulated += int(np.count_nonzero(block.simulated))
        self._counters.append(_counters(block))

    def as_document(self) -> dict[str, Any]:
        """The report in plain types, for a catalogue or JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "size_bytes": self.size_bytes,
            **({"compressed_bytes": self.compressed_bytes} if self.compressed_bytes else {}),
            "bytes": dict(sorted(self.bytes_by_use.items())),
            "packets": dict(sorted(self.packets.items())),
            "structures": dict(sorted(self.structures.items())),
            "remarks": {
                reason: {"count": r.count, "bytes": r.size_bytes, "first_offsets": list(r.first_offsets)}
                for reason, r in sorted(self.remarks.items())
            },
            "sequence_gaps": {str(apid): n for apid, n in sorted(self.sequence_gaps.items())},
            "unsynchronised": self.n_unsynchronised,
            "simulated": self.n_simulated,
        }


_REASONS = {
    Status.UNDECODED: "packet kept, not decoded yet",
    Status.TRUNCATED: "packet without its end",
    Status.UNKNOWN: "packet of no known type",
    Status.CORRUPT: "packet whose counters do not fit",
    Status.TRAILING: "packet with bytes left over",
    Status.DUPLICATE: "packet seen before",
    Status.CONFLICT: "packet that contradicts another of the same identity",
}


def _counters(block: PacketBlock) -> _Counters:
    """Counters of the packets that came once and whose time is good: APID, count, time in 1/65536 s."""
    good = np.flatnonzero(
        (block.status != Status.DUPLICATE) & (block.status != Status.CONFLICT) & block.synchronised
    )
    time = block.scet_coarse[good].astype(np.int64) << 16 | block.scet_fine[good]
    return block.apid[good], block.sequence_count[good], time


def _sequence_gaps(counters: list[_Counters]) -> dict[int, int]:
    """Missing packets between neighbours of one APID, in order of on-board time; 14-bit counters wrap."""
    if not counters:
        return {}
    apid, count, time = (np.concatenate(columns) for columns in zip(*counters, strict=True))
    order = np.lexsort((count, time, apid))
    apid, count = apid[order], count[order].astype(np.int64)
    steps = np.diff(count) % 16384
    # a step of more than half the circle is a restart of the counter or disorder, not ten thousand losses
    steps[(apid[1:] != apid[:-1]) | (steps >= 8192)] = 1
    missing = np.maximum(steps - 1, 0)
    gaps = {}
    for each in np.unique(apid[1:][missing > 0]).tolist():
        gaps[each] = int(missing[apid[1:] == each].sum())
    return gaps
