"""Packets of a file as columns: headers parsed, application data not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from stixlab.vocabulary import FLIGHT, ORIGINS, REENCODED, SIMULATED

__all__ = ["HEADER_DTYPES", "REENCODED_DESTINATION", "SIMULATED_DESTINATION", "PacketBlock", "Status"]

SIMULATED_DESTINATION = 0x5A
"""Destination byte (byte 9) of packets that the simulator made; real packets have 0, 110 or 120."""
REENCODED_DESTINATION = 0x5B
"""Destination byte of packets that were made from the counts of a product."""


_LENGTH_BYTE = 4
"""Of a packet, at which its length less 7 stands."""


class Status(IntEnum):
    """What became of a packet."""

    OK = 0
    """Complete, its structure is known."""
    UNDECODED = 1
    """Complete and identified; no definition of its fields yet."""
    TRUNCATED = 2
    """Its end is missing."""
    UNKNOWN = 3
    """Complete; no database has such a packet."""
    CORRUPT = 4
    """What its counters say does not fit into it."""
    TRAILING = 5
    """Decoded, but bytes are left over behind the last field."""
    DUPLICATE = 6
    """The same bytes came before."""
    CONFLICT = 7
    """Same identity as another packet, other bytes; the longer complete one is used."""


HEADER_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "source_offset": "<i8",
        "apid": "<u2",
        "sequence_flag": "u1",
        "sequence_count": "<u2",
        "service": "u1",
        "subtype": "u1",
        "destination": "u1",
        "scet_coarse": "<u4",
        "scet_fine": "<u2",
        "synchronised": "?",
        "ssid": "<i4",
        "spid": "<i4",
        "status": "u1",
        "era": "u1",
        "generation_time": "<M8[us]",
        "reception_time": "<M8[us]",
    }
)
"""Columns of a block and their dtypes, but for the bytes and the borders of the packets."""


@dataclass(frozen=True, eq=False)
class PacketBlock:
    """The packets of one file, or any selection of packets, one column for each header field."""

    data: NDArray[np.uint8]
    """Bytes of the packets, one behind the other."""
    offsets: NDArray[np.int64]
    """(n + 1,) where each packet begins in `data`."""
    source_offset: NDArray[np.int64]
    """(n,) byte of the original file at which the packet stands (in text: its first digit)."""
    apid: NDArray[np.uint16]
    sequence_flag: NDArray[np.uint8]
    """1 first, 0 continuation, 2 last, 3 stand-alone."""
    sequence_count: NDArray[np.uint16]
    """14 bits, counted for each APID."""
    service: NDArray[np.uint8]
    subtype: NDArray[np.uint8]
    destination: NDArray[np.uint8]
    scet_coarse: NDArray[np.uint32]
    """On-board seconds of the packet, without the synchronisation bit."""
    scet_fine: NDArray[np.uint16]
    """1/65536 s."""
    synchronised: NDArray[np.bool_]
    """The on-board clock was synchronised with the spacecraft."""
    ssid: NDArray[np.int32]
    """Value that tells structures of one service apart (SSID, SID, event number); -1 if none."""
    spid: NDArray[np.int32]
    """Number of the structure; -1 if unknown."""
    status: NDArray[np.uint8]
    """`Status` of each packet."""
    era: NDArray[np.uint8]
    """Number of the era (`stixlab.idb.Versions`) whose definitions hold for the packet."""
    generation_time: NDArray[np.datetime64]
    """UTC that the control centre gives for the making of the packet; NaT where it does not say."""
    reception_time: NDArray[np.datetime64]
    """UTC of its reception on ground; NaT where the file does not say."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) bytes of each packet."""
        return np.diff(self.offsets)

    @property
    def origin(self) -> NDArray[np.uint8]:
        """(n,) index into `stixlab.vocabulary.ORIGINS`, by the destination byte."""
        codes = np.full(256, ORIGINS.index(FLIGHT), dtype=np.uint8)
        codes[SIMULATED_DESTINATION] = ORIGINS.index(SIMULATED)
        codes[REENCODED_DESTINATION] = ORIGINS.index(REENCODED)
        return codes[self.destination]

    @property
    def simulated(self) -> NDArray[np.bool_]:
        """(n,) whether the simulator made the packet."""
        return np.equal(self.destination, SIMULATED_DESTINATION)

    def packet(self, index: int) -> bytes:
        """Bytes of one packet."""
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def with_status(self, status: NDArray[np.uint8]) -> PacketBlock:
        """The same packets with another verdict."""
        return replace(self, status=status)

    def as_received(self) -> PacketBlock:
        """The same packets with the status that each has alone, by its bytes: ok, truncated or unknown."""
        first = self.offsets[:-1]
        has_length = self.lengths >= _LENGTH_BYTE + 2
        at = np.where(has_length, first + _LENGTH_BYTE, 0)
        announced = (self.data[at].astype(np.int64) << 8 | self.data[at + 1]) + 7 if len(self) else first
        alone = np.where(self.spid < 0, Status.UNKNOWN, Status.OK)
        alone = np.where(has_length & (announced == self.lengths), alone, Status.TRUNCATED)
        return self.with_status(alone.astype(np.uint8))

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.integer] | slice) -> PacketBlock:
        """Some of the packets, in the order asked for.

        Parameters
        ----------
        chosen
            Mask (n,), indices, or a slice.
        """
        index = np.arange(len(self))[chosen]
        starts, lengths = self.offsets[:-1][index], self.lengths[index]
        offsets = np.zeros(len(index) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        # packets that stand one behind the other are taken together
        first = np.flatnonzero(np.diff(starts - offsets[:-1], prepend=-1))
        pieces = [
            self.data[a : a + n]
            for a, n in zip(starts[first], np.diff(offsets[[*first, len(index)]]), strict=True)
        ]
        data = pieces[0] if len(pieces) == 1 else np.concatenate(pieces) if pieces else self.data[:0]
        columns = {
            f.name: getattr(self, f.name)[index] for f in fields(self) if f.name not in {"data", "offsets"}
        }
        return PacketBlock(data=data, offsets=offsets, **columns)

    @classmethod
    def concatenate(cls, blocks: Sequence[PacketBlock]) -> PacketBlock:
        """All packets of several blocks, in order; source offsets stay those of their files."""
        if not blocks:
            return cls.empty()
        starts = np.cumsum([0] + [b.offsets[-1] - b.offsets[0] for b in blocks])
        parts = [b.offsets[1:] - b.offsets[0] + s for b, s in zip(blocks, starts, strict=False)]
        columns = {
            f.name: np.concatenate([getattr(b, f.name) for b in blocks])
            for f in fields(cls)
            if f.name not in {"data", "offsets"}
        }
        data = np.concatenate([b.data[b.offsets[0] : b.offsets[-1]] for b in blocks])
        return cls(data=data, offsets=np.concatenate([np.zeros(1, dtype=np.int64), *parts]), **columns)

    @classmethod
    def empty(cls) -> PacketBlock:
        """No packets."""
        columns = {name: np.zeros(0, dtype=dtype) for name, dtype in HEADER_DTYPES.items()}
        return cls(data=np.zeros(0, dtype=np.uint8), offsets=np.zeros(1, dtype=np.int64), **columns)
