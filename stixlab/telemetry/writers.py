"""Files of packets: EDDS XML, binary, hexadecimal text. Each is written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.files import new_file
from stixlab.telemetry.frames import PacketBlock

__all__ = ["write_binary", "write_edds_xml", "write_hex"]

_XML_START = b"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:ResponsePart xmlns:ns2="http://edds.egos.esa/model">
    <Response>
        <PktRawResponse>
"""
_XML_END = b"""        </PktRawResponse>
    </Response>
</ns2:ResponsePart>
"""
_HEADER = np.dtype(
    {
        "names": [
            "generation_s", "generation_us", "reception_s", "reception_us", "one", "mission", "kind", "length", "word",
            "word2", "number", "spid", "mission2", "apid", "count", "service", "subtype",
        ],
        "formats": [
            ">u4", ">u4", ">u4", ">u4", ">u4", ">u2", ">u2", ">u4", ">u2",
            ">u2", ">u4", ">u4", ">u2", ">u2", ">u2", "u1", "u1",
        ],
        "offsets": [4, 8, 12, 16, 20, 24, 26, 28, 32, 34, 36, 40, 48, 70, 72, 74, 75],
        "itemsize": 76,
    }
)  # fmt: skip
"""The 76 bytes before each packet, as found in real files (big-endian)."""


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with new_file(path) as temporary, temporary.open("wb") as file:
        file.writelines(parts)


def edds_headers(
    block: PacketBlock, generation_time: NDArray[np.datetime64], reception_time: NDArray[np.datetime64]
) -> NDArray[np.void]:
    """(n,) the 76-byte header of each packet.

    Parameters
    ----------
    block
    generation_time, reception_time : (n,), UTC
    """
    head = np.zeros(len(block), dtype=_HEADER)
    for name, time in (("generation", generation_time), ("reception", reception_time)):
        microseconds = time.astype("datetime64[us]").astype(np.int64)
        head[f"{name}_s"], head[f"{name}_us"] = np.divmod(microseconds, 1_000_000)
    head["one"], head["mission"], head["mission2"], head["kind"] = 1, 650, 650, 0x19
    head["word"], head["word2"] = 0x1838, 0x03E9
    head["length"] = block.lengths + _HEADER.itemsize
    head["number"] = np.arange(1, len(block) + 1)
    head["spid"] = np.maximum(block.spid, 0)
    head["apid"], head["count"] = block.apid, block.sequence_count
    head["service"], head["subtype"] = block.service, block.subtype
    return head


def write_edds_xml(
    block: PacketBlock, path: Path, generation_time: ArrayLike, reception_time: ArrayLike | None = None
) -> None:
    """Write packets as the control system delivers them.

    Parameters
    ----------
    block
    path
    generation_time : scalar or (n,), datetime64 UTC
        Time of each packet.
    reception_time : scalar or (n,), datetime64 UTC
        By default the generation time.
    """
    generated = np.broadcast_to(np.asarray(generation_time, dtype="datetime64[us]"), (len(block),))
    received = generated if reception_time is None else np.asarray(reception_time, dtype="datetime64[us]")
    head = edds_headers(block, generated, np.broadcast_to(received, (len(block),)))
    parts = [_XML_START]
    for i in range(len(block)):
        digits = (head[i].tobytes() + block.packet(i)).hex().encode()
        parts.append(
            b'<PktRawResponseElement packetID="%d">\n    <Packet>%s</Packet>\n</PktRawResponseElement>\n'
            % (i + 1, digits)
        )
    _write(path, [*parts, _XML_END])


def write_binary(block: PacketBlock, path: Path) -> None:
    """Write packets one behind the other."""
    _write(path, [block.data[block.offsets[0] : block.offsets[-1]].tobytes()])


def write_hex(block: PacketBlock, path: Path) -> None:
    """Write packets as hexadecimal digits, one on a line."""
    _write(path, [block.packet(i).hex().encode() + b"\n" for i in range(len(block))])
