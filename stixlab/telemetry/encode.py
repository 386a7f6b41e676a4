"""Columns to packets: the exact inverse of decoding, and the files that packets come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.compiled import get_kernel, is_worth_compiling
from stixlab.errors import PacketError
from stixlab.idb import Discriminator, Program, Versions, load_versions
from stixlab.idb.program import DEEPEST_NESTING
from stixlab.telemetry.columns import Columns
from stixlab.telemetry.frames import SIMULATED_DESTINATION, PacketBlock
from stixlab.telemetry.headers import HEADER_BYTES, LARGEST_PACKET, parse_headers
from stixlab.telemetry.kernels import encode_packets
from stixlab.telemetry.layouts import Layout, lay_out, programs_of
from stixlab.telemetry.spare_bits import SpareBits, find_spare_bits
from stixlab.telemetry.writers import write_binary, write_edds_xml, write_hex

__all__ = [
    "SIMULATED_DESTINATION",
    "SpareBits",
    "encode",
    "encode_again",
    "make_headers",
    "write_binary",
    "write_edds_xml",
    "write_hex",
]

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
    era: ArrayLike | None = None,
    spare: SpareBits | None = None,
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
        A parameter that the version of a packet does not have takes no element there.
    scet_coarse : (n,)
        On-board seconds of each packet; its length is the number of packets.
    scet_fine, sequence_count, sequence_flag, apid, destination, synchronised : scalar or (n,)
        Header fields; the APID is by default that of the definition.
    versions
        None for those shipped.
    era : scalar or (n,)
        Era whose definitions hold for each packet; by default that of its on-board time.
    spare
        What stands in bits that no field claims, and bytes behind the last field; by default zeros
        and none.

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
    n = len(coarse)
    eras = versions.eras_at(coarse) if era is None else np.broadcast_to(np.asarray(era, np.uint8), (n,))
    out, offsets = _write_fields(spid, columns, eras, versions, spare)
    kind = versions.latest.packet_types[spid]
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
    block = parse_headers(
        out,
        offsets[:-1],
        offsets[1:],
        truncated=np.zeros(n, dtype=bool),
        source_offset=offsets[:-1].copy(),
        versions=versions,
    )
    return block if era is None else replace(block, era=eras.astype(np.uint8))


def _write_fields(
    spid: int,
    columns: Mapping[str, ArrayLike],
    eras: NDArray[np.uint8],
    versions: Versions,
    spare: SpareBits | None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Packets with all but their headers, and where each begins and ends, (n + 1,)."""
    programs, which = programs_of(spid, eras, versions)
    layout = lay_out(programs)
    kind = versions.latest.packet_types[spid]
    filled = dict(columns)
    teller = _discriminating_column(layout, versions.latest.discriminators[kind.service, kind.subtype])
    if teller is not None:
        filled.setdefault(teller, kind.pi1)
    return _write(layout, which, _pack(layout, which, filled), spare)


def _discriminating_column(layout: Layout, place: Discriminator) -> str | None:
    """The field, before any repeats, that tells structures of one service apart."""
    position = 8 * HEADER_BYTES
    for row in layout.programs[0].steps:
        width, gap, group, column = (int(fact) for fact in row[:4])
        position += gap
        if position == 8 * place.offset_bytes and width == place.width_bits:
            return layout.columns[column]
        position += width
        if group:
            break
    return None


def encode_again(columns: Columns, versions: Versions) -> PacketBlock:
    """The packets that the columns were decoded from, made anew: headers, fields, spare bits and trailing bytes.

    Parameters
    ----------
    columns
    versions
        Those that the packets were decoded with.
    """
    spare = find_spare_bits(columns.block, _encode_alike(columns, versions, None))
    return _encode_alike(columns, versions, spare)


