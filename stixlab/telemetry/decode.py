"""Packets to columns: one array for each parameter, in its smallest dtype, and where each packet's part is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.compiled import get_kernel, is_worth_compiling
from stixlab.idb import Program, Versions
from stixlab.idb.program import DEEPEST_NESTING, HEADER_BITS
from stixlab.telemetry.columns import Columns
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.kernels import decode_packets
from stixlab.telemetry.layouts import Layout, lay_out, plain_groups, programs_of, software_of

__all__ = ["Columns", "decode", "decode_all"]

_ALIGNMENT = 8


def decode(
    block: PacketBlock, spid: int, versions: Versions, *, keep_trailing: bool = False
) -> tuple[Columns, NDArray[np.uint8]]:
    """Columns of all good packets of one structure.

    Each packet is read by the definitions of its era. A parameter that only some versions have
    has no elements in the packets of the others; one that is wider in some has the wider dtype.

    Parameters
    ----------
    block
        Any packets; only those of the structure whose status is ok are decoded.
    spid
        Number of the structure.
    versions
    keep_trailing
        Also keep packets that end with bytes which no field claims.

    Returns
    -------
    columns
        Of the packets that decode to their last byte, in the order of the block.
    statuses : (len(block),)
        Status of every packet of the block, with what decoding found out.

    Raises
    ------
    UnknownPacketError
        If no version has a definition of the structure.
    """
    chosen = np.flatnonzero((block.spid == spid) & (block.status == Status.OK))
    programs, which = programs_of(spid, block.era[chosen], versions)
    layout = lay_out(programs)
    order = None if len(programs) == 1 else np.argsort(which, kind="stable")
    if order is not None:
        chosen, which = chosen[order], which[order]
    starts, ends = block.offsets[:-1][chosen], block.offsets[1:][chosen]
    counts, verdict = _count(layout, which, block.data, starts, ends)
    statuses = block.status.copy()
    statuses[chosen] = verdict
    good = (verdict == Status.OK) | (keep_trailing & (verdict == Status.TRAILING))
    if not good.all():
        chosen, which, starts, ends = chosen[good], which[good], starts[good], ends[good]
        counts = None if counts is None else counts[good]
    values, splits = _fill(layout, which, block.data, starts, ends, counts=counts)
    kept = block.with_status(statuses).select(chosen)
    columns = Columns(
        spid=spid, block=kept, values=values, splits=splits, asw_version=software_of(kept.era, versions)
    )
    if order is not None:
        columns = columns.select(np.argsort(chosen))
    return columns, statuses


def decode_all(
    block: PacketBlock, versions: Versions, *, keep_trailing: bool = False
) -> tuple[dict[int, Columns], PacketBlock]:
    """Columns of every structure that has a definition, by SPID, and the block with its final statuses."""
    decoded = {}
    for spid in np.unique(block.spid[block.status == Status.OK]).tolist():
        if not any(spid in definitions.structures for definitions in versions.distinct):
            known = block.status != Status.OK
            block = block.with_status(
                np.where(known | (block.spid != spid), block.status, Status.UNDECODED).astype(np.uint8)
            )
            continue
        decoded[spid], statuses = decode(block, spid, versions, keep_trailing=keep_trailing)
        block = block.with_status(statuses)
    return decoded, block


def _runs(which: NDArray[np.intp], layout: Layout) -> list[tuple[int, Program, slice]]:
    """Packets of each form; they stand together."""
    borders = np.searchsorted(which, np.arange(len(layout.programs) + 1))
    pairs = zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)
    return [(i, layout.programs[i], slice(a, b)) for i, (a, b) in enumerate(pairs) if b > a]


def _count(
    layout: Layout,
    which: NDArray[np.intp],
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> tuple[NDArray[np.int64] | None, NDArray[np.uint8]]:
    """Elements of each packet in each column (None: one occurrence each) and the verdict on each packet."""
    n, n_columns = len(starts), len(layout.columns)
    verdict = np.zeros(n, dtype=np.uint8)
    alone = len(layout.programs) == 1
    if alone and not layout.programs[0].has_groups:
        return None, _fixed_verdict(layout.programs[0], ends - starts)
    counts = np.zeros((n, n_columns), dtype=np.int64)
    cursors = np.zeros(n_columns, dtype=np.int64)
    for _, program, run in _runs(which, layout):
        if not program.has_groups:
            verdict[run] = _fixed_verdict(program, (ends - starts)[run])
            present = np.isin(layout.columns, program.columns)
            counts[run] = np.where(present, layout.lengths, 0)
            continue
        _run(
            program, layout.itemsizes, data=data, starts=starts[run], ends=ends[run], cursors=cursors,
            counts=counts[run].reshape(-1), verdict=verdict[run],
        )  # fmt: skip
    return counts, verdict


def _fixed_verdict(program: Program, lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Verdict on packets without repeats, from their lengths alone."""
    places = np.cumsum(program.steps[:, 0] + program.steps[:, 1])
    needed = (HEADER_BITS + int(places.max(initial=0)) + 7) // 8
    verdict = np.where(
        lengths < needed, Status.CORRUPT, np.where(lengths > needed, Status.TRAILING, Status.OK)
    )
    return verdict.astype(np.uint8)


