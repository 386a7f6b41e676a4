"""Packets to columns: one array for each parameter, in its smallest dtype, and where each packet's part is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import PacketError
from stixlab.idb import Program, Versions
from stixlab.idb.program import DEEPEST_NESTING, HEADER_BITS
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.kernels import decode_packets, get_kernel, is_worth_compiling

__all__ = ["Columns", "decode", "decode_all"]

_ALIGNMENT = 8


@dataclass(frozen=True, eq=False)
class Columns:
    """Decoded packets of one structure."""

    spid: int
    block: PacketBlock
    """The packets, in order."""
    values: dict[str, NDArray[Any]]
    """Raw values of each parameter, all packets one behind the other, in the order of the packet.
    A field longer than 56 bits is (n, bytes)."""
    splits: dict[str, NDArray[np.int64]]
    """(n + 1,) for each parameter: the part of packet i is ``values[name][splits[i]:splits[i + 1]]``."""

    def __len__(self) -> int:
        return len(self.block)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def counts(self, name: str) -> NDArray[np.int64]:
        """(n,) how often a parameter occurs in each packet."""
        return np.diff(self.splits[name])

    def of_packet(self, name: str, index: int) -> NDArray[Any]:
        """Values of a parameter in one packet."""
        splits = self.splits[name]
        return self.values[name][splits[index] : splits[index + 1]]

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.integer[Any]] | slice) -> Columns:
        """Some of the packets with their part of every column.

        Parameters
        ----------
        chosen
            Mask (n,), indices, or a slice.
        """
        index = np.arange(len(self))[chosen]
        values, splits = {}, {}
        parts: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        for name, column in self.values.items():
            old = self.splits[name]
            if id(old) not in parts:
                parts[id(old)] = _parts(old, index)
            splits[name], place = parts[id(old)]
            values[name] = column[place]
        return Columns(spid=self.spid, block=self.block.select(index), values=values, splits=splits)

    def single(self, name: str) -> NDArray[Any]:
        """(n,) a parameter that stands once in each packet.

        Raises
        ------
        PacketError
            If it occurs another number of times in some packet.
        """
        values = self.values[name]
        if (
            len(values) != len(self)
            or (self.splits[name][-1:] != len(self)).any()
            or (self.counts(name) != 1).any()
        ):
            raise PacketError(
                f"structure {self.spid}: expected {name} once in each packet; found it {len(values)} times in "
                f"{len(self)} packets; use its splits",
                parameter=name,
            )
        return values


def _parts(
    splits: NDArray[np.int64], index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits of some packets, and the elements that belong to them."""
    counts = np.diff(splits)[index]
    chosen = np.zeros(len(index) + 1, dtype=np.int64)
    np.cumsum(counts, out=chosen[1:])
    place = np.arange(chosen[-1]) + np.repeat(splits[:-1][index] - chosen[:-1], counts)
    return chosen, place


def decode(
    block: PacketBlock, spid: int, versions: Versions, *, keep_trailing: bool = False
) -> tuple[Columns, NDArray[np.uint8]]:
    """Columns of all good packets of one structure.

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
        Of the packets that decode to their last byte.
    statuses : (len(block),)
        Status of every packet of the block, with what decoding found out.

    Raises
    ------
    UnknownPacketError
        If the structure has no definition.
    """
    program = versions.latest.program(spid)
    chosen = np.flatnonzero((block.spid == spid) & (block.status == Status.OK))
    starts, ends = block.offsets[:-1][chosen], block.offsets[1:][chosen]
    counts, verdict = _count(program, block.data, starts, ends)
    statuses = block.status.copy()
    statuses[chosen] = verdict
    good = (verdict == Status.OK) | (keep_trailing & (verdict == Status.TRAILING))
    if not good.all():
        chosen, starts, ends = chosen[good], starts[good], ends[good]
        counts = None if counts is None else counts[good]
    values, splits = _fill(program, block.data, starts, ends, counts)
    kept = block.with_status(statuses).select(chosen)
    return Columns(spid=spid, block=kept, values=values, splits=splits), statuses


