"""The packets of one raw file, on disk by columns: opened in no time, read where asked.

Layout: a mark; the bytes of all packets, one behind the other; the columns, each aligned to eight bytes;
a directory of the columns (JSON); its length and the mark again. Little-endian throughout.
"""

from __future__ import annotations

import binascii
import json
import mmap
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.files import new_file
from stixlab.idb import Definitions, Versions
from stixlab.idb.program import HEADER_BITS
from stixlab.telemetry.duplicates import content_hashes, identities, mark_duplicates
from stixlab.telemetry.frames import HEADER_DTYPES, PacketBlock

__all__ = ["PacketFile", "PacketFileWriter", "request_numbers"]

_MARK = b"STIXPKT1"
_END = struct.Struct("<Q8s")
_ALIGNMENT = 8
_IN_MEMORY = 1 << 20
"""Bytes of a column that wait in memory; beyond, in a temporary file."""
_COLUMNS: Mapping[str, str] = MappingProxyType(
    {"length": "<u4", **HEADER_DTYPES, "request": "<u4", "tc_sequence": "<u2", "content_hash": "<u8"}
)
_REQUEST, _TC_SEQUENCE = "NIX00037", "NIX00002"


@dataclass(frozen=True, eq=False)
class PacketFile:
    """Packets of one raw file; columns and bytes are mapped, nothing is read before it is used."""

    path: Path
    _columns: dict[str, NDArray[Any]]
    _data: NDArray[np.uint8]
    _checksums: dict[str, int]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a file that `PacketFileWriter` wrote.

        Raises
        ------
        FormatError
            If it is something else or not whole.
        OSError
            If it cannot be opened.
        """
        with path.open("rb") as file:
            size = path.stat().st_size
            if size < len(_MARK) + _END.size:
                raise _damaged(path, f"{size} bytes")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        length, mark = _END.unpack_from(mapped, size - _END.size)
        start = size - _END.size - length
        if mark != _MARK or mapped[: len(_MARK)] != _MARK or start < len(_MARK):
            raise _damaged(path, "other marks at its ends")
        try:
            directory = json.loads(mapped[start : start + length])
            n, n_bytes = directory["packets"], directory["bytes"]
            columns = {
                name: np.frombuffer(mapped, dtype=dtype, count=n, offset=directory["columns"][name])
                for name, dtype in _COLUMNS.items()
            }
            data = np.frombuffer(mapped, dtype=np.uint8, count=n_bytes, offset=len(_MARK))
            checksums = dict(directory.get("checksums", {}))
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, str(error)) from error
        return cls(path, columns, data, checksums)

    def __len__(self) -> int:
        return len(self._columns["length"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        """(n,) a column.

        Header fields as in `PacketBlock`, and ``length`` (bytes), ``request`` (number of the data request, 0: none),
        ``tc_sequence`` (sequence control of the telecommand that asked for the data, 0: none), ``content_hash``.
        """
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def damaged_parts(self) -> list[str]:
        """Names of columns whose content is not what was written, ``bytes`` for that of the packets; all of it is read.

        Files of earlier versions have no checksums: nothing is found in them.
        """
        parts = {"bytes": self._data} | self._columns
        return [
            n for n, crc in self._checksums.items() if binascii.crc32(parts[n].view(np.uint8).data) != crc
        ]

    @cached_property
    def block(self) -> PacketBlock:
        """All packets; their bytes stay where they are until they are looked at."""
        offsets = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(self["length"], out=offsets[1:])
        return PacketBlock(
            data=self._data, offsets=offsets, **{name: self._columns[name] for name in HEADER_DTYPES}
        )

    def read(self, chosen: NDArray[np.bool_] | NDArray[np.integer[Any]] | slice) -> PacketBlock:
        """Some of the packets, by mask, indices or slice."""
        return self.block.select(chosen)

    def iter_blocks(self, max_bytes: int = 1 << 26) -> Iterator[PacketBlock]:
        """All packets in pieces of about so many bytes."""
        offsets, first = self.block.offsets, 0
        while first < len(self):
            last = int(np.searchsorted(offsets, offsets[first] + max_bytes, side="right")) - 1
            last = max(last, first + 1)
            yield self.read(slice(first, last))
            first = last


def _damaged(path: Path, found: str) -> FormatError:
    return FormatError(
        f"packet file {path}: expected packets in columns as this version writes them; found {found}; "
        "ingest the raw file again",
        path=path,
    )


class PacketFileWriter:
    """Writes the packets of one raw file, block by block; the file is there when all of it is written.

    Parameters
    ----------
    path
    versions
        Tell where the number of the data request stands.
    """

    _crc = 0
    """Checksum of the bytes of all packets so far."""

    def __init__(self, path: Path, versions: Versions) -> None:
        self._path = path
        self._versions = versions
        self._n = self._n_bytes = self._n_blocks = 0
        self._stack = ExitStack()
        self._columns: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._temporary = stack.enter_context(new_file(self._path))
            self._file: IO[bytes] = stack.enter_context(self._temporary.open("w+b"))
            self._file.write(_MARK)
            for name in _COLUMNS:
                waiting = tempfile.SpooledTemporaryFile(_IN_MEMORY)
                self._columns[name] = stack.enter_context(waiting)
            stack.push(self._end)
            self._stack = stack.pop_all()
        return self

    def append(self, block: PacketBlock) -> None:
        """Add packets behind those that are there."""
        content = np.ascontiguousarray(block.data[block.offsets[0] : block.offsets[-1]]).data
        self._file.write(content)
        self._crc = binascii.crc32(content, self._crc)
        request, tc_sequence = request_numbers(block, self._versions)
        others = {
            "length": block.lengths,
            "request": request,
            "tc_sequence": tc_sequence,
            "content_hash": content_hashes(block),
        }
        for name, dtype in _COLUMNS.items():
            values = others[name] if name in others else getattr(block, name)
            self._columns[name].write(np.ascontiguousarray(values, dtype=dtype).tobytes())
        self._n += len(block)
        self._n_blocks += 1
        self._n_bytes += int(block.offsets[-1] - block.offsets[0])

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]  # the three that the protocol gives

    def _end(self, kind: type[BaseException] | None, *_: object) -> None:
        """The first thing that happens at the end; if it fails, the file is not kept."""
        if kind is None:
            self._finish()

    def _finish(self) -> None:
        places, at = {}, len(_MARK) + self._n_bytes
        checksums = {"bytes": self._crc}
        for name, column in self._columns.items():
            gap = -at % _ALIGNMENT
            self._file.write(b"\0" * gap)
            places[name] = at + gap
            column.seek(0)
            checksums[name] = 0
            while piece := column.read(_IN_MEMORY):
                self._file.write(piece)
                checksums[name] = binascii.crc32(piece, checksums[name])
            at += gap + self._n * np.dtype(_COLUMNS[name]).itemsize
        directory = {"packets": self._n, "bytes": self._n_bytes, "columns": places, "checksums": checksums}
        self._write_directory(at, directory)
        if self._n_blocks > 1:
            checksums["status"] = self._mark_duplicates(places["status"], checksums["status"])
            self._write_directory(at, directory)

    def _write_directory(self, place: int, directory: dict[str, Any]) -> None:
        text = json.dumps(directory).encode()
        self._file.seek(place)
        self._file.write(text + _END.pack(len(text), _MARK))
        self._file.truncate()
        self._file.flush()

    def _mark_duplicates(self, place: int, checksum: int) -> int:
        """Compare packets of different blocks that have one identity; checksum of the statuses as they are then."""
        written = PacketFile.open(self._temporary)
        time, counter = identities(written.block)
        order = np.lexsort((counter, time))
        same = (np.diff(time[order]) == 0) & (np.diff(counter[order]) == 0)
        repeated = np.sort(order[np.append(same, False) | np.insert(same, 0, False)])
        if len(repeated):
            status = written["status"].copy()
            status[repeated] = mark_duplicates(written.read(repeated)).status
            self._file.seek(place)
            self._file.write(status.tobytes())
            self._file.flush()
            return binascii.crc32(status.tobytes())
        return checksum


@lru_cache(maxsize=4096)
def _fixed_place(definitions: Definitions, spid: int, name: str) -> tuple[int, int] | None:
    """Byte and number of bytes of a field that stands at the same place in all packets; None if there is none."""
    at = HEADER_BITS
    for field in definitions.structures.get(spid, ()):
        at += field.gap_bits
        width = definitions.parameters[field.parameter].width_bits
        if field.parameter == name and at % 8 == 0:
            return at // 8, width // 8
        if field.group_size:
            return None
        at += width
    return None


def request_numbers(block: PacketBlock, versions: Versions) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """(n,) number of the data request and sequence control of its telecommand; 0 where a packet has none."""
    request = np.zeros(len(block), dtype=np.uint32)
    tc_sequence = np.zeros(len(block), dtype=np.uint16)
    for definitions, eras in versions.distinct.items():
        of_eras = np.isin(block.era, eras)
        for spid in np.unique(block.spid[of_eras]).tolist():
            for name, column in ((_REQUEST, request), (_TC_SEQUENCE, tc_sequence)):
                place = _fixed_place(definitions, spid, name)
                if place is None:
                    continue
                byte, n_bytes = place
                there = of_eras & (block.spid == spid) & (block.lengths >= byte + n_bytes)
                index = np.flatnonzero(there)
                value = np.zeros(len(index), dtype=np.int64)
                for k in range(n_bytes):
                    value = value << 8 | block.data[block.offsets[:-1][index] + byte + k]
                column[index] = value
    return request, tc_sequence
