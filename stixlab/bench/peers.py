"""The generic decoders ccsdspy and space_packet_parser on the same packets.

Neither can express repeats within repeats, nor words that share bits: the structures are unrolled
for the repeats of the sample, and of bits that are read twice the finer fields are given. Codes of
one group are an array for ccsdspy and a string of bytes for space_packet_parser. ccsdspy cannot
have fields of less than a byte between arrays, so pixel data are beyond it.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from stixlab.idb import Program
from stixlab.idb.program import HEADER_BITS

__all__ = ["PeerField", "load_peers", "unrolled"]

_PACKET_HEADER_BITS = 48


@dataclass(frozen=True)
class PeerField:
    """One field of a structure without repeats."""

    name: str
    bits: int
    counter: str = ""
    """Field that says how many bytes there are; empty for a number."""


def unrolled(program: Program, repeats: dict[str, int]) -> list[PeerField]:
    """Fields of packets whose counters have the same values in all of them.

    Parameters
    ----------
    program
    repeats
        Value of each counter of a group of more than one byte.
    """
    fields: list[PeerField] = []
    steps = program.steps.tolist()

    def add(name: str, bits: int, counter: str = "") -> None:
        number = sum(f.name.partition(".")[0] == name for f in fields)
        fields.append(PeerField(f"{name}.{number}" if number else name, bits, counter))

    def walk(first: int, last: int) -> None:
        i = first
        while i < last:
            width, gap, group, column, _, _, one_byte = steps[i]
            taken_back = -gap
            while taken_back > 0 and fields:
                taken_back -= fields.pop().bits
            if gap > 0 or taken_back < 0:
                fields.append(PeerField(f"spare{len(fields)}", max(gap, -taken_back)))
            add(program.columns[column], width)
            if one_byte:
                add(program.columns[steps[i + 1][3]], 8, counter=fields[-1].name)
            elif group:
                for _ in range(repeats[program.columns[column]]):
                    walk(i + 1, i + 1 + group)
            i += 1 + group

    walk(0, len(steps))
    return fields


def load_peers() -> dict[str, Callable[[list[PeerField]], Callable[[bytes], object]]]:
    """For each peer that is installed, what makes a decoder of a structure."""
    known = {"ccsdspy": _with_ccsdspy, "space_packet_parser": _with_space_packet_parser}
    return {name: make for name, make in known.items() if find_spec(name) is not None}


def _with_ccsdspy(fields: list[PeerField]) -> Callable[[bytes], object]:
    ccsdspy = import_module("ccsdspy")
    logging.getLogger("ccsdspy").setLevel(logging.ERROR)
    made = [ccsdspy.PacketField("secondary_header", "fill", HEADER_BITS - _PACKET_HEADER_BITS)]
    for field in fields:
        if field.counter:
            made.append(
                ccsdspy.PacketArray(
                    name=field.name, data_type="uint", bit_length=8, array_shape=field.counter
                )
            )
        else:
            made.append(ccsdspy.PacketField(field.name, "uint", field.bits))
    variable = any(field.counter for field in fields)
    packet = (ccsdspy.VariableLength if variable else ccsdspy.FixedLength)(made)

    def decode(content: bytes) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return packet.load(io.BytesIO(content))

    return decode


def _with_space_packet_parser(fields: list[PeerField]) -> Callable[[bytes], object]:
    generators, containers, definitions, encodings, kinds, parameters = (
        import_module(f"space_packet_parser.{name}")
        for name in (
            "generators", "xtce.containers", "xtce.definitions", "xtce.encodings", "xtce.parameter_types",
            "xtce.parameters",
        )
    )  # fmt: skip
    entries = []
    header = [PeerField("PACKET_HEADER", _PACKET_HEADER_BITS), PeerField("DATA_HEADER", HEADER_BITS - 48)]
    for field in [*header, *fields]:
        if field.counter:
            kind = kinds.BinaryParameterType(
                f"{field.name}_TYPE",
                encodings.BinaryDataEncoding(
                    size_reference_parameter=field.counter, linear_adjuster=lambda n_bytes: 8 * n_bytes
                ),
            )
        else:
            kind = kinds.IntegerParameterType(
                f"{field.name}_TYPE", encodings.IntegerDataEncoding(field.bits, "unsigned")
            )
        entries.append(parameters.Parameter(field.name, kind))
    definition = definitions.XtcePacketDefinition([containers.SequenceContainer("CCSDSPacket", entries)])

    def decode(content: bytes) -> object:
        return [definition.parse_bytes(packet) for packet in generators.ccsds_generator(io.BytesIO(content))]

    return decode
