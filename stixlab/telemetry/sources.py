"""Telemetry files of every kind, recognised by their content, read into packets without holding the whole file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.idb import Versions, load_versions
from stixlab.telemetry.borders import HEADER_BYTES, looks_like_packet
from stixlab.telemetry.duplicates import mark_duplicates
from stixlab.telemetry.edds import EDDS_HEADER_BYTES
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.headers import with_eras
from stixlab.telemetry.pieces import Batch, digits_of, read_binary
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.scanner import iter_blocks
from stixlab.telemetry.streams import Source, Stream, open_stream
from stixlab.telemetry.texts import MOC_LINE, read_hex, read_lb_fits, read_moc_ascii, read_xml

__all__ = ["EDDS_HEADER_BYTES", "Kind", "Source", "iter_packets", "read_packets", "recognise"]

_LOOKED_AT = 1 << 16
"""Bytes at the start of a file by which text is told from binary."""
_HELD_BACK = 64 << 20
"""Bytes of packets that wait for the first one that tells their era, or that the file is telemetry at all."""
_SMALLEST_CHUNK = 1 << 16
_SEARCHED = 16 << 20
_HEX_LINES = re.compile(rb"(?:^[0-9A-Fa-fxX \t\r\f]++(?:\n\s*+|\Z))++", re.MULTILINE)
_TC_ELEMENT = re.compile(rb"<(?:\w{1,32}:)?PktTcReportListElement[\s>]")


class Kind(StrEnum):
    """Kinds of files that telemetry and products come in."""

    EDDS_TM = "edds-tm"
    """XML of the control system with raw telemetry packets."""
    EDDS_TC = "edds-tc"
    """XML of the control system that reports telecommands."""
    MOC_ASCII = "moc-ascii"
    """Lines of text: time of reception, and packets in hexadecimal digits."""
    HEX = "hex"
    """Text of hexadecimal digits."""
    BINARY = "binary"
    """Packets one behind the other."""
    LB_FITS = "lb-fits"
    """FITS table with one packet a row, in hexadecimal digits."""
    FITS = "fits"
    """Any other FITS: a product, to be imported."""


def recognise(content: bytes | memoryview, name: str = "") -> Kind:
    """Kind of a file by what is in it, unpacked if it is compressed; its name is only for the message.

    Raises
    ------
    FormatError
        If it is none of the known kinds; says what was looked for.
    """
    with open_stream(bytes(content), DecodeReport(name=name)) as stream:
        known = load_versions().known_services.tobytes()
        kind = _recognise_start(stream.peek(_LOOKED_AT), name, known)
        rest = b""
        while kind is None and (piece := stream.read(_SEARCHED)):
            kind = Kind.BINARY if _holds_packet(rest + piece, known) else None
            rest = piece[1 - HEADER_BYTES :]
    if kind is None:
        raise _unrecognised(name, bytes(content[:_LOOKED_AT]), len(content))
    return kind


def _recognise_start(start: bytes, name: str, known: bytes) -> Kind | None:
    """Kind by the first bytes; None if a packet may still come."""
    if start.startswith(b"SIMPLE  ="):
        level = re.search(rb"LEVEL   = 'LB *'", start[: 10 * 2880])
        return Kind.LB_FITS if level else Kind.FITS
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        if re.search(rb"<(?:\w{1,32}:)?PktTcReport", start):
            return Kind.EDDS_TC
        if re.search(rb"<(?:\w{1,32}:)?(?:PktRawResponse|PktTmRaw|Packet)", start):
            return Kind.EDDS_TM
        found = "XML without PktRawResponse, Packet or PktTcReport in its first 64 kB"
        raise _error(name, found)
    if b"\0" not in start:
        if any(_holds_packet(digits_of(line[2]), known) for line in MOC_LINE.finditer(start)):
            return Kind.MOC_ASCII
        if any(_holds_packet(digits_of(run[0]), known) for run in _HEX_LINES.finditer(start)):
            return Kind.HEX
    return Kind.BINARY if _holds_packet(start, known) else None


def _unrecognised(name: str, start: bytes, size: int) -> FormatError:
    return _error(name, f"{size} bytes that begin with {start[:16]!r}" if size else "an empty file")


def _error(name: str, found: str) -> FormatError:
    return FormatError(
        f"file {name or 'without name'}: expected telemetry (EDDS XML, text of hexadecimal digits with or without "
        f"times, or binary with at least one packet header: 0x0D .. 0x10 and a known service; gzip of any of them) or "
        f"a FITS product; found {found}; check that this is the file you meant",
        name=name,
        found=found,
    )


def _holds_packet(data: bytes, known: bytes) -> bool:
    """Whether a header of a known service stands anywhere."""
    at = -1
    while (at := data.find(0x0D, at + 1)) >= 0:
        if looks_like_packet(data, at, known):
            return True
    return False


_READERS: dict[Kind, Callable[[Stream, DecodeReport, int], Iterator[Batch]]] = {
    Kind.EDDS_TM: read_xml,
    Kind.MOC_ASCII: read_moc_ascii,
    Kind.HEX: read_hex,
    Kind.LB_FITS: read_lb_fits,
    Kind.BINARY: read_binary,
}


def iter_packets(
    source: Source, name: str, versions: Versions, report: DecodeReport, *, chunk_bytes: int = 32 << 20
) -> Iterator[PacketBlock]:
    """Packets of a file of any kind and size, block by block.

    Whatever the size of the chunks, the blocks hold the same packets with the same columns. Repeated packets
    are marked within each block only (`mark_duplicates` of all of them marks the others).

    Parameters
    ----------
    source
        Path, content, or a file open for reading at its start; gzip is unpacked.
    name
        For messages.
    versions
    report
        Gets the kind and size of the file and an account of every byte; complete when the last block was given.
    chunk_bytes
        Bytes of the file read in one go. Memory in use is a small multiple of it.

    Yields
    ------
    PacketBlock
        Packets in the order of the file, each with its status; none is dropped. An empty block does not come.

    Raises
    ------
    FormatError
        If the file is no telemetry at all. Dirty telemetry is never an error.
    OSError
        If it cannot be read.
    """
    with open_stream(source, report) as stream:
        start = stream.peek(_LOOKED_AT)
        kind = _recognise_start(start, name, versions.known_services.tobytes())
        report.kind = str(kind or Kind.BINARY)
        if kind is Kind.FITS:
            raise FormatError(
                f"file {name}: expected telemetry; found a FITS product; import it instead (stixlab import)",
                name=name,
            )
        if kind is Kind.EDDS_TC:
            _count_telecommands(stream, report, chunk_bytes)
        else:
            batches = _READERS[kind or Kind.BINARY](stream, report, chunk_bytes)
            blocks = iter_blocks(batches, versions, report, block_bytes=chunk_bytes)
            if kind is None:
                blocks = _proven(blocks, versions, lambda: _unrecognised(name, start, stream.n_read))
            for block in _in_eras(blocks, versions):
                marked = mark_duplicates(block)
                report.add_packets(marked)
                yield marked
        report.size_bytes = stream.n_read
        report.compressed_bytes = stream.n_packed


def read_packets(content: bytes, name: str, versions: Versions) -> tuple[PacketBlock, DecodeReport]:
    """All packets of a file at once, and an account of all its bytes.

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
    report = DecodeReport(name=name)
    chunk_bytes = max(len(content) + 1, _SMALLEST_CHUNK)
    blocks = list(iter_packets(content, name, versions, report, chunk_bytes=chunk_bytes))
    if len(blocks) == 1:
        return blocks[0], report
    block = mark_duplicates(PacketBlock.concatenate(blocks))
    report.count_packets(block)
    return block, report


