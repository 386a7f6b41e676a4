"""Packets of bulk science to requests: all that one telecommand asked for, in order, with what is missing.

The result is a function of the set of packets: neither their order nor the files they came in matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stixlab.telemetry.data_times import data_spans, first_values, time_stamps
from stixlab.telemetry.decode import Columns
from stixlab.telemetry.duplicates import content_hashes
from stixlab.telemetry.headers import HEADER_BYTES
from stixlab.telemetry.sequences import FIRST, LAST, STAND_ALONE, Headers, missing_between, unwrap
from stixlab.vocabulary import ORIGINS

__all__ = ["Assembled", "Gap", "assemble"]

_TC_PACKET, _TC_SEQUENCE, _REQUEST = "NIX00001", "NIX00002", "NIX00037"
_SAMPLES_OF_PACKET = 512
"""No aspect packet holds more samples (of 8 bytes)."""
_SETTINGS = ("NIX00088", "NIX00490")
"""Summing and averaging: the same in all packets of one aspect burst."""


@dataclass(frozen=True)
class Gap:
    """Packets of a request that were not received."""

    n: int
    """How many; at least so many if not `exact`."""
    exact: bool
    after: int | None
    """Sequence count of the packet before; None at the start of the request."""
    before: int | None
    """Sequence count of the packet behind; None at its end."""
    data_after: int = -1
    """On-board ticks at which the data of the packet before end; -1 where there are none."""
    data_before: int = -1
    """On-board ticks at which the data of the packet behind start; -1 where there are none."""

    def __str__(self) -> str:
        number = f"{'' if self.exact else 'at least '}{self.n} packet{'s' if self.n != 1 else ''}"
        if self.after is None:
            return f"{number} before sequence count {self.before}: the first is missing"
        if self.before is None:
            return f"{number} behind sequence count {self.after}: the last is missing"
        return f"{number} between sequence counts {self.after} and {self.before}"


@dataclass(frozen=True, eq=False)
class Assembled:
    """One request: its packets, each once, in order."""

    origin: str
    ssid: int
    request: int
    """Number of the data request; 0 if the packets carry none."""
    tc_packet: int
    """First word of the telecommand that asked for the data; 0 if the packets carry none."""
    tc_sequence: int
    """Sequence control of that telecommand; 0 if the packets carry none."""
    time_stamp: int
    """On-board ticks (1/65536 s) from which the times of the data are counted; -1 if each packet has its own."""
    columns: Columns
    """Of all packets: sub-structures follow each other in the order of the request."""
    copies: NDArray[np.int64]
    """Indices, in the columns that were assembled, of every packet of the request, repeated ones too."""
    gaps: tuple[Gap, ...]
    n_conflicts: int
    """Contents that were left out because other packets of the same identity are longer, or first by hash."""

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def complete(self) -> bool:
        """From the first to the last packet nothing is missing."""
        return not self.gaps

    @property
    def n_missing(self) -> int:
        """Packets known to be missing; there may be more where the first or last is."""
        return sum(g.n for g in self.gaps)

    @property
    def has_gaps_within(self) -> bool:
        """Whether something is missing between two of its packets."""
        return any(g.after is not None and g.before is not None for g in self.gaps)

    @property
    def why(self) -> str:
        """Why it is not complete; empty if it is."""
        return "; ".join(map(str, self.gaps))

    @cached_property
    def span(self) -> tuple[int, int]:
        """On-board ticks of the start and end of the data; (-1, -1) if there are none."""
        starts, ends = data_spans(self.columns)
        there = starts >= 0
        return (int(starts[there].min()), int(ends[there].max())) if there.any() else (-1, -1)


@dataclass(frozen=True, eq=False)
class _Members:
    """Packets of a structure, each once, by request and in order; `index` is their place in the columns given."""

    index: NDArray[np.int64]
    request: NDArray[np.int64]
    """(n,) ascending: 0 for the packets of one request, 1 for those of the next ..."""
    number: NDArray[np.int64]
    """(n,) running number in the counter of the APID."""


def assemble(columns: Columns, *, others: Headers | None = None) -> list[Assembled]:
    """Requests that packets of one structure belong to.

    Packets belong together if they have one origin, data request number, telecommand and time stamp. Those without
    any (old aspect packets) belong together where sequence flags and the times of their data say so.
    Where a whole sequence follows that starts again at earlier data, it is a request of its own: sent twice.

    Parameters
    ----------
    columns
        Decoded packets from any files, in any order, repeated or not.
    others
        Headers of packets that do not belong to these requests: what they take from the counter of an APID
        is not missing.

    Returns
    -------
    list of Assembled
        By origin, number of the request, telecommand, time stamp and order of dump.
    """
    if not len(columns):
        return []
    headers = Headers.of(columns.block)
    if others is not None:
        headers = Headers.concatenate([headers, others])
    seen = unwrap(headers)
    number = seen[: len(columns)]
    hashes = content_hashes(columns.block)
    label = _labels(columns)
    kept, copy_of = _without_copies(columns, number, hashes, label)
    members = _in_order(columns, number, label, kept)
    return _build(columns, members, copy_of, hashes, seen)


def _labels(columns: Columns) -> NDArray[np.int64]:
    """(n,) equal for packets with the same numbers; ascending with them."""
    rows = np.stack(
        [
            columns.block.origin.astype(np.int64),
            columns.block.ssid.astype(np.int64),
            columns.block.apid.astype(np.int64),
            *(first_values(columns, name) for name in (_REQUEST, _TC_SEQUENCE, _TC_PACKET)),
            time_stamps(columns),
        ],
        axis=1,
    )
    return np.unique(rows, axis=0, return_inverse=True)[1].astype(np.int64).ravel()


def _without_copies(
    columns: Columns, number: NDArray[np.int64], hashes: NDArray[np.uint64], label: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Packets that are used, and for every packet the one that is used in its place.

    Of packets with one identity (APID, count, time) the longest is used, of equally long ones that with the
    smallest hash; then so of packets of one request whose counts are the same within a minute.
    """
    lengths = columns.block.lengths
    ticks = columns.block.scet_coarse.astype(np.int64) << 16 | columns.block.scet_fine
    copy_of = np.arange(len(columns))
    order = np.lexsort((hashes, -lengths, ticks, number))
    new = np.append(True, (np.diff(number[order]) != 0) | (np.diff(ticks[order]) != 0))
    copy_of[order] = order[new][np.cumsum(new) - 1]
    kept = np.unique(copy_of)
    order = kept[np.lexsort((hashes[kept], -lengths[kept], number[kept], label[kept]))]
    new = np.append(True, (np.diff(number[order]) != 0) | (np.diff(label[order]) != 0))
    second = np.arange(len(columns))
    second[order] = order[new][np.cumsum(new) - 1]
    copy_of = second[copy_of]
    return np.unique(copy_of), copy_of


