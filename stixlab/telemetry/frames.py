"""Packets of a file as columns: headers parsed, application data not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError

__all__ = ["SIMULATED_DESTINATION", "PacketBlock", "Status"]

SIMULATED_DESTINATION = 0x5A
"""Destination byte (byte 9) of packets that the simulator made; real packets have 0, 110 or 120."""


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


_DTYPES: dict[str, str] = {
    "offsets": "<i8",
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
    "data": "u1",
}


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
    def simulated(self) -> NDArray[np.bool_]:
        """(n,) whether the simulator made the packet."""
        return np.equal(self.destination, SIMULATED_DESTINATION)

    def packet(self, index: int) -> bytes:
        """Bytes of one packet."""
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def with_status(self, status: NDArray[np.uint8]) -> PacketBlock:
        """The same packets with another verdict."""
        return replace(self, status=status)

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
        if len(index) and np.array_equal(starts - starts[0], offsets[:-1]):
            data = self.data[starts[0] : starts[0] + offsets[-1]]
        else:
            pieces = [self.data[a:b] for a, b in zip(starts, starts + lengths, strict=True)]
            data = np.concatenate(pieces) if pieces else self.data[:0]
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
        columns = {name: np.zeros(int(name == "offsets"), dtype=dtype) for name, dtype in _DTYPES.items()}
        return cls(**columns)

    def save(self, path: Path) -> None:
        """Write everything to one file (npz): the same bytes for the same packets.

        Whether it is whole is up to the caller: give a temporary name and rename it.
        """
        arrays = {n: np.ascontiguousarray(getattr(self, n), dtype=t) for n, t in _DTYPES.items()}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> PacketBlock:
        """Packets that `save` wrote.

        Raises
        ------
        FormatError
            If the file is something else or ends early.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
                return cls(**{name: found[name] for name in _DTYPES})
        except (ValueError, KeyError, BadZipFile, EOFError) as error:
            raise FormatError(
                f"packet block {path}: expected columns {', '.join(_DTYPES)}; {error}; write it again from the raw file",
                path=path,
            ) from error
