"""What became of every byte and every packet of a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stixlab.telemetry.frames import PacketBlock, Status

__all__ = ["DecodeReport", "Remark"]

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
    kind: str
    size_bytes: int
    bytes_by_use: dict[str, int] = field(default_factory=dict)
    """Bytes of the file: ``packets``, ``frame headers``, ``markup``, ``skipped``."""
    packets: dict[str, int] = field(default_factory=dict)
    """Packets by status."""
    structures: dict[str, int] = field(default_factory=dict)
    """Packets by service, subtype and discriminator, such as ``21,6,30``."""
    remarks: dict[str, Remark] = field(default_factory=dict)
    """By reason."""
    sequence_gaps: dict[int, int] = field(default_factory=dict)
    """Packets that the counters say are missing, by APID."""
    n_unsynchronised: int = 0
    n_simulated: int = 0

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

    def count_packets(self, block: PacketBlock) -> None:
        """Take the verdicts of a block in place of those counted so far (after decoding, for instance)."""
        codes, counts = np.unique(block.status, return_counts=True)
        self.packets = {Status(c).name.lower(): int(n) for c, n in zip(codes, counts, strict=True)}
        kinds = np.stack([block.service, block.subtype, block.ssid], axis=1)
        names, n_each = np.unique(kinds, axis=0, return_counts=True)
        self.structures = {
            ",".join(str(v) for v in name if v >= 0): int(n) for name, n in zip(names, n_each, strict=True)
        }
        for status in Status:
            self.remarks.pop(_REASONS.get(status, ""), None)
        for status, reason in _REASONS.items():
            where = np.flatnonzero(block.status == status)
            if len(where):
                self.remarks[reason] = Remark(
                    count=len(where),
                    size_bytes=int(block.lengths[where].sum()),
                    first_offsets=block.source_offset[where[:_FIRST]].tolist(),
                )
        self.n_unsynchronised = int(np.count_nonzero(~block.synchronised))
        self.n_simulated = int(np.count_nonzero(block.simulated))
        self.sequence_gaps = _sequence_gaps(block)

    def as_document(self) -> dict[str, Any]:
        """The report in plain types, for a catalogue or JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "size_bytes": self.size_bytes,
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


def _sequence_gaps(block: PacketBlock) -> dict[int, int]:
    """Missing packets between neighbours of one APID, in order of on-board time; 14-bit counters wrap."""
    gaps = {}
    good = (block.status != Status.DUPLICATE) & (block.status != Status.CONFLICT) & block.synchronised
    for apid in np.unique(block.apid[good]):
        chosen = np.flatnonzero(good & (block.apid == apid))
        count = block.sequence_count[chosen].astype(np.int64)
        order = np.lexsort((count, block.scet_fine[chosen], block.scet_coarse[chosen]))
        steps = np.diff(count[order]) % 16384
        # a step of more than half the circle is a restart of the counter or disorder, not ten thousand losses
        missing = int(np.sum(steps[(steps > 1) & (steps < 8192)] - 1))
        if missing:
            gaps[int(apid)] = missing
    return gaps
