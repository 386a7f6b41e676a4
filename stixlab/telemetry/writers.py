"""Files of packets: EDDS XML, lines with and without times, binary, FITS. Each is written whole or not at all.

A name that ends with ``.gz`` is compressed; the same packets always make the same file.
"""

from __future__ import annotations

import binascii
import gzip
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.files import new_file
from stixlab.telemetry.edds import EDDS_HEADER_BYTES, make_edds_headers
from stixlab.telemetry.frames import PacketBlock

__all__ = ["write_binary", "write_edds_xml", "write_hex", "write_lb_fits", "write_moc_ascii"]

_XML_START = b"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:ResponsePart xmlns:ns2="http://edds.egos.esa/model">
    <Response>
        <PktRawResponse>
"""
_XML_END = b"""        </PktRawResponse>
    </Response>
</ns2:ResponsePart>
"""
_AT_ONCE = 1 << 12
"""Packets made into text in one go."""
_FITS_BLOCK = 2880
_CARD = 80


def _write(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    with new_file(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".gz":
            # neither name nor time within: the same content makes the same file
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                cast("IO[bytes]", packed).writelines(parts)
        else:
            file.writelines(parts)


def _slices(block: PacketBlock) -> Iterator[PacketBlock]:
    for first in range(0, len(block), _AT_ONCE):
        yield block.select(slice(first, first + _AT_ONCE))


def _texts(block: PacketBlock) -> list[bytes]:
    """Digits of each packet."""
    digits = binascii.hexlify(np.ascontiguousarray(block.data[block.offsets[0] : block.offsets[-1]]).data)
    borders = (2 * (block.offsets - block.offsets[0])).tolist()
    return [digits[a:b] for a, b in pairwise(borders)]


def _times(given: ArrayLike | None, own: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    if given is None:
        return own
    return np.broadcast_to(np.asarray(given, dtype="datetime64[us]"), own.shape)


def write_edds_xml(
    block: PacketBlock,
    path: Path,
    generation_time: ArrayLike | None = None,
    reception_time: ArrayLike | None = None,
) -> None:
    """Write packets as the control system delivers them.

    Parameters
    ----------
    block
    path
    generation_time : scalar or (n,), datetime64 UTC
        Time of each packet; by default what the block says.
    reception_time : scalar or (n,), datetime64 UTC
        By default what the block says, or the generation time if that is given.
    """
    generated = _times(generation_time, block.generation_time)
    received = generated if generation_time is not None else block.reception_time
    headers = make_edds_headers(block, generated, _times(reception_time, received))

    def parts() -> Iterator[bytes]:
        yield _XML_START
        number = 0
        for piece in _slices(block):
            digits = headers[number : number + len(piece)].tobytes().hex().encode()
            for i, text in enumerate(_texts(piece)):
                head = digits[2 * EDDS_HEADER_BYTES * i : 2 * EDDS_HEADER_BYTES * (i + 1)]
                number += 1
                yield (
                    b'<PktRawResponseElement packetID="%d">\n    <Packet>%s%s</Packet>\n</PktRawResponseElement>\n'
                    % (number, head, text)
                )
        yield _XML_END

    _write(path, parts())


def write_binary(block: PacketBlock, path: Path) -> None:
    """Write packets one behind the other."""
    _write(path, [np.ascontiguousarray(block.data[block.offsets[0] : block.offsets[-1]]).data])


def write_hex(block: PacketBlock, path: Path) -> None:
    """Write packets as hexadecimal digits, one on a line."""
    _write(path, (text + b"\n" for piece in _slices(block) for text in _texts(piece)))


def write_moc_ascii(block: PacketBlock, path: Path, reception_time: ArrayLike | None = None) -> None:
    """Write one line for each packet: time of its reception and hexadecimal digits.

    Parameters
    ----------
    block
    path
    reception_time : scalar or (n,), datetime64 UTC
        By default what the block says; a packet without one gets the first second of 1970, which stands for unknown.
    """
    times = _times(reception_time, block.reception_time)
    times = np.where(np.isnat(times), np.datetime64(0, "us"), times)
    words = np.datetime_as_string(times, unit="us").astype("S26")

    def parts() -> Iterator[bytes]:
        at = 0
        for piece in _slices(block):
            for text in _texts(piece):
                yield words[at] + b"Z " + text + b"\n"
                at += 1

    _write(path, parts())


def write_lb_fits(block: PacketBlock, path: Path) -> None:
    """Write packets as a FITS table of hexadecimal digits, beside it one of their header fields.

    The layout is that of level-binary products: tables CONTROL and DATA, one packet a row.
    """
    texts = _texts(block.select(slice(None)))
    width = max((len(text) for text in texts), default=1)
    data = np.zeros(len(block), dtype=[("control_index", ">i8"), ("data", f"S{width}")])
    data["control_index"], data["data"] = np.arange(len(block)), texts
    control = _control_table(block)
    parts = [
        _header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True), *_keywords(block)]),
        _table_header("CONTROL", control, ["K"] * 15 + ["L"]),
        _padded(control.tobytes(), b"\0"),
        _table_header("DATA", data, ["K", f"{width}A"]),
        _padded(data.tobytes(), b"\0"),
    ]
    _write(path, parts)


def _control_table(block: PacketBlock) -> NDArray[np.void]:
    columns: dict[str, NDArray[np.generic] | int] = {
        "data_length": block.lengths - 7,
        "destination_id": block.destination,
        "header_flag": 1,
        "packet_category": block.apid & 0xF,
        "packet_type": 0,
        "process_id": block.apid >> 4,
        "pus_version": 1,
        "scet_coarse": block.scet_coarse,
        "scet_fine": block.scet_fine,
        "sequence_count": block.sequence_count,
        "sequence_flag": block.sequence_flag,
        "service_subtype": block.subtype,
        "service_type": block.service,
        "version": 0,
        "index": np.arange(len(block)),
    }
    table = np.zeros(len(block), dtype=[*((name, ">i8") for name in columns), ("time_sync", "S1")])
    for name, values in columns.items():
        table[name] = values
    table["time_sync"] = np.where(block.synchronised, b"T", b"F")
    return table


def _keywords(block: PacketBlock) -> list[tuple[str, str | int]]:
    words: list[tuple[str, str | int]] = [
        ("TELESCOP", "SOLO/STIX"),
        ("INSTRUME", "STIX"),
        ("OBSRVTRY", "Solar Orbiter"),
    ]
    if len(block):
        for name, i in (("OBT_BEG", 0), ("OBT_END", -1)):
            words.append((name, f"{block.scet_coarse[i]:010d}:{block.scet_fine[i]:05d}"))
    words += [("TIMESYS", "OBT"), ("LEVEL", "LB"), ("CREATOR", "stixlab"), ("VERSION", 1)]
    for name, values in (("STYPE", block.service), ("SSTYPE", block.subtype), ("SSID", block.ssid)):
        if len(block) and (values == values[0]).all() and values[0] >= 0:
            words.append((name, int(values[0])))
    return words


def _table_header(name: str, table: NDArray[np.void], formats: list[str]) -> bytes:
    cards: list[tuple[str, str | int | bool]] = [
        ("XTENSION", "BINTABLE"),
        ("BITPIX", 8),
        ("NAXIS", 2),
        ("NAXIS1", table.dtype.itemsize),
        ("NAXIS2", len(table)),
        ("PCOUNT", 0),
        ("GCOUNT", 1),
        ("TFIELDS", len(formats)),
        ("EXTNAME", name),
    ]
    for i, (column, form) in enumerate(zip(table.dtype.names or (), formats, strict=True), start=1):
        cards += [(f"TTYPE{i}", column), (f"TFORM{i}", form)]
    return _header(cards)


def _header(cards: Iterable[tuple[str, str | int | bool]]) -> bytes:
    """Cards in the fixed format of the FITS standard 4.0, section 4.2."""
    lines = []
    for name, value in cards:
        if isinstance(value, str):
            text = f"'{value:<8}'"
        else:
            text = f"{('T' if value else 'F') if isinstance(value, bool) else value:>20}"
        lines.append(f"{name:<8}= {text}".ljust(_CARD))
    lines.append("END".ljust(_CARD))
    return _padded("".join(lines).encode(), b" ")


def _padded(content: bytes, filler: bytes) -> bytes:
    return content + filler * (-len(content) % _FITS_BLOCK)
