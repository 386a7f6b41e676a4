"""Requests put together from packets: any order, repeated, interleaved, incomplete, contradicting."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.idb import load_versions
from stixlab.telemetry.assembly import Assembled, assemble
from stixlab.telemetry.data_times import data_spans, time_stamps
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import SIMULATED_DESTINATION, PacketBlock, Status
from stixlab.telemetry.sequences import Headers
from stixlab.telemetry.sources import read_packets
from tests.support.examples import examples
from tests.support.packets import read_hex
from tests.support.science import (
    ASPECT,
    NOW,
    PIXELS,
    SPECTROGRAM,
    aspect_burst,
    flags,
    pixel_request,
    quicklook,
    spectrogram_request,
)


def decoded(*blocks: PacketBlock, spid: int = PIXELS, order: Any = None) -> Columns:
    block = PacketBlock.concatenate(blocks)
    block = block if order is None else block.select(np.asarray(order))
    columns, statuses = decode(block, spid, load_versions())
    assert (statuses[block.spid == spid] == Status.OK).all()
    return columns


def facts(part: Assembled) -> tuple[Any, ...]:
    """All of a request but where its packets stood."""
    columns = part.columns
    block = columns.block
    values = b"".join(columns[n].tobytes() + columns.splits[n].tobytes() for n in columns)
    return (
        part.origin, part.ssid, part.request, part.tc_packet, part.tc_sequence, part.time_stamp, part.gaps,
        part.n_conflicts, part.span, block.data[block.offsets[0] : block.offsets[-1]].tobytes(),
        hashlib.sha256(values).hexdigest(),
    )  # fmt: skip


def test_a_whole_request_has_its_substructures_in_order():
    block = pixel_request(5)
    (part,) = assemble(decoded(block, order=[3, 1, 4, 0, 2]))
    whole = decoded(block)
    assert part.complete
    assert (part.request, part.tc_sequence, part.tc_packet) == (2_505_080_001, 50_001, 91)
    assert part.columns["NIX00404"].tolist() == [10 * i for i in range(10)]
    for name in whole:
        assert np.array_equal(part.columns[name], whole[name])
        assert np.array_equal(part.columns.splits[name], whole.splits[name])
    assert part.span == (NOW - 5000 << 16, NOW - 4990 << 16)
    assert assemble(decoded(block.select([]))) == []


@given(
    st.integers(1, 8),
    st.integers(0, 16383),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=examples(60), deadline=None)
def test_order_repetition_and_place_of_the_counter_do_not_matter(n, first_count, n_repeated, random):
    block = pixel_request(n, first_count=first_count)
    order = random.sample(range(n), n) + random.choices(range(n), k=n_repeated)
    random.shuffle(order)
    (expected,) = assemble(decoded(block))
    (found,) = assemble(decoded(block, order=order))
    assert facts(found) == facts(expected)
    assert found.complete
    assert sorted(found.copies.tolist()) == list(range(len(order)))


@given(st.data())
@settings(max_examples=examples(60), deadline=None)
def test_what_is_missing_is_told_with_how_many_and_where(data):
    """Any packets lost, at any place of the counter: every one within is counted, lost ends are told."""
    n = data.draw(st.integers(2, 10))
    first_count = data.draw(st.sampled_from([0, 100, 16379]))
    kept = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1)))
    block = pixel_request(n, first_count=first_count)
    (part,) = assemble(decoded(block, order=data.draw(st.permutations(kept))))
    counts = block.sequence_count.astype(int).tolist()
    expected = [(b - a - 1, True, counts[a], counts[b]) for a, b in itertools.pairwise(kept) if b > a + 1]
    if kept[0] != 0:
        expected.insert(0, (1, False, None, counts[kept[0]]))
    if kept[-1] != n - 1:
        expected.append((1, False, counts[kept[-1]], None))
    assert [(g.n, g.exact, g.after, g.before) for g in part.gaps] == expected
    assert part.complete == (len(kept) == n)
    assert part.n_missing == sum(e[0] for e in expected)
    assert (part.why == "") == part.complete
    within = [g for g in part.gaps if g.exact]
    starts, ends = data_spans(decoded(block))
    for gap in within:
        assert gap.data_after == ends[counts.index(gap.after)]
        assert gap.data_before == starts[counts.index(gap.before)]


@given(st.data())
@settings(max_examples=examples(40), deadline=None)
def test_interleaved_requests_do_not_leak(data):
    """Requests that share counter and time, packet by packet; some packets lost; each is as if it were alone."""
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    turns = data.draw(st.permutations([i for i, n in enumerate(sizes) for _ in range(n)]))
    first_count = data.draw(st.sampled_from([0, 16380]))
    blocks = []
    for i, n in enumerate(sizes):
        at = np.flatnonzero(np.array(turns) == i)
        numbers = {"request": 7 if i < 2 else i, "tc_sequence": i}  # two differ by their telecommand only
        header = {"scet_coarse": NOW + 10 * at, "sequence_count": (first_count + at) % 16384}
        blocks.append(pixel_request(n, seed=i, **numbers, **header))
    kept = data.draw(st.sets(st.integers(0, len(turns) - 1), min_size=1))
    columns = decoded(*blocks, order=data.draw(st.permutations(sorted(kept))))
    together = {p.tc_sequence: p for p in assemble(columns)}
    owner = np.repeat(np.arange(len(sizes)), sizes)
    assert sum(len(p) for p in together.values()) == len(kept)
    for i in range(len(sizes)):
        mine = [k for k in kept if owner[k] == i]
        if not mine:
            assert i not in together
            continue
        others = Headers.of(
            PacketBlock.concatenate(blocks), np.array([k for k in kept if owner[k] != i], dtype=int)
        )
        (alone,) = assemble(decoded(*blocks, order=mine), others=others)
        assert facts(together[i]) == facts(alone)


def test_other_packets_of_the_apid_are_no_gap():
    """Light curves sit in the counter between the members; without them they would seem lost."""
    block = pixel_request(4, sequence_count=[100, 101, 105, 106])
    columns = decoded(block)
    assert [g.n for g in assemble(columns)[0].gaps] == [3]
    between = Headers.of(quicklook(3, first_count=102, sent=NOW + 12))
    assert assemble(columns, others=between)[0].complete
    assert [
        g.n
        for g in assemble(columns, others=Headers.of(quicklook(2, first_count=102, sent=NOW + 12)))[0].gaps
    ] == [1]
    elsewhere = Headers.of(quicklook(3, first_count=102, sent=NOW + 12, apid=1500))
    assert not assemble(columns, others=elsewhere)[0].complete
    later = Headers.of(quicklook(3, first_count=102, sent=NOW + 90_000))
    assert not assemble(columns, others=later)[0].complete


def test_numbers_telecommand_origin_and_time_stamp_keep_requests_apart():
    """Same counter, same time; each differs from the first in one thing."""
    kinds: list[dict[str, Any]] = [{}, {"tc_sequence": 1}, {"request": 1}, {"destination": SIMULATED_DESTINATION}, {"stamp": NOW - 7000}]  # fmt: skip
    blocks = [pixel_request(2, first_count=10 * i, sent=NOW + 30 * i, **k) for i, k in enumerate(kinds)]
    parts = assemble(decoded(*blocks))
    assert len(parts) == 5
    assert all(p.complete and len(p) == 2 for p in parts)
    assert [p.origin for p in parts] == ["flight"] * 4 + ["simulated"]


def test_simulated_packets_never_complete_a_real_request():
    simulated = pixel_request(4, destination=SIMULATED_DESTINATION)
    parts = assemble(decoded(pixel_request(4).select([0, 1]), simulated.select([2, 3])))
    assert [(p.origin, len(p), p.complete) for p in parts] == [("flight", 2, False), ("simulated", 2, False)]


def changed(block: PacketBlock, index: int, byte: int, value: int) -> PacketBlock:
    data = block.data.copy()
    data[block.offsets[index] + byte] ^= value
    return read_packets(data.tobytes(), "x", load_versions())[0]


def test_of_contradicting_copies_one_is_used_whatever_the_order():
    """Same identity, other bytes: equally long, so the hash decides; the other is counted, its repetition not."""
    block = pixel_request(3)
    other = changed(block, 1, 60, 1)
    everything = [block, other, other]
    results = {facts(assemble(decoded(*everything, order=o))[0]) for o in ([*range(9)], [*range(8, -1, -1)])}
    assert len(results) == 1
    (part,) = assemble(decoded(*everything))
    assert (part.n_conflicts, len(part), part.complete) == (1, 3, True)


def test_a_request_sent_twice_is_two_requests():
    """The same data under new counts must not be doubled; so for a request of a single packet."""
    for n in (1, 4):
        again = pixel_request(n, first_count=9000, sent=NOW + 90_000)
        parts = assemble(decoded(pixel_request(n), again))
        assert [len(p) for p in parts] == [n, n]
        assert all(p.complete for p in parts)
        assert parts[0].columns["NIX00404"].tolist() == parts[1].columns["NIX00404"].tolist()


def test_sequences_that_go_on_belong_together():
    """Two whole sequences with data one behind the other: nothing is missing, however far apart they were sent."""
    columns = decoded(
        pixel_request(6, sequence_flag=[1, 2, 1, 0, 2, 3], sequence_count=[5, 6, 90, 91, 92, 700])
    )
    (part,) = assemble(columns)
    assert part.complete
    torn = decoded(pixel_request(4, sequence_flag=[1, 0, 1, 2]))
    assert [(g.n, g.exact) for g in assemble(torn)[0].gaps] == [(1, False)]


def test_two_packets_of_one_count_are_one():
    """A damaged time makes another identity; within a request a count is used once."""
    block = pixel_request(3)
    moved = changed(block, 1, 15, 4)  # lowest byte of the fine time
    (part,) = assemble(decoded(block, moved))
    assert (len(part), part.complete, part.n_conflicts) == (3, True, 1)


class TestWithoutNumbers:
    def test_bursts_are_told_apart_by_flags(self):
        blocks = aspect_burst(3), aspect_burst(2, first_count=203, sent=NOW + 30, data=NOW - 8000)
        parts = assemble(decoded(*blocks, spid=ASPECT, order=[4, 0, 3, 1, 2]))
        assert [len(p) for p in parts] == [3, 2]
        assert all(p.complete and p.request == 0 for p in parts)
        assert parts[0].span[0] == (NOW - 9000) << 16
        assert abs((parts[0].span[1] - parts[0].span[0]) / 65536 - 30.72) < 1e-3

    def test_and_by_the_times_of_their_data_where_flags_are_lost(self):
        first = aspect_burst(4).select([0, 1])
        second = aspect_burst(4, first_count=204, sent=NOW + 40, data=NOW - 100).select([2, 3])
        parts = assemble(decoded(first, second, spid=ASPECT))
        assert [len(p) for p in parts] == [2, 2]
        assert ["the last is missing" in p.why for p in parts] == [True, False]
        assert ["the first is missing" in p.why for p in parts] == [False, True]

    def test_lost_packets_do_not_part_a_burst(self):
        (part,) = assemble(decoded(aspect_burst(6).select([0, 1, 4, 5]), spid=ASPECT))
        assert [(g.n, g.exact) for g in part.gaps] == [(2, True)]

    def test_other_settings_are_another_burst(self):
        block = aspect_burst(2, sequence_flag=0)
        other = aspect_burst(2, sequence_flag=0, first_count=202, sent=NOW + 20, data=NOW - 8979, samples=5)
        values = decoded(other, spid=ASPECT).values | {"NIX00490": np.full(2, 32)}
        slower = encode(
            ASPECT, values, scet_coarse=[NOW + 20, NOW + 30], sequence_count=[202, 203], sequence_flag=0
        )
        assert len(assemble(decoded(block, other, spid=ASPECT))) == 1
        assert len(assemble(decoded(block, slower, spid=ASPECT))) == 2


def test_real_packets_are_parts_of_requests(real_data: Path):
    """Two packets each of two requests; numbers as in the golden trees."""
    versions = load_versions()
    found = {}
    for name in ("21_6_20", "21_6_21", "21_6_22", "21_6_23", "21_6_24", "21_6_42"):
        block, _ = read_packets(read_hex(real_data, name), name, versions)
        columns, statuses = decode(block, int(block.spid[0]), versions)
        assert statuses.tolist() == [0]
        (part,) = assemble(columns)
        found[name] = part
    assert found["21_6_24"].complete
    assert "the first is missing" in found["21_6_21"].why
    assert (found["21_6_21"].request, found["21_6_21"].tc_sequence) == (1_267_045_904, 51_759)
    assert found["21_6_42"].request == 0
    # old packets give whole seconds only or all 48 bits; in both the data are older than the packet
    for part in found.values():
        sent = int(part.columns.block.scet_coarse[0]) << 16
        assert sent - (400 * 86_400 << 16) < part.span[0] <= part.span[1] < sent


def test_offsets_of_both_versions_in_one_structure():
    """Before 2.26.35 the start of a bin has another name; packets of both can be assembled together."""
    old = 650_000_000
    new = decoded(pixel_request(2))
    values = dict(new.values)
    values["NIX00441"] = values.pop("NIX00404") + 5
    values = {k: v for k, v in values.items() if k in load_versions().at(old).program(PIXELS).columns}
    before = encode(PIXELS, values, scet_coarse=[old, old + 10], sequence_count=[1, 2], sequence_flag=[1, 2])
    both = decoded(pixel_request(2), before)
    starts, ends = data_spans(both)
    tenths = np.rint((np.stack([starts, ends]) - time_stamps(both)) / 6553.6).astype(int)
    assert tenths.tolist() == [[0, 20, 5, 25], [20, 40, 25, 45]]


def test_a_spectrogram_ends_with_its_closing_offset():
    (part,) = assemble(decoded(spectrogram_request(3), spid=SPECTROGRAM))
    assert part.span == (NOW - 5000 << 16, NOW - 5000 + 24 << 16)
    empty, _ = decode(spectrogram_request(1, samples=0), SPECTROGRAM, load_versions())
    assert assemble(empty)[0].span == (-1, -1)


def test_flags_of_a_single_packet():
    assert flags(1).tolist() == [3]
    assert flags(3).tolist() == [1, 0, 2]
