"""On-board time and UTC as users ask for them: by which clock, and how good the answer is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from stixlab.client.places import Places
from stixlab.client.times import ConvertedTimes, convert_time, convert_times
from stixlab.ephemeris import load_clock
from stixlab.errors import TimeError
from stixlab.timing import FINE_PER_SECOND, format_utc, parse_scet, parse_utc

CLOCK = load_clock()


@pytest.fixture
def kernel(real_data: Path):
    return load_clock(real_data / "spice" / "stix_min.tm")


def test_times_both_ways_say_how_good_they_are() -> None:
    answer = convert_time("664146182:58990", CLOCK)
    assert str(answer.utc)[:23] == "2021-01-16T21:03:51.361"
    assert answer.clock == CLOCK.source
    assert answer.accuracy_s == CLOCK.accuracy_s
    assert convert_time(answer.utc, CLOCK).scet == "0664146182:58990"


@given(st.integers(636_000_000, 1_000_000_000), st.integers(0, 65535))
def test_there_and_back_is_the_same_time(coarse: int, fine: int) -> None:
    there = convert_time(f"{coarse}:{fine}", CLOCK)
    assert (there.given, there.converted) == ("scet", there.utc)
    back = convert_time(there.utc, CLOCK)
    assert back.given == "utc"
    ticks = [c * FINE_PER_SECOND + f for c, f in (parse_scet(back.scet), (coarse, fine))]
    assert abs(ticks[0] - ticks[1]) <= 1


@pytest.mark.parametrize(
    "time",
    [
        "2021-06-06T12:00:00Z",
        datetime(2021, 6, 6, 12, tzinfo=UTC),
        np.datetime64("2021-06-06T12:00"),
        np.array("2021-06-06T12:00", dtype="datetime64[s]"),
    ],
)
def test_utc_comes_in_every_form(time) -> None:
    assert convert_time(time, CLOCK).utc == "2021-06-06T12:00:00.000000Z"


@pytest.mark.parametrize(
    "text", ["01/02/2022", "2021-6-6", "noon", "", "2021-13-01", "664146182:70000", "1e9"]
)
def test_what_can_be_read_in_two_ways_or_none_is_refused(text: str) -> None:
    with pytest.raises(TimeError, match=r"expected.*found"):
        convert_time(text, CLOCK)
    with pytest.raises(TimeError, match="expected one time"):
        convert_time(["2021-06-06", "2021-06-07"], CLOCK)


def test_behind_a_kernel_that_ends_before_the_table_answers(kernel) -> None:
    """The kernel of 2020 alone would be 12.6 s off."""
    within, beyond = (convert_time(t, kernel) for t in ("2020-08-01", "2024-03-01"))
    assert (within.clock, within.kind, within.better) == (
        "solo_ANC_soc-sclk_20200922_V01.tsc",
        "kernel",
        None,
    )
    assert within.accuracy_s < 0.01
    assert (beyond.clock, beyond.kind, beyond.better) == (CLOCK.source, "pairs", None)
    assert beyond.accuracy_s == CLOCK.accuracy_s
    assert beyond.scet == convert_time("2024-03-01", CLOCK).scet
    assert CLOCK.source in str(beyond)
    assert beyond.as_document()["kind"] == "pairs"


class Packets:
    """Files of the control centre of two days in 2030: a clock that shows ten seconds more than the table says."""

    def __init__(self) -> None:
        start = parse_utc("2030-01-01")
        self.utc = start + np.arange(0, 2 * 86_400, 600) * np.timedelta64(1, "s")
        coarse, fine = CLOCK.to_scet(self.utc)
        self.arrays = {
            "scet_coarse": (coarse + 10).astype(np.uint32),
            "scet_fine": fine,
            "generation_time": self.utc.astype("datetime64[us]"),
            "synchronised": np.ones(len(coarse), dtype=np.uint8),
        }
        self.asked: dict = {}
        self.raw_files = SimpleNamespace(find=self.find)

    def find(self, **conditions):
        self.asked = conditions
        return [SimpleNamespace(sha256="a"), SimpleNamespace(sha256="b")]

    def has_packets(self, sha256: str) -> bool:
        return sha256 == "a"

    def open_packets(self, _sha256: str):
        return self.arrays


def test_behind_kernel_and_table_the_times_of_the_packets_answer() -> None:
    packets = Packets()
    found = convert_time("2030-01-02", CLOCK, catalog=packets, archive=packets)
    assert packets.asked["origin"] == "flight"
    assert (found.kind, found.best.kind) == ("pairs", "edds")
    assert parse_scet(found.best.scet)[0] - parse_scet(found.scet)[0] == 10
    assert found.best.accuracy_s < 0.1 < found.accuracy_s


def test_within_the_table_the_packets_are_not_asked() -> None:
    packets = Packets()
    assert convert_time("2021-06-06", CLOCK, catalog=packets, archive=packets).better is None
    assert packets.asked == {}


def test_packets_of_an_hour_say_nothing_about_the_rate() -> None:
    packets = Packets()
    packets.arrays = {n: a[:6] for n, a in packets.arrays.items()}
    assert convert_time("2030-01-01T01:00", CLOCK, catalog=packets, archive=packets).better is None


def in_text(arrays: ConvertedTimes, i: int) -> tuple:
    return (
        format_utc(arrays.utc[i]),
        arrays.scet[i],
        arrays.clock[i],
        arrays.kind[i],
        round(float(arrays.accuracy_s[i]), 9),
    )


@pytest.mark.parametrize("with_kernel", [False, True])
def test_many_are_each_as_one(kernel, with_kernel) -> None:
    clock = kernel if with_kernel else CLOCK
    moments = ["2020-08-01", "2021-06-06T12:00:01.5", "2024-03-01"]
    scets = [convert_time(t, clock).scet for t in moments]
    for times in (moments, np.array(moments, dtype="datetime64[ms]"), scets, np.array(scets)):
        found = convert_times(times, clock)
        ones = [convert_time(t, clock) for t in (moments if found.given == "utc" else scets)]
        assert (found.better is None) is all(one.better is None for one in ones)
        for i, one in enumerate(ones):
            for many, single in ((found, one), (found.best, one.best)):
                assert in_text(many, i) == (
                    single.utc,
                    single.scet,
                    single.clock,
                    single.kind,
                    round(single.accuracy_s, 9),
                )


def lab() -> Places:
    places = Places()
    places.clock = CLOCK
    return places


def test_arrays_are_converted_as_single_times() -> None:
    utc = np.datetime64("2021-06-06", "ns") + np.arange(6).reshape(2, 3) * np.timedelta64(4001, "ms")
    scet = lab().to_scet(utc)
    assert scet.shape == (2, 3)
    assert [str(s) for s in scet.ravel()] == [lab().to_scet(t) for t in utc.ravel()]
    back = lab().to_utc(scet)
    assert back.dtype == "datetime64[ns]"
    assert abs(back - utc).max() < np.timedelta64(20, "us")
    coarse, fine = (np.array([parse_scet(s) for s in scet.ravel()])[:, i].reshape(2, 3) for i in (0, 1))
    for same in (
        lab().to_utc(coarse, fine),
        lab().to_utc(coarse + fine / 65536),
        lab().to_utc(scet.tolist()),
        lab().to_utc(xr.DataArray(coarse, dims=("a", "b")), xr.DataArray(fine, dims=("a", "b"))),
    ):
        np.testing.assert_array_equal(same, back)
    assert lab().to_utc(scet[0, 0]) == back[0, 0]
    assert isinstance(lab().to_utc("676217671:1"), np.datetime64)
    assert isinstance(lab().to_scet("2021-06-06"), str)
    assert lab().to_scet(xr.DataArray(utc[0], dims="time")).tolist() == scet[0].tolist()
    assert lab().to_utc([]).shape == (0,)


@pytest.mark.parametrize(
    "wrong",
    [
        [-1],
        [2.0**32],
        [float("nan")],
        ["noon"],
        "noon",
        np.array(["2021-06-06"], dtype="datetime64[s]"),
        [None],
    ],
)
def test_what_is_no_on_board_time_is_told(wrong) -> None:
    with pytest.raises(TimeError, match="on-board time: expected"):
        lab().to_utc(wrong)


def test_some_in_utc_and_some_on_board_are_refused() -> None:
    with pytest.raises(TimeError, match="found both"):
        convert_times(["2021-06-06", "664146182:58990"], CLOCK)
    with pytest.raises(TimeError, match="expected"):
        lab().to_scet(["2021-06-06", "x"])
    with pytest.raises(TimeError, match="whole numbers"):
        lab().to_utc([1.5], [2.5])


def test_a_clock_that_was_not_synchronised_is_told() -> None:
    text = f"{(1 << 31) + 664_146_182}:58990"
    found = convert_time(text, CLOCK)
    assert not found.synchronised
    assert found.scet == text
    assert found.utc == convert_time("664146182:58990", CLOCK).utc
    assert "not synchronised: the top bit" in str(found)
    assert "accurate to" not in str(found)
    assert found.as_document()["accuracy_s"] is None
    many = convert_times([text, "664146182:58990"], CLOCK)
    assert many.synchronised.tolist() == [False, True]
    assert np.isinf(many.accuracy_s).tolist() == [True, False]
    with pytest.warns(UserWarning, match="1 of 2 on-board times: not synchronised"):
        utc = lab().to_utc([text, "664146182:58990"])
    assert utc[0] == utc[1]
