"""Files opened for reading piece by piece, whatever they are: paths, bytes, open files; gzip is unpacked on the way."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stixlab.telemetry.report import DecodeReport

__all__ = ["Source", "Stream", "open_stream", "unpacked"]

Source = Path | bytes | BinaryIO
"""What can be read from: the name of a file, its content, or an open file at its start."""

_GZIP = b"\x1f\x8b\x08"
_COMPRESSED_PIECE = 1 << 16
"""Compressed bytes unpacked in one go."""
_UNPACKED_AT_MOST = 256 << 20
_EXPANSION_AT_MOST = 250
"""A gzip file that gives more than both of these is not telemetry but an attack; text of digits shrinks to a tenth."""


class Stream:
    """Bytes of a file in order, unpacked; memory does not grow with the file.

    Parameters
    ----------
    file
        Open for reading, at its start.
    report
        Gets the sizes and what was wrong with the compression.
    """

    def __init__(self, file: BinaryIO, report: DecodeReport) -> None:
        self._file = file
        self._report = report
        self._ahead = b""
        self._packed = b""
        self._unpacker: zlib._Decompress | None = None
        self._ended = False
        self.n_packed = 0
        """Compressed bytes taken from the file so far; 0 if it is not compressed."""
        self.n_read = 0
        """Bytes given so far."""
        self._n_unpacked = 0
        start = self._read_file(len(_GZIP))
        self.compressed = start == _GZIP
        if self.compressed:
            self._packed = start
            self.n_packed = len(start)
            self._unpacker = zlib.decompressobj(wbits=31)
        else:
            self._ahead = start

    def _read_file(self, size: int) -> bytes:
        """So many bytes of the file itself; fewer only at its end."""
        first = self._file.read(size)
        if len(first) == size or not first:
            return first
        parts = [first]
        missing = size - len(first)
        while missing and (piece := self._file.read(missing)):
            parts.append(piece)
            missing -= len(piece)
        return b"".join(parts)

    def peek(self, size: int) -> bytes:
        """The next bytes, which will be read again."""
        if len(self._ahead) < size:
            self._ahead += self._take(size - len(self._ahead))
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """So many bytes; fewer only at the end."""
        if self._ahead:
            found, self._ahead = self._ahead[:size], self._ahead[size:]
            if len(found) < size:
                found += self._take(size - len(found))
        else:
            found = self._take(size)
        self.n_read += len(found)
        return found

    def _take(self, size: int) -> bytes:
        if not self.compressed:
            return self._read_file(size)
        parts, missing = [], size
        while missing > 0 and not self._ended:
            piece = self._unpack(missing)
            parts.append(piece)
            missing -= len(piece)
            self._n_unpacked += len(piece)
            if self._n_unpacked > max(_UNPACKED_AT_MOST, _EXPANSION_AT_MOST * self.n_packed):
                self._report.remark("gzip that expands beyond all measure, not read on", self._n_unpacked)
                self._ended = True
        return b"".join(parts)

    def _unpack(self, at_most: int) -> bytes:
        """Some unpacked bytes, possibly none yet; sets `_ended`."""
        unpacker = self._unpacker
        if not self._packed:
            self._packed = self._read_file(_COMPRESSED_PIECE)
            self.n_packed += len(self._packed)
        if unpacker is None:
            return self._next_member()
        if not self._packed:
            return self._last(unpacker)
        before = unpacker.copy()
        try:
            found = unpacker.decompress(self._packed, at_most)
        except zlib.error:
            return self._salvage(before)
        self._packed = unpacker.unconsumed_tail
        if unpacker.eof:
            self._packed = unpacker.unused_data
            self._unpacker = None
        return found

    def _last(self, unpacker: zlib._Decompress) -> bytes:
        """What the unpacker still holds when the file has ended."""
        self._ended = True
        try:
            found = unpacker.flush()
        except zlib.error as error:
            self._report.remark(f"damaged gzip ({error})", self._n_unpacked)
            return b""
        if not unpacker.eof:
            self._report.remark("gzip that ends early", self._n_unpacked + len(found))
        return found

    def _next_member(self) -> bytes:
        """Another gzip may follow behind the end of one; anything else is told."""
        self._packed += self._read_file(max(len(_GZIP) - len(self._packed), 0))
        if self._packed.startswith(_GZIP):
            self._unpacker = zlib.decompressobj(wbits=31)
            return b""
        self._ended = True
        if self._packed.strip(b"\0"):
            self._report.remark("bytes behind the end of gzip", self._n_unpacked)
        return b""

    def _salvage(self, unpacker: zlib._Decompress) -> bytes:
        """What comes out before the fault, byte by byte."""
        parts = []
        try:
            for code in self._packed:
                parts.append(unpacker.decompress(bytes([code])))  # noqa: PERF401  (those before the fault are kept)
        except zlib.error as error:
            self._report.remark(f"damaged gzip ({error})", self._n_unpacked)
        self._ended = True
        return b"".join(parts)


@contextmanager
def open_stream(source: Source, report: DecodeReport) -> Iterator[Stream]:
    """Open a file of any form; gzip is recognised by content. A path is closed again, an open file is not.

    Raises
    ------
    OSError
        If a path cannot be opened.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield Stream(file, report)
    elif isinstance(source, bytes | bytearray | memoryview):
        yield Stream(io.BytesIO(source), report)
    else:
        yield Stream(source, report)


def unpacked(content: bytes) -> bytes:
    """The content, unpacked if it is gzip; of a damaged one what can be read."""
    if not content.startswith(_GZIP):
        return content
    with open_stream(content, DecodeReport(name="")) as stream:
        pieces = iter(lambda: stream.read(_UNPACKED_AT_MOST), b"")
        return b"".join(pieces)
