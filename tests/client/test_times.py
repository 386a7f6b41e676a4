"""On-board time and UTC as users ask for them: by which clock, and how good the answer is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.client.times import convert_time
from stixlab.ephemeris import load_clock
from stixlab.errors import TimeError
from stixlab.timing import FINE_PER_SECOND, parse_scet, parse_utc

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


def test_a_kernel_that_ends_before_is_named_and_so_is_what_is_better(kernel) -> None:
    within, beyond = (convert_time(t, kernel) for t in ("2020-08-01", "2024-03-01"))
    assert (within.kind, within.better) == ("kernel", None)
    assert within.accuracy_s < 0.01
    assert (beyond.clock, beyond.kind) == (kernel.source, "kernel")
    assert beyond.accuracy_s > 1
    assert beyond.best.clock == CLOCK.source
    assert beyond.best.kind == "pairs"
    assert abs(parse_scet(beyond.best.scet)[0] - parse_scet(beyond.scet)[0]) > 3
    assert CLOCK.source in str(beyond)
    assert beyond.as_document()["better"]["kind"] == "pairs"


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
