"""What a definition is made of: plain records, one for a row of a table."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Discriminator", "Field", "PacketType", "Parameter", "State"]


@dataclass(frozen=True, slots=True)
class PacketType:
    """One type of telemetry packet."""

    service: int
    subtype: int
    pi1: int
    """Value that tells structures of one service and subtype apart (SSID, SID, event or error number); 0 if none."""
    spid: int
    """Number of the structure in the flight database."""
    apid: int
    title: str


@dataclass(frozen=True, slots=True)
class Discriminator:
    """Where the value stands that tells structures of one service and subtype apart."""

    offset_bytes: int
    """From the start of the packet; -1 if there is none."""
    width_bits: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """One telemetry parameter."""

    name: str
    width_bits: int
    signed: bool
    unit: str
    """Unit of the calibrated value; empty if none."""
    curve: str
    """Name of its calibration curve or state table; empty if none."""
    title: str


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter at its place in a structure."""

    parameter: str
    gap_bits: int
    """Bits between the end of the field before and this one; negative where bits are read again."""
    group_size: int
    """How many of the following fields repeat as often as this one says; 0 if it is no counter."""


@dataclass(frozen=True, slots=True)
class State:
    """A word for a range of raw values."""

    first: int
    last: int
    word: str