def _count_telecommands(stream: Stream, report: DecodeReport, chunk_bytes: int) -> None:
    """Telecommand reports hold no packets; `stixlab.telemetry.telecommands` reads them."""
    rest, base = b"", 0
    while piece := stream.read(chunk_bytes):
        text = rest + piece
        end = 0
        for element in _TC_ELEMENT.finditer(text):
            report.remark("telecommand report, holds no packets", base + element.start())
            end = element.end()
        keep = max(end, len(text) - 64)
        rest, base = text[keep:], base + keep
    report.use("markup", stream.n_read)


def _proven(
    blocks: Iterator[PacketBlock], versions: Versions, error: Callable[[], FormatError]
) -> Iterator[PacketBlock]:
    """The blocks, once one of them has a packet of a known service; otherwise the file is no telemetry."""
    held: list[PacketBlock] = []
    proven = False
    for block in blocks:
        if not proven:
            held.append(block)
            kinds = block.service.astype(np.int64) * 256 + block.subtype
            proven = bool(versions.known_services[kinds].any())
            if proven:
                yield from held
                held = []
            elif sum(int(b.offsets[-1]) for b in held) > _HELD_BACK:
                break
        else:
            yield block
    if not proven:
        raise error()


def _in_eras(blocks: Iterator[PacketBlock], versions: Versions) -> Iterator[PacketBlock]:
    """The blocks with the era of unsynchronised packets taken from synchronised ones before them in the file.

    Those at the start of a file take it from the first one that comes, if it comes within 64 MB;
    otherwise their own time has to do.
    """
    era: int | None = None
    held: list[PacketBlock] = []
    n_held = 0

    def placed(block: PacketBlock, start: int | None) -> PacketBlock:
        """With the eras of packets at its start, or none."""
        own = versions.eras_at(block.scet_coarse)
        telling = _telling(block)
        before = np.searchsorted(telling, np.arange(len(block)), side="right") - 1
        inherited = own if start is None else np.full(len(block), start, dtype=np.uint8)
        if len(telling):
            inherited = np.where(before < 0, inherited, own[telling][before])
        return with_eras(block, np.where(block.synchronised, own, inherited).astype(np.uint8), versions)

    waiting = True
    for block in blocks:
        telling = _telling(block)
        if waiting:
            held.append(block)
            first = int(telling[0]) if len(telling) else len(block)
            n_held += int(block.offsets[first] - block.offsets[0])
            if n_held <= _HELD_BACK:
                if not len(telling):
                    continue
                era = int(versions.eras_at(block.scet_coarse[first]))
            waiting = False
            for early in held:
                yield placed(early, era)
            held = []
        else:
            yield placed(block, era)
        if len(telling):
            era = int(versions.eras_at(block.scet_coarse[telling[-1]]))
    for early in held:
        yield placed(early, None)


def _telling(block: PacketBlock) -> NDArray[np.int64]:
    """Indices of the packets whose clock can be believed."""
    return np.flatnonzero(block.synchronised & (block.status != Status.UNKNOWN))
