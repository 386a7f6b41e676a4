"""Packets that came twice: the same bytes again, or other bytes under the same identity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.compiled import get_kernel, is_worth_compiling
from stixlab.telemetry.frames import PacketBlock, Status

__all__ = ["content_hashes", "identities", "mark_duplicates"]

_FACTOR_1, _FACTOR_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_STEP = 0x9E3779B97F4A7C15
"""Constants of the splitmix64 generator (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195)."""
_WORDS_AT_ONCE = 1 << 20
_NUMPY_BYTES_PER_STEP = 64
"""Bytes that numpy hashes in the time of one step of plain Python."""


def content_hashes(block: PacketBlock) -> NDArray[np.uint64]:
    """(n,) a number for the bytes of each packet: the same for the same bytes, everywhere and always.

    Notes
    -----
    With the packet as little-endian words w_0, w_1 ... of eight bytes (the last filled up with zeros), m the
    mixing function of splitmix64 and s its step: m(length + sum of m(w_i + (i + 1) s)), modulo 2**64. Words
    are mixed apart, so that all words of all packets can be taken at once. No defence against forgers.
    """
    starts, ends = np.ascontiguousarray(block.offsets[:-1]), np.ascontiguousarray(block.offsets[1:])
    if len(starts) == 0:
        return np.zeros(0, dtype=np.uint64)
    if is_worth_compiling(int(ends[-1] - starts[0]) // _NUMPY_BYTES_PER_STEP):
        kernel = get_kernel(hash_packets)
        if kernel is not None:
            found = np.empty(len(starts), dtype=np.uint64)
            data = block.data.view()
            data.flags.writeable = False  # one form of the argument, one compilation
            kernel(data, starts, ends, np.array([_STEP, _FACTOR_1, _FACTOR_2], dtype=np.uint64), found)
            return found
    return _hash_in_numpy(block.data, starts, ends)


def hash_packets(data: Any, starts: Any, ends: Any, constants: Any, found: Any) -> None:
    """Loop of `content_hashes`, to be compiled.

    Parameters
    ----------
    data : (n_bytes,)
    starts, ends : (n,)
    constants : (3,), uint64
        Step and factors.
    found : (n,), uint64
        Filled in.
    """
    step, factor_1, factor_2 = constants[0], constants[1], constants[2]
    a, b, c, eight = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(8)
    for p in range(len(starts)):
        total = np.uint64(ends[p] - starts[p])
        key = np.uint64(0)
        at = starts[p]
        while at < ends[p]:
            word = np.uint64(0)
            if at + 8 <= ends[p]:
                for k in range(8):
                    word |= np.uint64(data[at + k]) << (eight * np.uint64(k))
            else:
                for k in range(ends[p] - at):
                    word |= np.uint64(data[at + k]) << (eight * np.uint64(k))
            key += step
            word += key
            word = (word ^ (word >> a)) * factor_1
            word = (word ^ (word >> b)) * factor_2
            total += word ^ (word >> c)
            at += 8
        total = (total ^ (total >> a)) * factor_1
        total = (total ^ (total >> b)) * factor_2
        found[p] = total ^ (total >> c)


def _hash_in_numpy(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.uint64]:
    found = np.zeros(len(starts), dtype=np.uint64)
    n_words = -(-(ends - starts) // 8)
    done = np.concatenate([[0], np.cumsum(n_words)])
    first = 0
    while first < len(starts):
        last = max(
            int(np.searchsorted(done, done[first] + _WORDS_AT_ONCE, side="right")) - 1,
            first + 1,
        )
        part = slice(first, last)
        words, keys = _words(data, starts[part], ends[part], n_words[part])
        sums = np.add.reduceat(_mixed(words + keys), done[first:last] - done[first])
        found[part] = _mixed(sums + (ends - starts)[part].astype(np.uint64))
        first = last
    return found


def _words(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], n_words: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """All words of some packets, and what is to be added to each."""
    borders = np.cumsum(n_words)
    number = np.arange(borders[-1]) - np.repeat(borders - n_words, n_words)
    piece = np.zeros((int(borders[-1]), 8), dtype=np.uint8)
    place = np.repeat(starts, n_words) + 8 * number
    left = np.repeat(ends, n_words) - place
    for k in range(8):
        there = left > k
        piece[there, k] = data[place[there] + k]
    return piece.view("<u8")[:, 0].astype(np.uint64), (number + 1).astype(np.uint64) * np.uint64(_STEP)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(_FACTOR_1)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(_FACTOR_2)
    return words ^ (words >> np.uint64(31))


def identities(block: PacketBlock) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What makes a packet one and the same, as two numbers.

    Returns
    -------
    time : (n,)
        On-board time in 1/65536 s, with the synchronisation flag above it.
    counter : (n,)
        APID and sequence count.
    """
    time = block.scet_coarse.astype(np.int64) << 16 | block.scet_fine
    time |= (~block.synchronised).astype(np.int64) << 47
    return time, block.apid.astype(np.int64) << 14 | block.sequence_count


def mark_duplicates(block: PacketBlock) -> PacketBlock:
    """Statuses with repeated packets marked, so that each identity is used once.

    Of packets with one identity the longest complete one stays, of equally long ones that with the
    smallest hash, the first of equals: whatever the order in which they came, the same bytes are
    used. The others are duplicates if they have these bytes, conflicts if not. Truncated packets stay
    truncated unless a better one is there. Blocks marked apart may be joined and marked again: the
    result is that of marking all at once.
    """
    time, counter = identities(block)
    in_time = np.sort(time)
    if not (in_time[1:] == in_time[:-1]).any():
        return block
    order = np.lexsort((counter, time))
    same = (np.diff(time[order]) == 0) & (np.diff(counter[order]) == 0)
    if not same.any():
        return block
    members = order[np.append(same, False) | np.insert(same, 0, False)]
    repeated = block.select(members)
    hashes = content_hashes(repeated)
    rank = _RANKS[repeated.status]
    # within an identity: best first
    best_first = np.lexsort((members, hashes, -repeated.lengths, rank, counter[members], time[members]))
    members, hashes = members[best_first], hashes[best_first]
    new = np.ones(len(members), dtype=bool)
    new[1:] = (np.diff(time[members]) != 0) | (np.diff(counter[members]) != 0)
    group = np.cumsum(new) - 1
    equal = (hashes == hashes[new][group]) & (block.lengths[members] == block.lengths[members][new][group])
    status = block.status.copy()
    marks = np.where(equal, Status.DUPLICATE, Status.CONFLICT).astype(np.uint8)
    status[members[~new]] = marks[~new]
    return block.with_status(status)


def _ranks() -> NDArray[np.uint8]:
    """By status, which packet of an identity is to be preferred."""
    ranks = np.zeros(256, dtype=np.uint8)
    ranks[Status.CORRUPT] = 1
    ranks[Status.TRUNCATED] = 2
    ranks[[Status.DUPLICATE, Status.CONFLICT]] = 3
    return ranks


_RANKS = _ranks()
