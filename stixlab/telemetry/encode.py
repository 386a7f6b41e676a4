"""Columns to packets: the exact inverse of decoding, and the files that packets come in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.errors import PacketError
from stixlab.idb import Program, Versions, load_versions
from stixlab.idb.program import DEEPEST_NESTING
from stixlab.telemetry.frames import SIMULATED_DESTINATION, PacketBlock
from stixlab.telemetry.headers import HEADER_BYTES, LARGEST_PACKET, parse_headers
from stixlab.telemetry.kernels import encode_packets, get_kernel, is_worth_compiling
from stixlab.telemetry.writers import write_binary, write_edds_xml, write_hex

__all__ = ["SIMULATED_DESTINATION", "encode", "make_headers", "write_binary", "write_edds_xml", "write_hex"]

_ALIGNMENT = 8
STAND_ALONE = 3
"""Sequence flag of a packet that is no part of a sequence."""


def encode(
    spid: int,
    columns: Mapping[str, ArrayLike],
    *,
    scet_coarse: ArrayLike,
    scet_fine: ArrayLike = 0,
    sequence_count: ArrayLike = 0,
    sequence_flag: ArrayLike = STAND_ALONE,
    apid: ArrayLike | None = None,
    destination: ArrayLike = 0,
    synchronised: ArrayLike = True,
    versions: Versions | None = None,
) -> PacketBlock:
    """Packets of one structure.

    Parameters
    ----------
    spid
        Number of the structure.
    columns : by parameter name, (n_elements,)
        As `decode` gives them: raw values of all packets one behind the other. The repeat counters
        say how much of the other columns belongs to each packet. A column left out is zero; so
        the words that only repeat bits of others may be left out. A scalar is taken for every packet.
    scet_coarse : (n,)
        On-board seconds of each packet; its length is the number of packets.
    scet_fine, sequence_count, sequence_flag, apid, destination, synchronised : scalar or (n,)
        Header fields; the APID is by default that of the definition.
    versions
        None for those shipped; the one in force at the first packet is taken.

    Raises
    ------
    PacketError
        If a value does not fit its field, a column is unknown, too short or too long, or a packet
        would be larger than 4113 bytes.
    UnknownPacketError
        If the structure has no definition.
    """
    versions = load_versions() if versions is None else versions
    coarse = np.atleast_1d(np.asarray(scet_coarse)).astype(np.int64)
    definitions = versions.at(int(coarse[0])) if len(coarse) else versions.latest
    program = definitions.program(spid)
    kind = definitions.packet_types[spid]
    n = len(coarse)
    filled = dict(columns)
    place = definitions.discriminators[kind.service, kind.subtype]
    if place.offset_bytes == HEADER_BYTES and program.columns and program.columns[0] not in filled:
        # the discriminator is the first field of every structure that has one there
        filled[program.columns[0]] = kind.pi1
    data, bases, sizes = _pack(program, filled, n)
    out, offsets = _write(program, n, data, bases, sizes)
    head = make_headers(
        np.diff(offsets),
        service=kind.service,
        subtype=kind.subtype,
        apid=kind.apid if apid is None else apid,
        sequence_flag=sequence_flag,
        sequence_count=sequence_count,
        scet_coarse=coarse,
        scet_fine=scet_fine,
        destination=destination,
        synchronised=synchronised,
    )
    out[(offsets[:-1, None] + np.arange(HEADER_BYTES)).ravel()] = head.ravel()
    return parse_headers(
        out,
        offsets[:-1],
        offsets[1:],
        truncated=np.zeros(n, dtype=bool),
        source_offset=offsets[:-1].copy(),
        versions=versions,
    )


def make_headers(
    lengths: NDArray[np.int64],
    *,
    service: int,
    subtype: int,
    apid: ArrayLike,
    sequence_flag: ArrayLike,
    sequence_count: ArrayLike,
    scet_coarse: ArrayLike,
    scet_fine: ArrayLike,
    destination: ArrayLike = 0,
    synchronised: ArrayLike = True,
) -> NDArray[np.uint8]:
    """(n, 16) bytes of packet and data field headers.

    Raises
    ------
    PacketError
        If a field does not fit its bits.
    """
    n = len(lengths)

    def field(name: str, value: ArrayLike, bits: int) -> NDArray[np.int64]:
        column = np.broadcast_to(np.asarray(value).astype(np.int64), (n,))
        wrong = (column < 0) | (column >> bits != 0)
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            raise PacketError(
                f"packet {i}: expected {name} in 0..{2**bits - 1}; found {int(column[i])}", index=i
            )
        return column

    words = np.zeros((n, HEADER_BYTES // 2), dtype=np.int64)
    words[:, 0] = 1 << 11 | field("APID", apid, 11)
    words[:, 1] = field("sequence flag", sequence_flag, 2) << 14 | field("sequence count", sequence_count, 14)
    words[:, 2] = field("data length", lengths - 7, 16)
    words[:, 3] = 0x10 << 8 | field("service", service, 8)
    words[:, 4] = field("subtype", subtype, 8) << 8 | field("destination", destination, 8)
    coarse = field("SCET coarse", scet_coarse, 31) | np.where(synchronised, 0, 1 << 31)
    words[:, 5], words[:, 6] = coarse >> 16, coarse & 0xFFFF
    words[:, 7] = field("SCET fine", scet_fine, 16)
    return words.astype(">u2").view(np.uint8).reshape(n, HEADER_BYTES)


def _pack(
    program: Program, columns: Mapping[str, ArrayLike], n: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Columns as decoding lays them out: little-endian elements, column behind column; -1: left out."""
    unknown = sorted(set(columns) - set(program.columns))
    if unknown:
        raise PacketError(
            f"structure {program.spid}: expected its parameters only; found {', '.join(unknown)} too",
            unknown=unknown,
        )
    widths = {int(row[3]): int(row[0]) for row in program.steps}
    arrays: list[NDArray[np.generic] | None] = []
    for i, name in enumerate(program.columns):
        if name not in columns:
            arrays.append(None)
            continue
        given = np.asarray(columns[name])
        if given.ndim == 0:
            given = np.full(n, given)
        dtype, width = program.dtypes[i], widths[i]
        low, high = (
            (-(1 << (width - 1)), (1 << (width - 1)) - 1) if dtype.kind == "i" else (0, (1 << width) - 1)
        )
        if given.size and (
            given.dtype.kind not in "iub" or int(given.min()) < low or int(given.max()) > high
        ):
            raise PacketError(
                f"structure {program.spid}: expected {name} as integers in {low}..{high}; found {given.dtype} in "
                f"{given.min()}..{given.max()}",
                parameter=name,
            )
        arrays.append(np.ascontiguousarray(given, dtype=dtype).ravel())
    sizes = np.array([-1 if a is None else a.nbytes for a in arrays], dtype=np.int64)
    bases = np.zeros(len(arrays) + 1, dtype=np.int64)
    np.cumsum(-(-np.maximum(sizes, 0) // _ALIGNMENT) * _ALIGNMENT, out=bases[1:])
    data = np.zeros(int(bases[-1]), dtype=np.uint8)
    for base, array in zip(bases[:-1], arrays, strict=True):
        if array is not None:
            data[base : base + array.nbytes] = array.view(np.uint8)
    return data, bases[:-1], sizes


def _write(
    program: Program, n: int, data: NDArray[np.uint8], bases: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Packets one behind the other, headers still zero, and their borders (n + 1,)."""
    nothing = np.zeros(0, dtype=np.uint8)
    lengths = np.zeros(n, dtype=np.int64)
    cursors = _run(
        program, out=nothing, starts=np.zeros(n, dtype=np.int64), lengths=lengths, data=data, bases=bases, sizes=sizes,
        fill=False,
    )  # fmt: skip
    for name, cursor, base, size in zip(program.columns, cursors, bases, sizes, strict=True):
        if size >= 0 and cursor != base + size:
            raise PacketError(
                f"structure {program.spid}: expected {cursor - base} bytes of {name}, as the counters of {n} packets "
                f"say; found {size}",
                parameter=name,
            )
    if n and lengths.max() > LARGEST_PACKET:
        raise PacketError(
            f"structure {program.spid}: expected packets of at most {LARGEST_PACKET} bytes; found {lengths.max()} in "
            f"packet {int(lengths.argmax())}; divide its contents over more packets"
        )
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    out = np.zeros(int(offsets[-1]), dtype=np.uint8)
    _run(
        program, out=out, starts=offsets[:-1], lengths=lengths, data=data, bases=bases, sizes=sizes, fill=True
    )
    return out, offsets


def _run(
    program: Program,
    *,
    out: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    data: NDArray[np.uint8],
    bases: NDArray[np.int64],
    sizes: NDArray[np.int64],
    fill: bool,
) -> NDArray[np.int64]:
    """One pass of the kernel; where the columns then stand."""
    steps = np.ascontiguousarray(program.steps).ravel()
    present = (sizes >= 0).astype(np.int64)
    column_ends = bases + np.maximum(sizes, 0)
    cursors = bases.copy()
    n_visits = len(starts) * len(program.steps) + (0 if program.all_groups_copy else len(data))
    kernel = get_kernel(encode_packets) if is_worth_compiling(n_visits) else None
    depth = 3 * DEEPEST_NESTING
    if kernel is not None:
        starts = np.ascontiguousarray(starts)
        short = kernel(
            out, starts, lengths, steps, program.itemsizes, present, cursors, column_ends, data,
            np.zeros(depth, dtype=np.int64), fill,
        )  # fmt: skip
    else:
        measured, moved = lengths.tolist(), cursors.tolist()
        short = encode_packets(
            out.data, starts.tolist(), measured, steps.tolist(), program.itemsizes.tolist(), present.tolist(),
            moved, column_ends.tolist(), data.data, [0] * depth, fill,
        )  # fmt: skip
        lengths[:], cursors[:] = measured, moved
    if short >= 0:
        raise PacketError(
            f"structure {program.spid}: expected more elements of {program.columns[short]}, as its counter says; found "
            f"the end of the column after {max(int(sizes[short]), 0) // int(program.itemsizes[short])}",
            parameter=program.columns[short],
        )
    return cursors
