"""One packet, whole: header, fields as a tree with all they mean, bytes, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.errors import CompressionError, NotInCatalogError, PacketError
from stixlab.idb import Versions
from stixlab.idb.program import HEADER_BITS
from stixlab.packets.identity import file_of_packet, packet_id
from stixlab.packets.nodes import Node, nodes_of
from stixlab.packets.text import hex_dump, tree_lines
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.schemes import SchemeProblem, scheme_problems
from stixlab.timing import ClockTable, format_utc
from stixlab.vocabulary import ORIGINS

if TYPE_CHECKING:
    from stixlab.archive import Archive
    from stixlab.catalog.stores import Catalog

__all__ = ["PacketTree", "get_packet", "packet_tree"]

_SENSELESS = {
    SchemeProblem.IMPOSSIBLE: "its compression makes no sense: what its counts stand for is unknown",
    SchemeProblem.NO_SIGN: "its visibilities are compressed without a sign: values of codes from 128 on are not what was meant",
}
_HEADER: tuple[tuple[str, str, int, int], ...] = (
    ("version", "version of the packet format", 0, 3),
    ("type", "0 telemetry, 1 telecommand", 3, 1),
    ("data_field_header", "1: the second header is there", 4, 1),
    ("apid", "application process", 5, 11),
    ("sequence_flag", "1 first, 0 continuation, 2 last, 3 stand-alone", 16, 2),
    ("sequence_count", "counted for each application process", 18, 14),
    ("data_length", "bytes behind the first header, less one", 32, 16),
    ("pus_version", "version of the second header", 49, 3),
    ("service", "service type", 56, 8),
    ("subtype", "service subtype", 64, 8),
    ("destination", "whom it is for; marks what was not measured", 72, 8),
    ("unsynchronised", "1: the on-board clock was not synchronised", 80, 1),
    ("scet_coarse", "on-board seconds", 81, 31),
    ("scet_fine", "1/65536 s", 112, 16),
)
"""Fields of the two headers: name, meaning, bit, width (CCSDS 133.0-B, ECSS-E-70-41A)."""


@dataclass(frozen=True)
class PacketTree:
    """A packet and everything in it."""

    id: str
    title: str
    """What it is, in words; empty if unknown."""
    status: str
    """As it stands in the archive."""
    problem: str
    """Why there are no fields, or what is left over; empty if all is well."""
    origin: str
    facts: dict[str, Any]
    """Where it comes from: ``spid``, ``ssid``, ``era``, ``definitions``, ``utc``, times of the control centre,
    ``file``, ``sha256``, ``index``, ``source_offset``."""
    content: bytes
    header: tuple[Node, ...]
    fields: tuple[Node, ...]
    """What stands behind the headers; empty if it cannot be decoded."""

    def as_document(self) -> dict[str, Any]:
        """The packet in plain types."""
        return {
            "id": self.id,
            "title": self.title,
            "status": self.status,
            "problem": self.problem,
            "origin": self.origin,
            **self.facts,
            "length": len(self.content),
            "header": [node.as_document() for node in self.header],
            "fields": [node.as_document() for node in self.fields],
            "bytes": self.content.hex(),
        }

    def find(self, name: str) -> list[Node]:
        """All nodes of that name, in packet order."""
        found: list[Node] = []
        waiting = [*reversed(self.header + self.fields)]
        while waiting:
            node = waiting.pop()
            waiting += reversed(node.children)
            if node.name == name:
                found.append(node)
        return found

    def lines(self, *, most: int | None = 12) -> list[str]:
        """The packet for a terminal: facts, headers, fields, bytes.

        Parameters
        ----------
        most
            Values shown of a field with many; None: all.
        """
        facts = [f"{name:<16} {value}" for name, value in self.facts.items() if value not in (None, "")]
        return [
            f"packet {self.id}: {self.title or 'of no known structure'} ({self.status}, {self.origin})",
            *([self.problem] if self.problem else []),
            *facts,
            "",
            *tree_lines(self.header, most=most),
            "",
            *tree_lines(self.fields, most=most),
            "",
            *hex_dump(self.content),
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def get_packet(
    catalog: Catalog, archive: Archive, versions: Versions, clock: ClockTable, identity: str
) -> PacketTree:
    """A packet by its id.

    Raises
    ------
    ParameterError
        If the text is no id of a packet, or its digits fit several files.
    NotInCatalogError
        If there is no such packet.
    ArchiveError, FormatError
        If the packets of its file are missing or damaged.
    """
    raw_file, index = file_of_packet(catalog, archive, identity)
    packets = archive.open_packets(raw_file.sha256)
    if index >= len(packets):
        raise NotInCatalogError(
            f"packet {identity}: its file {raw_file.names[0]} has {len(packets)} packets, 0 to {len(packets) - 1}"
        )
    block = packets.read(np.array([index]))
    where = {
        "file": raw_file.names[0],
        "sha256": raw_file.sha256,
        "index": index,
        "source_offset": int(block.source_offset[0]),
    }
    return packet_tree(block, versions, clock, identity=packet_id(raw_file.sha256, index), where=where)


def packet_tree(
    block: PacketBlock,
    versions: Versions,
    clock: ClockTable,
    *,
    identity: str = "",
    where: dict[str, Any] | None = None,
) -> PacketTree:
    """The tree of a packet.

    Parameters
    ----------
    block
        Exactly one packet.
    versions, clock
    identity
        Id of the packet.
    where
        Facts about its file.
    """
    content = block.packet(0)
    stored_era = int(block.era[0])
    # definitions of other databases may have fewer eras than those it was received with
    block = replace(block, era=np.minimum(block.era, len(versions.eras) - 1))
    definitions = versions[int(block.era[0])]
    kind = definitions.packet_types.get(int(block.spid[0]))
    fields, problem = _fields(block, versions)
    facts = {
        "utc": format_utc(clock.to_utc(block.scet_coarse, block.scet_fine)[0]),
        "synchronised": bool(block.synchronised[0]),
        "generation_time": _time(block.generation_time[0]),
        "reception_time": _time(block.reception_time[0]),
        "service": int(block.service[0]),
        "subtype": int(block.subtype[0]),
        "ssid": int(block.ssid[0]),
        "spid": int(block.spid[0]),
        "era": stored_era,
        "definitions": definitions.version,
    }
    return PacketTree(
        id=identity,
        title=kind.title if kind else "",
        status=Status(int(block.status[0])).name.lower(),
        problem=problem,
        origin=ORIGINS[int(block.origin[0])],
        facts=facts | (where or {}),
        content=content,
        header=_header(content),
        fields=fields,
    )


def _fields(block: PacketBlock, versions: Versions) -> tuple[tuple[Node, ...], str]:
    """Fields, and why there are none or what is wrong with them."""
    spid, status = int(block.spid[0]), Status(int(block.status[0]))
    if status == Status.TRUNCATED:
        return (), "its end is missing; only the bytes that are there are shown"
    if spid < 0:
        return (), "no database has such a packet; only its bytes are shown"
    # what is wrong with its neighbours (a repeated packet, say) does not keep it from being read
    whole = block.with_status(np.full(1, Status.OK, dtype=np.uint8))
    try:
        columns, found = decode(whole, spid, versions, keep_trailing=True)
        if not len(columns):
            return (), "what its counters say does not fit into it; only its bytes are shown"
        fields = nodes_of(columns, versions[int(block.era[0])])
    except (PacketError, CompressionError) as error:
        return (), error.message
    problems = []
    if found[0] == Status.TRAILING:
        problems.append(f"bytes are left over behind its last field: {_left_over(block, fields)}")
    senseless = int(scheme_problems(columns)[0])
    problems += [text for problem, text in _SENSELESS.items() if senseless & problem]
    return fields, "; ".join(problems)


def _left_over(block: PacketBlock, fields: tuple[Node, ...]) -> int:
    used = max((_end_bits(node) for node in fields), default=HEADER_BITS)
    return int(block.lengths[0]) - -(-used // 8)


def _end_bits(node: Node) -> int:
    own = node.offset_bits + node.width_bits + node.step_bits * max(len(node.raw) - 1, 0)
    return max([own, *(_end_bits(child) for child in node.children)])


def _header(content: bytes) -> tuple[Node, ...]:
    bits = int.from_bytes(content[:16].ljust(16, b"\0"), "big")
    there = min(len(content) * 8, HEADER_BITS)
    return tuple(
        Node(name, title, (bits >> (HEADER_BITS - at - width) & ((1 << width) - 1),), at, width)
        for name, title, at, width in _HEADER
        if at + width <= there
    )


def _time(time: np.datetime64) -> str | None:
    return None if np.isnat(time) else format_utc(time)
