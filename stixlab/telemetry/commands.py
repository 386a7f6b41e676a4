"""Packets of telecommands: bytes to parameters, with the definitions of a mission database.

Not here: the way back (`stixlab.telemetry.command_encoding`) and the reports of the control system (`stixlab.telemetry.telecommands`).
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

from stixlab.errors import PacketError, UnknownPacketError
from stixlab.idb.telecommands import CommandDefinitions, CommandField, CommandParameter

__all__ = [
    "CHECKSUM_BYTES",
    "HEADER_BYTES",
    "PUS_VERSION",
    "TELECOMMAND",
    "CommandHeader",
    "CommandValue",
    "DecodedCommand",
    "Value",
    "checksum",
    "decode_command",
    "read_header",
]

Value = int | str | bytes
"""A number, a word of the database, or the bytes of an octet string."""

HEADER_BYTES = 10
"""Both headers of a command packet."""
CHECKSUM_BYTES = 2
TELECOMMAND = 0b0001_1
"""Top five bits of the first word: version 0, telecommand, with data field header (CCSDS 133.0-B)."""
PUS_VERSION = 1
"""Version of the data field header (ECSS-E-70-41A)."""


@dataclass(frozen=True, slots=True)
class CommandHeader:
    """The two headers of a command packet."""

    apid: int
    sequence_flags: int
    """3: stand-alone."""
    sequence_count: int
    length: int
    """Bytes of the whole packet, as the header says."""
    acknowledge: int
    service: int
    subtype: int
    source: int
    """Who sent it: 0 the ground; other numbers are given by the mission."""


@dataclass(frozen=True, slots=True)
class CommandValue:
    """One value, at its place in a command."""

    name: str
    """Name of the parameter; empty for a fixed area."""
    raw: int | bytes
    """Bytes for an octet string."""
    word: str = ""
    """What the database calls that value; empty if it has no word for it."""
    title: str = ""
    unit: str = ""
    repeat: tuple[int, ...] = ()
    """Which repeat of the groups it stands in, from 0, the outermost first."""

    @property
    def value(self) -> Value:
        """The word or, without one, the number or the bytes."""
        return self.word or self.raw


@dataclass(frozen=True)
class DecodedCommand:
    """What stands in the packet of a command."""

    header: CommandHeader
    name: str
    title: str
    database_version: str
    values: tuple[CommandValue, ...]
    """In the order of the packet, fixed areas included."""
    remainder: bytes = b""
    """Bytes before the checksum that the definition leaves over."""
    problems: tuple[str, ...] = field(default=())
    """What is wrong with it, in words; none for a good one."""

    @property
    def parameters(self) -> tuple[CommandValue, ...]:
        """Values without the fixed areas."""
        return tuple(v for v in self.values if v.name)


def checksum(content: bytes) -> int:
    """Error control of a packet: CRC-16-CCITT, generator x^16+x^12+x^5+1, all ones at first (ECSS-E-70-41A, A.1)."""
    return binascii.crc_hqx(content, 0xFFFF)


def read_header(packet: bytes) -> CommandHeader:
    """Headers of a command packet.

    Raises
    ------
    PacketError
        If it is too short for one, or no telecommand.
    """
    if len(packet) < HEADER_BYTES:
        raise PacketError(f"telecommand: expected at least {HEADER_BYTES} bytes; found {len(packet)}")
    if packet[0] >> 3 != TELECOMMAND:
        raise PacketError(
            f"telecommand: expected a first byte of 0x18 to 0x1F (version 0, telecommand, data field header); "
            f"found 0x{packet[0]:02X}; telemetry is shown by `stixlab decode`"
        )
    sequence = int.from_bytes(packet[2:4])
    return CommandHeader(
        apid=int.from_bytes(packet[:2]) & 0x7FF,
        sequence_flags=sequence >> 14,
        sequence_count=sequence & 0x3FFF,
        length=int.from_bytes(packet[4:6]) + 7,
        acknowledge=packet[6] & 0xF,
        service=packet[7],
        subtype=packet[8],
        source=packet[9],
    )


def decode_command(
    packet: bytes, definitions: CommandDefinitions | Sequence[CommandDefinitions], *, name: str = ""
) -> DecodedCommand:
    """Parameters of a command packet.

    Several commands may share service and subtype, and versions of the database differ: taken is the
    first whose fixed areas agree and whose end is that of the packet, or else the one that comes nearest,
    with its problems told. A damaged packet gives what can be read of it.

    Parameters
    ----------
    packet
        From the first header to the checksum.
    definitions
        One version of the database, or several in the order in which they are to be tried.
    name
        Name of the command where it is known; it is tried first.

    Raises
    ------
    PacketError
        If it is no telecommand at all.
    UnknownPacketError
        If no version of the database has a command of its service and subtype.
    """
    header = read_header(packet)
    versions = [definitions] if isinstance(definitions, CommandDefinitions) else list(definitions)
    body = packet[HEADER_BYTES : max(header.length - CHECKSUM_BYTES, 0)]
    best: tuple[tuple[bool, bool, bool], DecodedCommand] | None = None
    for version in versions:
        for command in version.kinds.get((header.service, header.subtype), ()):
            reader = _Reader(body, version)
            complete = reader.read(command.fields, ())
            rest = body[(reader.bit + 7) // 8 :]
            fits = (reader.fixed_agree, complete and not rest, command.name == name)
            if best is None or fits > best[0]:
                found = reader.problems + _leftover(rest, complete=complete)
                best = (
                    fits,
                    DecodedCommand(
                        header=header,
                        name=command.name,
                        title=command.title,
                        database_version=version.version,
                        values=tuple(reader.values),
                        remainder=rest,
                        problems=(*_problems_of_frame(packet, header), *found),
                    ),
                )
    if best is None:
        raise UnknownPacketError(
            f"telecommand {header.service},{header.subtype}: expected in the mission database "
            f"({', '.join(v.version for v in versions) or 'none is given: STIXLAB_IDB'}); found none; "
            "its bytes are kept"
        )
    return best[1]


def _problems_of_frame(packet: bytes, header: CommandHeader) -> list[str]:
    problems = []
    if header.length != len(packet):
        problems.append(f"its header says {header.length} bytes; it has {len(packet)}")
    end = header.length - CHECKSUM_BYTES
    if HEADER_BYTES <= end <= len(packet) - CHECKSUM_BYTES and checksum(packet[:end]) != int.from_bytes(
        packet[end : header.length]
    ):
        problems.append(
            f"its checksum should be {checksum(packet[:end]):04X}; it is {packet[end : header.length].hex().upper()}"
        )
    if packet[6] >> 4 != PUS_VERSION:
        problems.append(f"its header of the data field begins with {packet[6] >> 4}; 1 expected")
    return problems


def _leftover(rest: bytes, *, complete: bool) -> list[str]:
    if not complete:
        return ["it ends before its parameters do"]
    return [f"{len(rest)} bytes are left over behind its parameters"] if rest else []


class _Reader:
    """Reads fields one behind the other."""

    def __init__(self, body: bytes, definitions: CommandDefinitions) -> None:
        self._body = body
        self._definitions = definitions
        self.bit = 0
        self.values: list[CommandValue] = []
        self.problems: list[str] = []
        self.fixed_agree = True

    def read(self, fields: Sequence[CommandField], repeat: tuple[int, ...]) -> bool:
        """Whether all fields were there."""
        i = 0
        while i < len(fields):
            each = fields[i]
            if self.bit + each.width_bits > 8 * len(self._body):
                return False
            raw = self._bits(each.width_bits)
            if not each.parameter:
                self._take_fixed(each, raw, repeat)
            else:
                self._take(self._definitions.parameters[each.parameter], each.width_bits, raw, repeat)
            i += 1
            group = fields[i : i + each.group_size]
            i += each.group_size
            # a group has at least one bit, so that an absurd count ends with the packet
            if group and not all(self.read(group, (*repeat, n)) for n in range(raw)):
                return False
        return True

    def _bits(self, width: int) -> int:
        first, last = self.bit // 8, -(-(self.bit + width) // 8)
        self.bit += width
        return int.from_bytes(self._body[first:last]) >> (8 * last - self.bit) & ((1 << width) - 1)

    def _take_fixed(self, area: CommandField, raw: int, repeat: tuple[int, ...]) -> None:
        self.values.append(CommandValue("", raw, repeat=repeat))
        if raw != area.value:
            self.fixed_agree = False
            self.problems.append(
                f"its fixed area before bit {self.bit} should be {area.value:X}; it is {raw:X}"
            )

    def _take(self, parameter: CommandParameter, width: int, raw: int, repeat: tuple[int, ...]) -> None:
        value: int | bytes = raw
        if parameter.kind == "octets":
            value = raw.to_bytes(-(-width // 8))
        elif parameter.kind == "signed" and raw >> (width - 1):
            value = raw - (1 << width)
        word = (
            self._definitions.words.get(parameter.words, {}).get(value, "") if isinstance(value, int) else ""
        )
        self.values.append(CommandValue(parameter.name, value, word, parameter.title, parameter.unit, repeat))
