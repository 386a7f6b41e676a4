"""Telemetry files of every kind, recognised by their content, read into packets."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.idb import Versions, load_versions
from stixlab.telemetry.duplicates import mark_duplicates
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.headers import find_packets, looks_like_packet, parse_headers
from stixlab.telemetry.report import DecodeReport

__all__ = ["EDDS_HEADER_BYTES", "Kind", "read_packets", "recognise"]

EDDS_HEADER_BYTES = 76
"""Header that the control system puts before each packet of its files."""
_LOOKED_AT = 1 << 16
"""Bytes at the start of a file by which text is told from binary."""
_HEX_LINES = re.compile(rb"(?:^[0-9A-Fa-fxX \t\r\f]++(?:\n\s*+|\Z))++", re.MULTILINE)
_LB_ROW = re.compile(rb"0[dD][0-9A-Fa-f]{30,}+")
_PACKET_ELEMENT = re.compile(rb"<(?:\w+:)?Packet>([^<]*)")
_TC_ELEMENT = re.compile(rb"<(?:\w+:)?PktTcReportListElement[\s>]")
_NOT_HEX = re.compile(rb"[^0-9A-Fa-f]")
_BLANK = re.compile(rb"\s+")


class Kind(StrEnum):
    """Kinds of files that telemetry and products come in."""

    EDDS_TM = "edds-tm"
    """XML of the control system with raw telemetry packets."""
    EDDS_TC = "edds-tc"
    """XML of the control system that reports telecommands."""
    HEX = "hex"
    """Text of hexadecimal digits."""
    BINARY = "binary"
    """Packets one behind the other."""
    LB_FITS = "lb-fits"
    """FITS table with one packet a row, in hexadecimal digits."""
    FITS = "fits"
    """Any other FITS: a product, to be imported."""


@dataclass
class _Piece:
    """Bytes to be searched for packets, and where they come from."""

    data: bytes
    offset: int
    """Place of the first byte in the file."""
    stride: int
    """Bytes of the file for each byte here: 1, or 2 in hexadecimal text."""
    places: NDArray[np.int64] | None = None
    """Place of each byte in the file, where blanks make it irregular."""
    element: bool = False
    """A frame of its own, which may begin with the header of the control system."""

    def place(self, index: int) -> int:
        """Place in the file of a byte of the piece."""
        return self.offset + index * self.stride if self.places is None else int(self.places[index])


def recognise(content: bytes | memoryview, name: str = "") -> Kind:
    """Kind of a file by what is in it; its name is only for the message.

    Raises
    ------
    FormatError
        If it is none of the known kinds; says what was looked for.
    """
    start = bytes(content[:_LOOKED_AT])
    if start.startswith(b"SIMPLE  ="):
        level = re.search(rb"LEVEL   = 'LB *'", start[: 10 * 2880])
        return Kind.LB_FITS if level else Kind.FITS
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        if re.search(rb"<(?:\w+:)?PktTcReport", start):
            return Kind.EDDS_TC
        if re.search(rb"<(?:\w+:)?(?:PktRawResponse|PktTmRaw|Packet)", start):
            return Kind.EDDS_TM
        raise _unrecognised(name, "XML without PktRawResponse, Packet or PktTcReport in its first 64 kB")
    if b"\0" not in start and any(_holds_packet(_digits(run[0])[0]) for run in _HEX_LINES.finditer(start)):
        return Kind.HEX
    if _holds_packet(bytes(content)):
        return Kind.BINARY
    raise _unrecognised(
        name, f"{len(content)} bytes that begin with {start[:16]!r}" if start else "an empty file"
    )


def _unrecognised(name: str, found: str) -> FormatError:
    return FormatError(
        f"file {name or 'without name'}: expected telemetry (EDDS XML, text of hexadecimal digits, or binary with "
        f"at least one packet header: 0x0D .. 0x10 and a known service) or a FITS product; found {found}; "
        "check that this is the file you meant",
        name=name,
        found=found,
    )


def _known_services(versions: Versions) -> bytes:
    return versions.known_services.tobytes()


def _holds_packet(data: bytes) -> bool:
    """Whether a header of a known service stands at the start, behind an EDDS header, or anywhere."""
    known = _known_services(load_versions())
    at = -1
    while (at := data.find(0x0D, at + 1)) >= 0:
        if looks_like_packet(data, at, known):
            return True
    return False


def _digits(text: bytes) -> tuple[bytes, NDArray[np.int64]]:
    """Bytes that hexadecimal text stands for, and the place of each in the text.

    What is no digit is left out, and so is ``0x``; a digit without its second is left out at the end.
    """
    codes = np.frombuffer(text, dtype=np.uint8)
    lower = codes | 0x20
    is_digit = ((codes >= 48) & (codes <= 57)) | ((lower >= 97) & (lower <= 102))
    prefix = np.flatnonzero((codes[:-1] == 48) & (lower[1:] == 120))
    is_digit[prefix] = False
    places = np.flatnonzero(is_digit)
    places = places[: len(places) // 2 * 2]
    return binascii.unhexlify(codes[places].tobytes()), places[::2]


def _edds_pieces(content: bytes, report: DecodeReport) -> Iterator[_Piece]:
    """One piece for each Packet element; what is around the digits is markup."""
    markup = len(content)
    for element in _PACKET_ELEMENT.finditer(content):
        text, offset = element.group(1), element.start(1)
        try:
            data, places = binascii.unhexlify(text), None
        except binascii.Error:
            compact = _BLANK.sub(b"", text)
            bad = _NOT_HEX.search(compact)
            if bad is None and len(compact) % 2 == 0:
                data, places = _digits(text)
            else:
                # digits behind one that is wrong cannot be trusted: half a byte may be lost
                data, places = _digits(text[: _first_wrong(text)])
                rest = len(text) - 2 * len(data)
                report.remark("element that is not hexadecimal", offset, rest)
        markup -= 2 * len(data)
        yield _Piece(data, offset, 2, places, element=True)
    report.use("markup", markup)


def _first_wrong(text: bytes) -> int:
    """Index of the first byte that is neither a digit nor blank."""
    wrong = re.search(rb"[^0-9A-Fa-f\s]", text)
    return wrong.start() if wrong else len(text)


def _hex_pieces(content: bytes, report: DecodeReport) -> Iterator[_Piece]:
    """One piece for each run of lines of digits; other lines are skipped."""
    last = 0
    for run in _HEX_LINES.finditer(content):
        _skip_lines(content, last, run.start(), report)
        last = run.end()
        data, places = _digits(run[0])
        report.use("markup", len(run[0]) - 2 * len(data))
        yield _Piece(data, 0, 2, places + run.start())
    _skip_lines(content, last, len(content), report)


def _skip_lines(content: bytes, start: int, end: int, report: DecodeReport) -> None:
    blank = not content[start:end].strip()
    report.use("markup" if blank else "skipped", end - start)
    if not blank:
        report.remark("text that is not hexadecimal", start, end - start)


def _lb_pieces(content: bytes, report: DecodeReport) -> Iterator[_Piece]:
    """One piece for each row of the table: its digits are found as such.

    The binary columns between them begin with zero bytes; no FITS library is needed, and a
    damaged header loses nothing.
    """
    markup = len(content)
    for row in _LB_ROW.finditer(content):
        data, _ = _digits(row[0])
        markup -= 2 * len(data)
        yield _Piece(data, row.start(), 2, element=True)
    report.use("markup", markup)


def _binary_pieces(content: bytes, report: DecodeReport) -> Iterator[_Piece]:  # noqa: ARG001  (same call as the others)
    yield _Piece(content, 0, 1)


_PIECES = {
    Kind.EDDS_TM: _edds_pieces,
    Kind.HEX: _hex_pieces,
    Kind.LB_FITS: _lb_pieces,
    Kind.BINARY: _binary_pieces,
}


def _has_edds_header(data: bytes) -> bool:
    """Whether a packet stands behind 76 bytes and none at the start (then the header is left out)."""
    return not looks_like_packet(data, 0, None) and looks_like_packet(data, EDDS_HEADER_BYTES, None)


def read_packets(content: bytes, name: str, versions: Versions) -> tuple[PacketBlock, DecodeReport]:
    """All packets of a file, and an account of all its bytes.

    Parameters
    ----------
    content
        The whole file.
    name
        For the report.
    versions

    Returns
    -------
    block
        Packets in the order of the file, each with its status; none is dropped.
    report
        What was skipped, by reason, with places.

    Raises
    ------
    FormatError
        If the file is no telemetry at all. Dirty telemetry is never an error.
    """
    kind = recognise(content, name)
    report = DecodeReport(name=name, kind=str(kind), size_bytes=len(content))
    if kind is Kind.EDDS_TC:
        for element in _TC_ELEMENT.finditer(content):
            report.remark("telecommand report kept, not decoded yet", element.start())
        report.use("markup", len(content))
        return PacketBlock.empty(), report
    if kind is Kind.FITS:
        raise FormatError(
            f"file {name}: expected telemetry; found a FITS product; import it instead (stixlab import)",
            name=name,
        )
    block = _collect(_PIECES[kind](content, report), report, versions)
    block = mark_duplicates(block)
    report.count_packets(block)
    return block, report


def _collect(pieces: Iterator[_Piece], report: DecodeReport, versions: Versions) -> PacketBlock:
    known = _known_services(versions)
    chunks: list[bytes] = []
    starts: list[int] = []
    ends: list[int] = []
    truncated: list[bool] = []
    sources: list[int] = []
    base = 0
    for piece in pieces:
        data, skip = piece.data, 0
        if piece.element and _has_edds_header(data):
            skip = EDDS_HEADER_BYTES
            report.use("frame headers", skip * piece.stride)
            data = data[skip:]
        found = find_packets(data, known)
        starts += [base + s for s in found.starts]
        ends += [base + e for e in found.ends]
        truncated += found.truncated
        sources += [piece.place(skip + s) for s in found.starts]
        report.use(
            "packets", piece.stride * sum(e - s for s, e in zip(found.starts, found.ends, strict=True))
        )
        for first, last in found.skipped:
            report.remark("bytes between packets", piece.place(skip + first), last - first)
            report.use("skipped", piece.stride * (last - first))
        chunks.append(data)
        base += len(data)
    stream = np.frombuffer(chunks[0] if len(chunks) == 1 else b"".join(chunks), dtype=np.uint8)
    return parse_headers(
        stream,
        np.array(starts, dtype=np.int64),
        np.array(ends, dtype=np.int64),
        truncated=np.array(truncated, dtype=bool),
        source_offset=np.array(sources, dtype=np.int64),
        versions=versions,
    )
