"""On-board time: conversions both ways, texts, and the edges of the clock."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import TimeError
from stixlab.timing import (
    ClockTable,
    bin_ticks,
    format_scet,
    format_utc,
    normalise_scet,
    parse_scet,
    parse_time,
    parse_utc,
)

CLOCK = ClockTable(
    ticks=np.array([0, 600_000_000 * 65536, 650_000_000 * 65536]),
    tt_ns=np.array([-43_135_816_000_000, 599_957_884_184_000_000, 649_957_964_184_000_000]),
    rate=np.array([1.0000017, 1.0000016, 1.0000018]),
    source="made for tests",
    accuracy_s=0.0,
)


def test_the_clock_begins_with_the_year_2000() -> None:
    """SCET 0 is 2000-01-01T00:00:00 UTC: 32 leap seconds and 32.184 s before -43135.816 s TT."""
    assert CLOCK.to_utc(0, 0) == np.datetime64("2000-01-01T00:00:00")


@given(st.integers(0, 2**32 - 1), st.integers(0, 65535))
def test_times_come_back_to_the_tick(coarse: int, fine: int) -> None:
    """A tick is 15 microseconds, far above rounding; leap seconds repeat and are left out."""
    utc = CLOCK.to_utc(coarse, fine)
    # a second before a leap second has two on-board times
    if any(
        abs((utc - np.datetime64(day)) / np.timedelta64(1, "s")) < 2
        for day in ("2006-01-01", "2009-01-01", "2012-07-01", "2015-07-01", "2017-01-01")
    ):
        return
    assert [int(x) for x in CLOCK.to_scet(utc)] == [coarse, fine]


def test_arrays_of_any_shape_and_length() -> None:
    """More than one piece of work, several pieces of the clock, two dimensions."""
    coarse = np.linspace(590_000_000, 670_000_000, 100_000).astype(np.uint32).reshape(10, -1)
    utc = CLOCK.to_utc(coarse, 7)
    assert utc.shape == coarse.shape
    assert utc.dtype == np.dtype("datetime64[ns]")
    for i in (0, 4_999, 9_999):
        assert utc[3, i] == CLOCK.to_utc(coarse[3, i], 7)
    back, fine = CLOCK.to_scet(utc)
    assert np.array_equal(back, coarse)
    assert (fine == 7).all()
    assert CLOCK.to_utc(np.zeros(0, dtype=np.uint32)).shape == (0,)


def test_times_before_the_clock_have_no_scet() -> None:
    """Nothing is clipped silently."""
    with pytest.raises(TimeError, match="on-board time"):
        CLOCK.to_scet(np.datetime64("1999-12-31"))
    with pytest.raises(TimeError, match="on-board time"):
        CLOCK.to_scet(np.datetime64("2190-01-01"))
    with pytest.raises(TimeError, match="on-board time"):
        normalise_scet(0, -1)
    assert [int(x) for x in normalise_scet(5, 65536 + 3)] == [6, 3]


def test_a_clock_that_goes_back_is_refused() -> None:
    """A damaged kernel must not give times."""
    with pytest.raises(TimeError, match="ascending"):
        ClockTable(np.array([0, 0]), np.array([0, 1]), np.array([1.0, 1.0]), "x", 0.0)
    with pytest.raises(TimeError, match="as many"):
        ClockTable(np.array([0]), np.array([0, 1]), np.array([1.0]), "x", 0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-06-06", "2021-06-06T00:00:00"),
        ("20210606", "2021-06-06T00:00:00"),
        ("2021-06-06T12", "2021-06-06T12:00:00"),
        ("2021-06-06 12:34", "2021-06-06T12:34:00"),
        ("2021-06-06T12:34:56.789Z", "2021-06-06T12:34:56.789"),
        ("20210606T123456", "2021-06-06T12:34:56"),
        ("2021-06-06T12:34:56.123456789012", "2021-06-06T12:34:56.123456789"),
        ("2021-06-06T14:00:00+02:00", "2021-06-06T12:00:00"),
        (" 2021-06-06T00:30-0130 ", "2021-06-06T02:00:00"),
    ],
)
def test_utc_is_read_as_people_write_it(text: str, expected: str) -> None:
    """A date alone is its midnight; a zone is taken into account."""
    assert parse_utc(text) == np.datetime64(expected, "ns")
    assert parse_time(text, CLOCK) == np.datetime64(expected, "ns")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2021-13-01",
        "2021-02-30",
        "2021-06-06T25:00",
        "06/06/2021",
        "1969-01-01",
        "2300-01-01",
        "2021-06-06T12:00:61",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """With the text in the message."""
    with pytest.raises(TimeError) as error:
        parse_time(text, CLOCK)
    assert repr(text) in str(error.value)


def test_on_board_times_are_read_in_three_forms() -> None:
    """As in product headers, whole seconds, decimal."""
    assert parse_scet("0664148503:10710") == (664148503, 10710)
    assert parse_scet("664148503") == (664148503, 0)
    assert parse_scet("664148503.5") == (664148503, 32768)
    assert parse_scet("664148503.999999") == (664148504, 0)
    assert parse_time("664148503:10710", CLOCK) == CLOCK.to_utc(664148503, 10710)
    for wrong in ("664148503:65536", "4294967296", "5:1:2", "x"):
        with pytest.raises(TimeError, match="on-board time"):
            parse_scet(wrong)
    assert format_scet(664148503, 710) == "0664148503:00710"


def test_times_are_written_in_one_way() -> None:
    """Rounded, not cut; ending in Z."""
    time = np.datetime64("2021-06-06T12:34:56.789999999", "ns")
    assert format_utc(time) == "2021-06-06T12:34:56.790000Z"
    assert format_utc(time, digits=3) == "2021-06-06T12:34:56.790Z"
    assert format_utc(time, digits=0) == "2021-06-06T12:34:57Z"
    assert format_utc(time, digits=9) == "2021-06-06T12:34:56.789999999Z"
    with pytest.raises(TimeError, match="NaT"):
        format_utc(np.datetime64("NaT"))


def test_the_compiled_clock_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the nanosecond: random, ascending, and around pieces and leap seconds."""
    random = np.random.default_rng(1)
    leaps = (
        CLOCK.to_scet(np.array(["2006-01-01", "2017-01-01"], dtype="datetime64[ns]"))[0].astype(np.int64)
        << 16
    )
    near = np.concatenate([CLOCK.ticks, leaps])[:, None] + np.arange(-200_000, 200_000, 997)
    ticks = np.concatenate([random.integers(0, 2**48, 5000), np.sort(near[near >= 0]), np.zeros(1, np.int64)])
    found = []
    for compiled in (False, True):
        monkeypatch.setattr("stixlab.timing.scet.is_worth_calling", lambda _, c=compiled: c)
        found.append(CLOCK.ticks_to_utc(ticks))
    assert np.array_equal(found[0], found[1])


def test_bins_follow_each_other_from_the_start_of_their_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle of each; packets without bins, and both ways of computing."""
    for compiled in (False, True):
        monkeypatch.setattr("stixlab.timing.scet.is_worth_calling", lambda _, c=compiled: c)
        ticks = bin_ticks(np.array([0, 5, 655360]), np.array([2, 0, 3]), np.array([40, 1, 1]))
        assert ticks.tolist() == [131072, 393216, 655360 + 3276, 655360 + 9830, 655360 + 16384]