def _fill(
    layout: Layout,
    which: NDArray[np.intp],
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    *,
    counts: NDArray[np.int64] | None,
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[np.int64]]]:
    n = len(starts)
    once = np.arange(n + 1, dtype=np.int64)
    lengths = np.array(layout.lengths, dtype=np.int64)
    totals = n * lengths if counts is None else counts.sum(axis=0)
    sizes = totals * layout.itemsizes
    bases = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(-(-sizes // _ALIGNMENT) * _ALIGNMENT, out=bases[1:])
    out = np.empty(int(bases[-1]), dtype=np.uint8)
    cursors = bases[:-1].copy()
    for _, program, run in _runs(which, layout):
        _run(
            program, layout.itemsizes, data=data, starts=starts[run], ends=ends[run], cursors=cursors, out=out
        )
    values, splits = {}, {}
    for i, name in enumerate(layout.columns):
        column = out[bases[i] : bases[i] + sizes[i]].view(layout.dtypes[i])
        values[name] = column.reshape(-1, layout.lengths[i]) if layout.lengths[i] > 1 else column
        if counts is None or (counts[:, i] == layout.lengths[i]).all():
            splits[name] = once
        else:
            splits[name] = np.concatenate([once[:1], np.cumsum(counts[:, i] // layout.lengths[i])])
    return values, splits


def _run(
    program: Program,
    itemsizes: NDArray[np.int64],
    *,
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    cursors: NDArray[np.int64],
    counts: NDArray[np.int64] | None = None,
    verdict: NDArray[np.uint8] | None = None,
    out: NDArray[np.uint8] | None = None,
) -> None:
    """One pass of the kernel: counting (`counts` and `verdict` given) or writing (`out` given).

    The cursors are moved along when writing.
    """
    fill = out is not None
    n_bytes = 0 if program.all_groups_copy else int((ends - starts).sum())
    steps, plain = np.ascontiguousarray(program.steps).ravel(), plain_groups(program)
    n_visits = len(starts) * len(program.steps) + n_bytes
    kernel = get_kernel(decode_packets) if is_worth_compiling(n_visits) else None
    no_counts = np.zeros(0, dtype=np.int64) if counts is None else counts
    no_verdict = np.zeros(0, dtype=np.uint8) if verdict is None else verdict
    written = np.zeros(0, dtype=np.uint8) if out is None else out
    if kernel is not None:
        stack = np.zeros(3 * DEEPEST_NESTING, dtype=np.int64)
        readonly = data.view()
        readonly.flags.writeable = False  # one form of the argument, one compilation
        starts, ends = np.ascontiguousarray(starts), np.ascontiguousarray(ends)
        kernel(
            readonly,
            starts,
            ends,
            steps,
            plain,
            itemsizes,
            no_counts,
            no_verdict,
            cursors,
            written,
            stack,
            fill,
        )
        return
    counted, found, moved = no_counts.tolist(), bytearray(no_verdict.tobytes()), cursors.tolist()
    decode_packets(
        np.ascontiguousarray(data).data, starts.tolist(), ends.tolist(), steps.tolist(), plain.tolist(), itemsizes.tolist(),
        counted, found, moved, written.data, [0] * (3 * DEEPEST_NESTING), fill,
    )  # fmt: skip
    cursors[:] = moved
    if counts is not None and verdict is not None:
        counts[:] = counted
        verdict[:] = np.frombuffer(found, dtype=np.uint8)
