"""Intervals as people write them."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import TimeError
from stixlab.timing.intervals import as_text, read_interval, read_time


@pytest.mark.parametrize(
    "text", ["2021-06-06", "2021-06-06T00:00", "2021-06-06 00:00:00", " 2021-06-06T00:00:00.0Z "]
)
def test_a_time_may_be_written_in_the_usual_ways(text):
    assert read_time(text) == np.datetime64("2021-06-06", "ns")


@pytest.mark.parametrize(
    "text", ["", "june", "2021-6-6", "2021-13-01", "2021-02-30", "2021-06-06T25:00", "06.06.2021", "NaT"]
)
def test_a_mistyped_time_is_answered_with_what_was_expected_and_found(text):
    with pytest.raises(TimeError, match=r"start: expected a UTC time such as 2021-06-06.*found") as caught:
        read_time(text, name="start")
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["1999-01-01", "2100-01-01"])
def test_a_time_outside_the_mission_is_refused(text):
    with pytest.raises(TimeError, match="from 2020"):
        read_time(text)


def test_an_interval_without_an_end_is_a_day():
    interval = read_interval("2021-06-06T12:00", "")
    assert interval.duration_s == 86_400
    assert as_text(interval.end) == "2021-06-07T12:00:00"


def test_an_end_before_the_start_is_refused():
    with pytest.raises(TimeError, match="after the start, 2021-06-07; found 2021-06-06"):
        read_interval("2021-06-07", "2021-06-06")


def test_an_interval_that_is_too_long_is_refused_with_its_length():
    with pytest.raises(TimeError, match=r"at most 31 days .*found 365\.0"):
        read_interval("2021-01-01", "2022-01-01", longest_days=31)


def test_moving_keeps_the_length():
    moved = read_interval("2021-06-06", "2021-06-08").moved(-2)
    assert (as_text(moved.start), as_text(moved.end)) == ("2021-06-04", "2021-06-06")


def test_a_datetime_is_written_in_utc():
    zone = timezone(timedelta(hours=2))
    assert as_text(datetime(2021, 6, 6, 2, tzinfo=zone)) == "2021-06-06"
    assert as_text(datetime(2021, 6, 6, 2, tzinfo=UTC)) == "2021-06-06T02:00:00"


@given(st.integers(1_577_836_800_000, 4_102_444_799_999))
def test_what_is_written_is_read_back(milliseconds):
    """A link that the page writes shows the same view again."""
    time = np.datetime64(milliseconds, "ms").astype("datetime64[ns]")
    assert read_time(as_text(time)) == time
