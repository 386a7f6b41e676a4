"""Counters of packets: counted on over their wraps, whatever the order; what is missing between."""

import itertools
from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stixlab.telemetry.sequences import Headers, missing_between, unwrap


def headers(counts, seconds, *, apid=1468, origin=0, synchronised=True) -> Headers:
    n = len(counts)
    return Headers(
        origin=np.full(n, origin, dtype=np.uint8),
        apid=np.full(n, apid, dtype=np.uint16),
        sequence_count=np.asarray(counts, dtype=np.uint16),
        ticks=(np.asarray(seconds) * 65536).astype(np.int64),
        synchronised=np.full(n, synchronised),
    )


def picked(given: Headers, index: np.ndarray) -> Headers:
    return Headers(**{f.name: getattr(given, f.name)[index] for f in fields(given)})


@given(
    st.integers(0, 16383),
    st.lists(st.tuples(st.integers(1, 8000), st.integers(0, 100_000)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_counts_go_on_over_wraps_in_any_order(first, steps, random):
    """Steps of less than half a cycle, times that stand still or go on."""
    true = first + np.cumsum([s for s, _ in steps])
    seconds = 1000 + np.cumsum([t for _, t in steps])
    order = np.array(random.sample(range(len(steps)), len(steps)))
    numbers = unwrap(picked(headers(true % 16384, seconds), order))
    np.testing.assert_array_equal(numbers - numbers[np.argmin(order)], true[order] - true[0])


def test_equal_times_at_the_wrap_keep_the_order_of_the_counter():
    """A second full of packets, in the middle of which the counter starts again."""
    counts = [16382, 16383, 0, 1]
    assert np.diff(unwrap(headers(counts, [5, 5, 5, 5]))).tolist() == [1, 1, 1]


def test_a_clock_that_is_set_back_does_not_lose_ten_thousand_packets():
    assert np.diff(unwrap(headers([10, 11, 12, 13], [100.0, 101.0, 100.5, 102.0]))).tolist() == [1, 1, 1]


def test_the_same_count_much_later_is_another_packet():
    near, far = unwrap(headers([7, 7], [100, 130])), unwrap(headers([7, 7], [100, 9000]))
    assert near[0] == near[1]
    assert far[1] - far[0] == 16384


def test_unsynchronised_packets_come_first():
    """Their seconds are larger than those of the clock that was set later."""
    both = Headers.concatenate([headers([5], [10]), headers([4], [2**30], synchronised=False)])
    assert np.diff(unwrap(both)).tolist() == [-1]


def test_streams_are_apart():
    both = Headers.concatenate(
        [headers([5], [10]), headers([6], [10], apid=1500), headers([6], [10], origin=1)]
    )
    assert np.abs(np.diff(unwrap(both))).min() > 2**30
    assert len(unwrap(headers([], []))) == 0


@given(st.sets(st.integers(0, 60), min_size=2), st.lists(st.integers(0, 60)))
def test_missing_is_what_nobody_has(own, others):
    """Against counting one by one."""
    ours = np.array(sorted(own), dtype=np.int64)
    seen = np.concatenate([ours, np.array(others, dtype=np.int64)])
    found = missing_between(ours[:-1], ours[1:], seen)
    expected = [len(set(range(a + 1, b)) - set(others)) for a, b in itertools.pairwise(ours)]
    assert found.tolist() == expected
