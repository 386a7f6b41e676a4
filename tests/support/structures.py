"""Random valid contents for any structure: packets whose every bit that a field claims is random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Program, Versions
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.headers import HEADER_BYTES

MOST_BYTES = 4113


def _counters(program: Program) -> dict[str, int]:
    """Column of each repeat counter and the largest number it can hold."""
    return {
        program.columns[int(row[3])]: (1 << int(row[0])) - 1 for row in program.steps if row[2] and not row[4]
    }


def _draw_counters(program: Program, random: np.random.Generator, *, most: int) -> dict[str, list[int]]:
    """Repeat counters of one packet, in the order in which they stand in it."""
    drawn: dict[str, list[int]] = {name: [] for name in _counters(program)}
    largest = _counters(program)

    def walk(first: int, last: int, most_here: int) -> None:
        step = first
        while step < last:
            group = int(program.steps[step, 2])
            if group:
                name = program.columns[int(program.steps[step, 3])]
                repeats = int(random.integers(0, min(most_here, largest[name]) + 1))
                drawn[name].append(repeats)
                for _ in range(repeats):
                    walk(step + 1, step + 1 + group, max(most_here // 2, 1))
                step += group
            step += 1

    walk(0, len(program.steps), most)
    return drawn


def random_packets(
    spid: int, era: int, versions: Versions, random: np.random.Generator, n: int = 2, *, most: int = 4
) -> PacketBlock:
    """Packets of a structure in an era: counters small, header fields and all other fields any bits.

    What no field claims is zero. With fewer repeats if the packets would get too large.
    """
    program = versions[era].program(spid)
    packets = [_draw_counters(program, random, most=most) for _ in range(n)]
    counters = {name: [x for p in packets for x in p[name]] for name in _counters(program)}
    start, end = versions.eras[era].start_scet, 2**31 - 1
    if era + 1 < len(versions.eras):
        end = versions.eras[era + 1].start_scet - 1
    kind = versions.latest.packet_types[spid]
    place = versions.latest.discriminators[kind.service, kind.subtype]
    header: dict[str, Any] = {
        "scet_coarse": random.integers(start, end + 1, n),
        "scet_fine": random.integers(0, 65536, n),
        "sequence_count": random.integers(0, 16384, n),
        "sequence_flag": random.integers(0, 4, n),
        "destination": random.integers(0, 256, n),
        "versions": versions,
    }
    low = encode(spid, counters, **header)
    if low.lengths.max() > MOST_BYTES:
        return random_packets(spid, era, versions, random, n, most=most // 2)
    # fields at their largest show which bits they claim
    ones: dict[str, NDArray[Any]] = {}
    columns, _ = decode(low, spid, versions)
    for i, name in enumerate(program.columns):
        if name in counters:
            continue
        width = next(int(row[0]) for row in program.steps if row[3] == i)
        signed = program.dtypes[i].kind == "i"
        ones[name] = np.full(columns[name].shape, -1 if signed else (1 << width) - 1)
    high = encode(spid, {**counters, **ones}, **header)
    free = low.data ^ high.data
    data = low.data ^ (free & random.integers(0, 256, len(free), dtype=np.uint8))
    told = np.arange(place.offset_bytes, place.offset_bytes + place.width_bits // 8)
    kept = np.concatenate([np.arange(HEADER_BYTES), told[told >= HEADER_BYTES]])
    where = (low.offsets[:-1, None] + kept).ravel()
    data[where] = low.data[where]
    return PacketBlock(**{**{f: getattr(low, f) for f in low.__dataclass_fields__}, "data": data})


def same_columns(one: Columns, other: Columns) -> bool:
    """Whether two decodings hold the same values, dtypes and splits."""
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype
        and np.array_equal(one[name], other[name])
        and np.array_equal(one.splits[name], other.splits[name])
        for name in one
    )