def decode_all(
    block: PacketBlock, versions: Versions, *, keep_trailing: bool = False
) -> tuple[dict[int, Columns], PacketBlock]:
    """Columns of every structure that has a definition, by SPID, and the block with its final statuses."""
    decoded = {}
    for spid in np.unique(block.spid[block.status == Status.OK]).tolist():
        decoded[spid], statuses = decode(block, spid, versions, keep_trailing=keep_trailing)
        block = block.with_status(statuses)
    return decoded, block


def _count(
    program: Program, data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64] | None, NDArray[np.uint8]]:
    """Elements of each packet in each column (None: one each) and the verdict on each packet."""
    n, n_columns = len(starts), len(program.columns)
    if not program.has_groups:
        places = np.cumsum(program.steps[:, 0] + program.steps[:, 1])
        needed = (HEADER_BITS + int(places.max(initial=0)) + 7) // 8
        lengths = ends - starts
        verdict = np.where(
            lengths < needed, Status.CORRUPT, np.where(lengths > needed, Status.TRAILING, Status.OK)
        )
        return None, verdict.astype(np.uint8)
    counts = np.zeros(n * n_columns, dtype=np.int64)
    verdict = np.zeros(n, dtype=np.uint8)
    cursors = np.zeros(n_columns, dtype=np.int64)
    _run(program, data=data, starts=starts, ends=ends, cursors=cursors, counts=counts, verdict=verdict)
    return counts.reshape(n, n_columns), verdict


def _fill(
    program: Program,
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    counts: NDArray[np.int64] | None,
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[np.int64]]]:
    n = len(starts)
    once = np.arange(n + 1, dtype=np.int64)
    lengths = np.array(program.lengths, dtype=np.int64)
    totals = n * lengths if counts is None else counts.sum(axis=0)
    sizes = totals * program.itemsizes
    bases = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(-(-sizes // _ALIGNMENT) * _ALIGNMENT, out=bases[1:])
    out = np.empty(int(bases[-1]), dtype=np.uint8)
    _run(program, data=data, starts=starts, ends=ends, cursors=bases[:-1].copy(), out=out)
    values, splits = {}, {}
    for i, name in enumerate(program.columns):
        column = out[bases[i] : bases[i] + sizes[i]].view(program.dtypes[i])
        values[name] = column.reshape(-1, program.lengths[i]) if program.lengths[i] > 1 else column
        if counts is None or (counts[:, i] == program.lengths[i]).all():
            splits[name] = once
        else:
            splits[name] = np.concatenate([once[:1], np.cumsum(counts[:, i] // program.lengths[i])])
    return values, splits


def _run(
    program: Program,
    *,
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    cursors: NDArray[np.int64],
    counts: NDArray[np.int64] | None = None,
    verdict: NDArray[np.uint8] | None = None,
    out: NDArray[np.uint8] | None = None,
) -> None:
    """One pass of the kernel: counting (`counts` and `verdict` given) or writing (`out` given)."""
    fill = out is not None
    n_bytes = 0 if program.all_groups_copy else int((ends - starts).sum())
    steps = np.ascontiguousarray(program.steps).ravel()
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
            program.itemsizes,
            no_counts,
            no_verdict,
            cursors,
            written,
            stack,
            fill,
        )
        return
    counted, found = no_counts.tolist(), bytearray(no_verdict.tobytes())
    decode_packets(
        np.ascontiguousarray(data).data,
        starts.tolist(),
        ends.tolist(),
        steps.tolist(),
        program.itemsizes.tolist(),
        counted,
        found,
        cursors.tolist(),
        written.data,
        [0] * (3 * DEEPEST_NESTING),
        fill,
    )
    if counts is not None and verdict is not None:
        counts[:] = counted
        verdict[:] = np.frombuffer(found, dtype=np.uint8)
