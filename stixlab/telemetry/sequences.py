"""Where packets stand in the counters of their APIDs: counted on where 14 bits wrap, and what is missing between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.telemetry.frames import PacketBlock

__all__ = ["CONTINUATION", "FIRST", "LAST", "STAND_ALONE", "Headers", "missing_between", "unwrap"]

CONTINUATION, FIRST, LAST, STAND_ALONE = 0, 1, 2, 3
"""Sequence flags, CCSDS 133.0-B, section 4.1.3.4.2."""
_CYCLE = 1 << 14
"""The sequence count starts again after so many packets."""
_DISORDER_TICKS = 60 << 16
"""Counts may run against the on-board times within one minute (equal times, a corrected clock); not half
a cycle of the counter passes in it: packets of science are seconds apart."""
_STREAM = 1 << 40
"""Distance between streams; further than any counter gets."""


@dataclass(frozen=True, eq=False)
class Headers:
    """What packet headers say about the order of packets; columns of equal length."""

    origin: NDArray[np.uint8]
    apid: NDArray[np.uint16]
    sequence_count: NDArray[np.uint16]
    ticks: NDArray[np.int64]
    """On-board time, 1/65536 s, without the synchronisation bit."""
    synchronised: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.apid)

    @classmethod
    def of(
        cls, block: PacketBlock, chosen: NDArray[np.bool_] | NDArray[np.integer[Any]] | slice = slice(None)
    ) -> Headers:
        """Headers of packets; no other byte of them is looked at."""
        return cls(
            origin=block.origin[chosen],
            apid=block.apid[chosen],
            sequence_count=block.sequence_count[chosen],
            ticks=block.scet_coarse[chosen].astype(np.int64) << 16 | block.scet_fine[chosen],
            synchronised=block.synchronised[chosen],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Headers]) -> Headers:
        """All of several (at least one), in order."""
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})


def unwrap(headers: Headers) -> NDArray[np.int64]:
    """Running number of each packet in the stream of its origin and APID.

    The counter of 14 bits is counted on over its wraps with the help of the on-board times; neighbours in time
    are taken to be less than a cycle apart. Packets of one count within a minute get the same number.
    Unsynchronised packets come before the others: the clock is unsynchronised from a restart until it is set.

    Parameters
    ----------
    headers : (n,)

    Returns
    -------
    (n,)
        Only differences within a stream mean anything; numbers of different streams are far apart.
    """
    if not len(headers):
        return np.zeros(0, dtype=np.int64)
    stream = headers.origin.astype(np.int64) << 11 | headers.apid
    order = np.lexsort((headers.sequence_count, headers.ticks, headers.synchronised, stream))
    same_clock = np.diff(headers.synchronised[order].astype(np.int8)) == 0
    near = same_clock & (np.diff(headers.ticks[order]) <= _DISORDER_TICKS)
    count = headers.sequence_count[order].astype(np.int64)
    step = (count[1:] - count[:-1]) % _CYCLE
    step = np.where(near & (step >= _CYCLE // 2), step - _CYCLE, step)
    step = np.where(~near & (step == 0), _CYCLE, step)
    step = np.where(np.diff(stream[order]) != 0, _STREAM, step)
    numbers = np.empty(len(headers), dtype=np.int64)
    numbers[order] = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(step)])
    return numbers


def missing_between(
    before: NDArray[np.int64], after: NDArray[np.int64], seen: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many packets are missing between two packets of a stream.

    Parameters
    ----------
    before, after : (k,)
        Running numbers of pairs of packets, from `unwrap`.
    seen : (n,)
        Running numbers of all packets that were received, those of the pairs too; repeated or not.

    Returns
    -------
    (k,)
        Numbers between the two that no packet has; 0 where they follow each other.
    """
    known = np.unique(seen)
    inside = np.searchsorted(known, after) - np.searchsorted(known, before, side="right")
    return np.maximum(after - before - 1 - inside, 0)