def _encode_alike(columns: Columns, versions: Versions, spare: SpareBits | None) -> PacketBlock:
    block = columns.block
    return encode(
        columns.spid,
        columns.values,
        scet_coarse=block.scet_coarse,
        scet_fine=block.scet_fine,
        sequence_count=block.sequence_count,
        sequence_flag=block.sequence_flag,
        apid=block.apid,
        destination=block.destination,
        synchronised=block.synchronised,
        versions=versions,
        era=block.era,
        spare=spare,
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


@dataclass(frozen=True)
class _Packed:
    """Columns as decoding lays them out: little-endian elements, column behind column."""

    data: NDArray[np.uint8]
    bases: NDArray[np.int64]
    sizes: NDArray[np.int64]
    """Bytes of each column; -1 where it is left out."""


def _widths(program: Program) -> dict[int, int]:
    """Bits of each column."""
    return {int(row[3]): int(row[0]) for row in program.steps}


def _check_range(layout: Layout, column: int, width: int, given: NDArray[np.generic]) -> None:
    signed = layout.dtypes[column].kind == "i"
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    if given.size and (given.dtype.kind not in "iub" or int(given.min()) < low or int(given.max()) > high):
        raise PacketError(
            f"structure {layout.programs[0].spid}: expected {layout.columns[column]} as integers in {low}..{high}; "
            f"found {given.dtype} in {given.min()}..{given.max()}",
            parameter=layout.columns[column],
        )


def _pack(layout: Layout, which: NDArray[np.intp], columns: Mapping[str, ArrayLike]) -> _Packed:
    unknown = sorted(set(columns) - set(layout.columns))
    if unknown:
        raise PacketError(
            f"structure {layout.programs[0].spid}: expected its parameters only; found {', '.join(unknown)} too",
            unknown=unknown,
        )
    widths = [_widths(program) for program in layout.programs]
    arrays: list[NDArray[np.generic] | None] = []
    for i, name in enumerate(layout.columns):
        if name not in columns:
            arrays.append(None)
            continue
        given = np.asarray(columns[name])
        if given.ndim == 0:
            having = np.array([i in each for each in widths])
            given = np.full(int(having[which].sum()), given)
        _check_range(layout, i, max(each.get(i, 0) for each in widths), given)
        arrays.append(np.ascontiguousarray(given, dtype=layout.dtypes[i]).ravel())
    sizes = np.array([-1 if a is None else a.nbytes for a in arrays], dtype=np.int64)
    bases = np.zeros(len(arrays) + 1, dtype=np.int64)
    np.cumsum(-(-np.maximum(sizes, 0) // _ALIGNMENT) * _ALIGNMENT, out=bases[1:])
    data = np.zeros(int(bases[-1]), dtype=np.uint8)
    for base, array in zip(bases[:-1], arrays, strict=True):
        if array is not None:
            data[base : base + array.nbytes] = array.view(np.uint8)
    return _Packed(data, bases[:-1], sizes)


def _runs(which: NDArray[np.intp], layout: Layout) -> Iterator[tuple[Program, slice]]:
    """Packets one behind the other that have the same form."""
    borders = np.flatnonzero(np.diff(which)) + 1
    for start, end in zip([0, *borders.tolist()], [*borders.tolist(), len(which)], strict=True):
        if end > start:
            yield layout.programs[int(which[start])], slice(start, end)


def _write(
    layout: Layout, which: NDArray[np.intp], packed: _Packed, spare: SpareBits | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Packets one behind the other, headers still zero, and their borders (n + 1,)."""
    n, spid = len(which), layout.programs[0].spid
    nothing = np.zeros(0, dtype=np.uint8)
    lengths = np.full(n, HEADER_BYTES, dtype=np.int64)
    cursors = packed.bases.copy()
    for program, run in _runs(which, layout):
        before = cursors.copy()
        _run(
            program, layout, packed, cursors, out=nothing, starts=np.zeros_like(lengths[run]),
            lengths=lengths[run], fill=False,
        )  # fmt: skip
        if len(layout.programs) > 1:
            _check_run(program, layout, packed, before, cursors)
    for name, cursor, base, size in zip(layout.columns, cursors, packed.bases, packed.sizes, strict=True):
        if size >= 0 and cursor != base + size:
            raise PacketError(
                f"structure {spid}: expected {cursor - base} bytes of {name}, as the counters of {n} packets "
                f"say; found {size}",
                parameter=name,
            )
    if spare is not None:
        lengths = np.maximum(lengths, spare.lengths)
    if n and lengths.max() > LARGEST_PACKET:
        raise PacketError(
            f"structure {spid}: expected packets of at most {LARGEST_PACKET} bytes; found {lengths.max()} in "
            f"packet {int(lengths.argmax())}; divide its contents over more packets"
        )
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    out = np.zeros(int(offsets[-1]), dtype=np.uint8)
    cursors = packed.bases.copy()
    for program, run in _runs(which, layout):
        _run(
            program, layout, packed, cursors, out=out, starts=offsets[:-1][run], lengths=lengths[run].copy(),
            fill=True,
        )  # fmt: skip
    if spare is not None:
        np.bitwise_or.at(out, offsets[:-1][spare.packet] + spare.offset_bytes, spare.bits)
    return out, offsets


def _check_run(
    program: Program, layout: Layout, packed: _Packed, before: NDArray[np.int64], after: NDArray[np.int64]
) -> None:
    """Values of packets whose version has narrower fields than others."""
    for column, width in _widths(program).items():
        part = packed.data[before[column] : after[column]]
        _check_range(layout, column, width, part.view(layout.dtypes[column]))


def _run(
    program: Program,
    layout: Layout,
    packed: _Packed,
    cursors: NDArray[np.int64],
    *,
    out: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    fill: bool,
) -> None:
    """One pass of the kernel, which moves the cursors along and, measuring, sets the lengths."""
    steps = np.ascontiguousarray(program.steps).ravel()
    present = (packed.sizes >= 0).astype(np.int64)
    column_ends = packed.bases + np.maximum(packed.sizes, 0)
    data, itemsizes = packed.data, layout.itemsizes
    n_visits = len(starts) * len(program.steps) + (0 if program.all_groups_copy else len(data))
    kernel = get_kernel(encode_packets) if is_worth_compiling(n_visits) else None
    depth = 3 * DEEPEST_NESTING
    if kernel is not None:
        starts = np.ascontiguousarray(starts)
        short = kernel(
            out, starts, lengths, steps, itemsizes, present, cursors, column_ends, data,
            np.zeros(depth, dtype=np.int64), fill,
        )  # fmt: skip
    else:
        measured, moved = lengths.tolist(), cursors.tolist()
        short = encode_packets(
            out.data, starts.tolist(), measured, steps.tolist(), itemsizes.tolist(), present.tolist(),
            moved, column_ends.tolist(), data.data, [0] * depth, fill,
        )  # fmt: skip
        lengths[:], cursors[:] = measured, moved
    if short >= 0:
        raise PacketError(
            f"structure {program.spid}: expected more elements of {layout.columns[short]}, as its counter says; found "
            f"the end of the column after {max(int(packed.sizes[short]), 0) // int(itemsizes[short])}",
            parameter=layout.columns[short],
        )
