"""On-board time and UTC from several sources: which one answers, and how good it says it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.ephemeris import load_clock
from stixlab.ephemeris.clock import read_sclk
from stixlab.ephemeris.correlation import EDDS, KERNEL, PAIRS, Clocks, clock_from_edds, clock_from_pairs
from stixlab.errors import TimeError
from stixlab.timing import parse_scet

# Begins and ends of published products, UTC and on-board time; not all of them are in the table shipped.
PUBLISHED = [
    ("2021-06-06T23:59:58.914", "676339129:45616"),
    ("2022-11-11T12:12:12.377", "721483785.7000077"),
    ("2024-03-08T20:32:35.235", "763244934.3000076"),
]


@pytest.fixture
def kernel(real_data: Path):
    return read_sclk(real_data / "spice" / "solo_ANC_soc-sclk_20200922_V01.tsc")


def test_a_kernel_answers_for_its_time_and_pairs_behind_it(kernel) -> None:
    clocks = Clocks.of(kernel)
    answer = clocks.to_utc([645_000_000, parse_scet(PUBLISHED[1][1])[0]])
    assert answer.kind.tolist() == [KERNEL, PAIRS]
    assert answer.source.tolist() == [kernel.source, load_clock().source]
    assert answer.accuracy_s[0] == kernel.accuracy_s
    assert answer.utc[0] == kernel.to_utc(645_000_000)


def test_a_joined_clock_is_taken_apart_again(real_data: Path, kernel) -> None:
    """As `load_clock` gives it: the same answers as of its parts."""
    asked = [645_000_000, 655_000_000, parse_scet(PUBLISHED[1][1])[0], 900_000_000]
    joined, apart = Clocks.of(load_clock(real_data / "spice" / "stix_min.tm")), Clocks.of(kernel)
    for name in ("utc", "accuracy_s", "source", "kind"):
        assert getattr(joined.to_utc(asked), name).tolist() == getattr(apart.to_utc(asked), name).tolist(), (
            name
        )


@pytest.mark.parametrize(("utc", "scet"), PUBLISHED)
def test_published_products_lie_within_what_each_source_says(kernel, utc: str, scet: str) -> None:
    """Also the kernel of 2020, continued to 2024: 12.6 s off, and it says so."""
    coarse, fine = parse_scet(scet)
    ticks = np.array(coarse * 65536 + fine)
    for source in Clocks.of(kernel).sources:
        off = abs(source.table.ticks_to_utc(ticks) - np.datetime64(utc, "ns")) / np.timedelta64(1, "s")
        assert off <= float(source.accuracy_s(ticks)), source.table.source
    best = Clocks.of(kernel).to_utc(coarse, fine)
    assert abs(best.utc - np.datetime64(utc, "ns")) < np.timedelta64(50, "ms")


def true_utc(coarse: np.ndarray) -> np.ndarray:
    """A clock that loses 1.7e-6, as on board."""
    since = (coarse - 760_000_000) * 1.0000017
    return np.datetime64("2024-02-01", "ns") + np.rint(since * 1e9).astype("timedelta64[ns]")


def test_pairs_of_packets_make_a_clock(kernel) -> None:
    """As from the headers of the control centre: between and shortly behind them to a millisecond."""
    coarse = np.arange(760_000_000, 760_400_000, 601, dtype=np.uint32)
    source = clock_from_edds(coarse, np.zeros_like(coarse), true_utc(coarse))
    assert source.kind == EDDS
    asked = np.arange(760_000_000, 760_450_000, 997)
    off = np.abs(source.table.to_utc(asked) - true_utc(asked)) / np.timedelta64(1, "s")
    assert off.max() < 0.002
    assert (off <= source.accuracy_s(asked * 65536)).all()
    assert source.accuracy_s(np.array([770_000_000 * 65536]))[0] > 1


def test_times_that_cannot_count_do_not() -> None:
    coarse = np.arange(760_000_000, 760_400_000, 601, dtype=np.uint32)
    utc = true_utc(coarse)
    good = np.arange(len(coarse)) % 3 > 0
    utc[1::2] = np.where(good[1::2], utc[1::2], np.datetime64("NaT"))
    utc[~good & ~np.isnat(utc)] += np.timedelta64(300, "s")
    source = clock_from_edds(coarse, np.zeros_like(coarse), utc, synchronised=good)
    assert np.abs(source.table.to_utc(coarse) - true_utc(coarse)).max() < np.timedelta64(1, "ms")


def test_the_order_of_trust_holds_and_within_it_the_better_counts(kernel) -> None:
    coarse = np.arange(645_000_000, 645_400_000, 601, dtype=np.uint32)
    utc = kernel.to_utc(coarse)
    edds = clock_from_edds(coarse, np.zeros_like(coarse), utc + np.timedelta64(1, "ms"))
    pairs = clock_from_pairs(coarse.astype(np.int64) * 65536, utc, source="products of 2020-06")
    asked = 645_200_000
    assert Clocks((edds, pairs)).to_utc(asked).kind == PAIRS
    assert Clocks.of(kernel, edds, pairs).to_utc(asked).kind == KERNEL
    without = Clocks.of(load_clock(), edds, pairs)
    assert str(without.to_utc(asked).source) == "products of 2020-06"
    assert str(without.to_utc(700_000_000).source) == load_clock().source
    assert Clocks((edds,)).to_utc(900_000_000).accuracy_s > 10


@given(st.integers(600_000_000, 900_000_000), st.integers(0, 65535))
def test_there_and_back(coarse: int, fine: int) -> None:
    clocks = Clocks.of(load_clock())
    there = clocks.to_utc(coarse, fine)
    back = clocks.to_scet(there.utc)
    assert abs(int(back.coarse) * 65536 + int(back.fine) - coarse * 65536 - fine) <= 1
    assert str(back.source) == str(there.source)


def test_pairs_of_two_clocks_are_refused() -> None:
    coarse = np.arange(760_000_000, 760_400_000, 30_000, dtype=np.int64)
    utc = true_utc(coarse)
    utc[5] += np.timedelta64(1, "h")
    with pytest.raises(TimeError, match=r"odd one.*expected pairs of one clock"):
        clock_from_pairs(coarse * 65536, utc, source="odd one")


def test_too_few_pairs_are_no_clock() -> None:
    for n in (0, 1, 3):
        coarse = 760_000_000 + np.arange(n, dtype=np.int64)
        with pytest.raises(TimeError, match="at least 6 hours apart"):
            clock_from_pairs(coarse * 65536, true_utc(coarse), source="few")
    with pytest.raises(TimeError, match="at least one source"):
        Clocks(())
    with pytest.raises(TimeError, match="expected 0 to"):
        Clocks.of(load_clock()).to_utc(-5)


def test_real_packet_times_make_a_clock_that_agrees_with_the_kernel(real_data: Path, kernel) -> None:
    """Auxiliary products hold pairs, too: a row a minute; against the pairs of the table shipped."""
    from astropy.io import fits

    ticks, utc = [], []
    for path in sorted((real_data / "aux").glob("*2022*.fits")):
        with fits.open(path) as hdus:
            control = hdus["CONTROL"].data
            ticks.append(control["scet_coarse"].astype(np.int64) * 65536 + control["scet_fine"])
            utc.append(np.array([t[:26] for t in hdus["DATA"].data["time_utc"]], dtype="datetime64[ns]"))
    source = clock_from_pairs(np.concatenate(ticks), np.concatenate(utc), source="aux")
    asked = np.arange(721_300_000, 721_700_000, 5000)
    clocks = Clocks.of(kernel, source)
    assert set(clocks.to_utc(asked).source.tolist()) == {"aux"}
    apart = np.abs(source.table.to_utc(asked) - load_clock().to_utc(asked))
    assert apart.max() < np.timedelta64(60, "ms")
