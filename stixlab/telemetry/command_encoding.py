"""Packets of telecommands made from parameters, with the definitions of a mission database."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from stixlab.errors import PacketError, UnknownPacketError
from stixlab.idb.telecommands import Command, CommandDefinitions, CommandField
from stixlab.telemetry.commands import CHECKSUM_BYTES, HEADER_BYTES, PUS_VERSION, TELECOMMAND, Value, checksum

__all__ = ["encode_command"]


def encode_command(
    definitions: CommandDefinitions,
    name: str,
    values: Mapping[str, Value | Sequence[Value]] | Iterable[tuple[str, Value]] = (),
    *,
    sequence_count: int = 0,
    apid: int | None = None,
    acknowledge: int | None = None,
    source: int = 0,
    sequence_flags: int = 3,
) -> bytes:
    """Packet of a command, with its checksum: what `decode_command` reads.

    Parameters
    ----------
    definitions
    name
        Of the command.
    values
        Of its parameters: by name (a list for one that repeats), or names and values in the order of the
        packet. A word of the database, a number or bytes. Fixed areas are filled in; to give them, too,
        name them ``""``.
    sequence_count
        14 bits.
    apid, acknowledge
        By default what the database says.
    source, sequence_flags
        As they stand in the header.

    Raises
    ------
    UnknownPacketError
        If there is no such command.
    PacketError
        If a value is missing, left over, no number or word, or does not fit.
    """
    command = definitions.commands.get(name)
    if command is None:
        raise UnknownPacketError(f"telecommand {name}: not in mission database {definitions.version}")
    writer = _Writer(command, definitions, values)
    writer.write(command.fields)
    body = writer.finish()
    header = _header(
        command,
        len(body),
        sequence_count=sequence_count,
        apid=command.apid if apid is None else apid,
        acknowledge=command.acknowledge if acknowledge is None else acknowledge,
        source=source,
        sequence_flags=sequence_flags,
    )
    return header + body + checksum(header + body).to_bytes(2)


def _header(
    command: Command,
    n_bytes: int,
    *,
    sequence_count: int,
    apid: int,
    acknowledge: int,
    source: int,
    sequence_flags: int,
) -> bytes:
    """Header of the packet of a command whose parameters take some bytes."""
    length = n_bytes + HEADER_BYTES + CHECKSUM_BYTES - 7
    for what, number, width in (
        ("APID", apid, 11),
        ("acknowledgement", acknowledge, 4),
        ("source", source, 8),
        ("sequence flags", sequence_flags, 2),
        ("sequence count", sequence_count, 14),
        ("length", length, 16),
    ):
        _check_fits(f"telecommand {command.name}, {what}", number, width)
    return (
        (TELECOMMAND << 11 | apid).to_bytes(2)
        + (sequence_flags << 14 | sequence_count).to_bytes(2)
        + length.to_bytes(2)
        + bytes([PUS_VERSION << 4 | acknowledge, command.service, command.subtype, source])
    )


def _check_fits(where: str, number: int, width: int, *, signed: bool = False) -> None:
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    if not low <= number <= high:
        raise PacketError(f"{where}: expected a number from {low} to {high}; found {number}")


class _Writer:
    """Writes fields one behind the other."""

    def __init__(
        self,
        command: Command,
        definitions: CommandDefinitions,
        values: Mapping[str, Value | Sequence[Value]] | Iterable[tuple[str, Value]],
    ) -> None:
        self._name = command.name
        self._definitions = definitions
        self._given: dict[str, deque[Value]] = {}
        self._content = 0
        self._bits = 0
        if isinstance(values, Mapping):
            for name, value in values.items():
                self._given[name] = deque([value]) if isinstance(value, int | str | bytes) else deque(value)
        else:
            for name, each in values:
                self._given.setdefault(name, deque()).append(each)

    def write(self, fields: Sequence[CommandField]) -> None:
        """Write the next values."""
        i = 0
        while i < len(fields):
            each = fields[i]
            number = self._next(each)
            self._content = self._content << each.width_bits | number & ((1 << each.width_bits) - 1)
            self._bits += each.width_bits
            i += 1
            group = fields[i : i + each.group_size]
            i += each.group_size
            for _ in range(number if group else 0):
                self.write(group)

    def finish(self) -> bytes:
        """All that was written, filled up with zeros to whole bytes."""
        left = {name: len(values) for name, values in self._given.items() if values}
        if left:
            names = ", ".join(f"{n} x {name or 'fixed area'}" for name, n in left.items())
            raise PacketError(
                f"telecommand {self._name}: values are left over: {names}; are the counters right?"
            )
        return (self._content << -self._bits % 8).to_bytes(-(-self._bits // 8))

    def _next(self, each: CommandField) -> int:
        given = self._given.get(each.parameter)
        if not given:
            if not each.parameter:
                return each.value
            raise PacketError(f"telecommand {self._name}: expected a value of {each.parameter}; found none")
        value = given.popleft()
        where = f"telecommand {self._name}, {each.parameter or 'fixed area'}"
        parameter = self._definitions.parameters.get(each.parameter)
        if parameter is not None and parameter.kind == "octets":
            return _octets(where, value, each.width_bits)
        words = self._definitions.words.get(parameter.words, {}) if parameter is not None else {}
        number = _number(where, value, words)
        _check_fits(
            where, number, each.width_bits, signed=parameter is not None and parameter.kind == "signed"
        )
        return number


def _number(where: str, value: Value, words: Mapping[int, str]) -> int:
    if isinstance(value, str):
        found = [number for number, word in words.items() if word == value]
        if found:
            return found[0]
        try:
            return int(value, 0)
        except ValueError:
            expected = f"a number or one of {', '.join(words.values())}" if words else "a number"
            raise PacketError(f"{where}: expected {expected}; found {value!r}") from None
    if isinstance(value, bytes):
        raise PacketError(f"{where}: expected a number; found bytes")
    return value


def _octets(where: str, value: Value, width: int) -> int:
    """Octets as one number: bytes, or the hexadecimal digits of them."""
    try:
        content = bytes.fromhex(value) if isinstance(value, str) else value
    except ValueError:
        content = None
    if not isinstance(content, bytes) or 8 * len(content) != width:
        raise PacketError(
            f"{where}: expected {width // 8} bytes, or hexadecimal digits of them; found {value!r}"
        )
    return int.from_bytes(content)