def _in_order(
    columns: Columns, number: NDArray[np.int64], label: NDArray[np.int64], kept: NDArray[np.int64]
) -> _Members:
    """Packets that are used, by request and within it in the order of the counter."""
    index = kept[np.lexsort((number[kept], label[kept]))]
    flag = columns.block.sequence_flag[index]
    starts, ends = (span[index] for span in data_spans(columns))
    ends_before = np.isin(flag[:-1], (LAST, STAND_ALONE))
    begins = np.isin(flag[1:], (FIRST, STAND_ALONE))
    border = ends_before & begins & (np.diff(label[index]) == 0)
    if border.any():
        border &= _starts_again(columns, index, label[index], starts)
    without = (first_values(columns, _REQUEST) == 0) & (time_stamps(columns) < 0)
    breaks = ends_before | begins | _breaks(columns, index, number[index], starts, ends)
    split = (np.diff(label[index]) != 0) | border | (without[index[1:]] & breaks)
    return _Members(index, np.cumsum(np.append(0, split)), number[index])


def _starts_again(
    columns: Columns, index: NDArray[np.int64], label: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(n - 1,) whether a packet has earlier data than one before it of the same label, or the same contents."""
    rank = np.unique(starts, return_inverse=True)[1].ravel()
    height = np.unique(label, return_inverse=True)[1].ravel() * (len(index) + 1)
    latest = np.maximum.accumulate(rank + height) - height
    earlier = (starts[1:] >= 0) & (rank[1:] < latest[:-1])
    block = columns.block.select(index)
    data = block.data.copy()
    data[block.offsets[:-1, None] + np.arange(HEADER_BYTES)] = 0
    contents = np.stack([label.astype(np.uint64), content_hashes(replace(block, data=data))], axis=1)
    first = np.unique(contents, axis=0, return_index=True)[1]
    repeated = np.ones(len(index), dtype=bool)
    repeated[first] = False
    return np.asarray(earlier | repeated[1:])


def _breaks(
    columns: Columns,
    index: NDArray[np.int64],
    number: NDArray[np.int64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """(n - 1,) where packets without numbers do not go on with the data of the packet before."""
    changed = np.zeros(len(index) - 1, dtype=bool)
    for name in _SETTINGS:
        changed |= np.diff(first_values(columns, name)[index]) != 0
    longest = np.prod([first_values(columns, n)[index[1:]] for n in _SETTINGS], axis=0) * 65536 // 1000
    lost = np.maximum(np.diff(number), 1)
    jump = starts[1:] - ends[:-1]
    known = (starts[1:] >= 0) & (ends[:-1] >= 0)
    jumps = (jump < -longest) | (jump > lost * longest * _SAMPLES_OF_PACKET)
    return np.asarray(changed | (known & jumps))


def _build(
    columns: Columns,
    members: _Members,
    copy_of: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    seen: NDArray[np.int64],
) -> list[Assembled]:
    """One record for each request."""
    n_requests = int(members.request[-1]) + 1
    borders = np.searchsorted(members.request, np.arange(n_requests + 1))
    request_of = np.zeros(len(columns), dtype=np.int64)
    request_of[members.index] = members.request
    request_of = request_of[copy_of]
    by_request = np.argsort(request_of, kind="stable")
    copy_borders = np.searchsorted(request_of[by_request], np.arange(n_requests + 1))
    contents = np.unique(np.stack([copy_of.astype(np.uint64), hashes], axis=1), axis=0)[:, 0]
    n_contents = np.bincount(request_of[contents.astype(np.int64)], minlength=n_requests)
    gaps = _gaps(columns, members, borders, seen)
    numbers = {n: first_values(columns, n) for n in (_REQUEST, _TC_PACKET, _TC_SEQUENCE)}
    stamps, origin = time_stamps(columns), columns.block.origin
    found = []
    for i in range(n_requests):
        index = members.index[borders[i] : borders[i + 1]]
        head = int(index[0])
        found.append(
            Assembled(
                origin=ORIGINS[int(origin[head])],
                ssid=int(columns.block.ssid[head]),
                request=int(numbers[_REQUEST][head]),
                tc_packet=int(numbers[_TC_PACKET][head]),
                tc_sequence=int(numbers[_TC_SEQUENCE][head]),
                time_stamp=int(stamps[head]),
                columns=columns.select(index),
                copies=by_request[copy_borders[i] : copy_borders[i + 1]],
                gaps=gaps[i],
                n_conflicts=int(n_contents[i]) - len(index),
            )
        )
    return found


def _gaps(
    columns: Columns, members: _Members, borders: NDArray[np.int64], seen: NDArray[np.int64]
) -> list[tuple[Gap, ...]]:
    """What is missing of each request, in order."""
    index, flag = members.index, columns.block.sequence_flag[members.index]
    count = columns.block.sequence_count[index].astype(int).tolist()
    starts, ends = (span[index].tolist() for span in data_spans(columns))
    opens, closes = np.isin(flag, (FIRST, STAND_ALONE)), np.isin(flag, (LAST, STAND_ALONE))
    within = np.diff(members.request) == 0
    lost = missing_between(members.number[:-1], members.number[1:], seen)
    torn = closes[:-1] != opens[1:]
    lost = np.where(closes[:-1] & opens[1:], 0, np.where(torn, np.maximum(lost, 1), lost))
    found: list[list[Gap]] = [[] for _ in range(len(borders) - 1)]
    for i in np.flatnonzero(within & (lost > 0)).tolist():
        gap = Gap(int(lost[i]), not bool(torn[i]), count[i], count[i + 1], ends[i], starts[i + 1])
        found[int(members.request[i])].append(gap)
    for r, (a, b) in enumerate(zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)):
        if not opens[a]:
            found[r].insert(0, Gap(1, False, None, count[a], -1, starts[a]))
        if not closes[b - 1]:
            found[r].append(Gap(1, False, count[b - 1], None, ends[b - 1], -1))
    return [tuple(each) for each in found]
