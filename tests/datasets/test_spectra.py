import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.datasets.report import BuildReport
from stixlab.datasets.spectra import SPECTRA_L0, build_spectra
from stixlab.ephemeris.clock import load_clock
from stixlab.vocabulary import check
from tests.support.examples import examples
from tests.support.quicklooks import START, decoded, spectra

ALL = np.arange(32)


def build(*blocks):
    report = BuildReport()
    return build_spectra(decoded(*blocks), load_clock(None), report), report


def random_spectra(seed, n):
    return np.random.default_rng(seed).integers(1, 200, (n, 32), dtype=np.uint8)


def cut(codes, sizes, *, start=START, ticks=0):
    """Packets of given sizes out of rows of all detectors, one row each 1024 s; `ticks` later from packet to packet."""
    blocks, first = [], 0
    number = np.repeat(np.arange(codes.shape[0]), 32)
    flat, detector = codes.reshape(-1, 32), np.tile(ALL, codes.shape[0])
    for i, size in enumerate(sizes):
        mine = slice(first, first + size)
        begin = number[mine][0]
        blocks.append(
            spectra(
                detector[mine],
                (number[mine] - begin) * 32,
                flat[mine],
                coarse=start + int(begin) * 1024,
                fine=100 + i * ticks,
            )
        )
        first += size
    return blocks


def test_all_detectors_of_a_time_are_one_row():
    codes = random_spectra(1, 64)
    (ds,), report = build(spectra([*ALL, *ALL], [0] * 32 + [32] * 32, codes, triggers=range(64)))
    assert (ds.counts_code.to_numpy() == codes.reshape(2, 32, 32)).all()
    assert ds.triggers_code.to_numpy().ravel().tolist() == list(range(64))
    assert ds.counts_valid.to_numpy().all()
    assert ds.detector.to_numpy().tolist() == list(range(1, 33))
    assert np.diff(ds.scet_coarse.to_numpy()).tolist() == [1024]
    length = ds.time_bounds.to_numpy()[:, 1] - ds.time_bounds.to_numpy()[:, 0]
    assert (length == np.timedelta64(32, "s")).all()
    assert ds.energy_bounds.to_numpy()[0].tolist() == [0, 4]
    assert ds.energy_bounds.to_numpy()[-1].tolist() == [150, np.inf]
    assert not report.n_packets
    check(ds, SPECTRA_L0)


def test_a_row_that_begins_in_one_packet_and_ends_in_the_next_is_one_row():
    """As packets of 104 samples come; each names its own start, some ticks away from a whole number of integrations."""
    codes = random_spectra(2, 8 * 32).reshape(8, 32, 32)
    (ds,), _ = build(*cut(codes, [104, 104, 48], ticks=3))
    assert (ds.counts_code.to_numpy() == codes).all()
    assert ds.counts_valid.to_numpy().all()
    assert (np.diff(ds.scet_coarse.to_numpy()) == 1024).all()


def test_what_was_not_received_is_marked_and_zero():
    codes = random_spectra(3, 8 * 32).reshape(8, 32, 32)
    blocks = cut(codes, [104, 104, 48])
    (ds,), _ = build(blocks[0], blocks[2])
    valid = ds.counts_valid.to_numpy()
    assert valid.sum() == 152
    assert valid[3].tolist() == [True] * 8 + [False] * 24
    assert (ds.counts_code.to_numpy()[~valid] == 0).all()
    assert (ds.triggers_code.to_numpy()[~valid] == 0).all()
    assert ds.sizes["time"] == 4 + 2


def test_other_integration_times_or_schemes_are_rows_of_their_own():
    (ds,), _ = build(
        spectra(ALL, [0] * 32, random_spectra(1, 32)),
        spectra(ALL, [0] * 32, random_spectra(2, 32), coarse=START + 1024, scheme=(0, 4, 4)),
        spectra(ALL, [0] * 32, random_spectra(3, 32), coarse=START + 2048, tenths=160),
    )
    assert ds.counts_scheme.to_numpy().tolist() == [53, 44, 53]
    assert ds.integration_time.to_numpy().tolist() == [32, 32, 16]


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.integers(1, 110), min_size=1, max_size=6), st.integers(0, 9), st.randoms())
def test_any_cut_and_order_of_the_packets_gives_the_same(sizes, ticks, random):
    total = sum(sizes)
    n_rows = -(-total // 32)
    codes = random_spectra(4, n_rows * 32).reshape(n_rows, 32, 32)
    blocks = cut(codes, sizes, ticks=ticks)
    (first,), _ = build(*blocks)
    random.shuffle(blocks)
    (again,), _ = build(*blocks, blocks[0])
    xr.testing.assert_identical(first, again)
    valid = np.arange(n_rows * 32).reshape(n_rows, 32) < total
    assert (first.counts_valid.to_numpy() == valid).all()
    assert (first.counts_code.to_numpy() == np.where(valid[..., None], codes, 0)).all()


def test_contradicting_packets_give_the_same_in_any_order():
    one, other = (spectra(ALL, [0] * 32, random_spectra(i, 32)) for i in (5, 6))
    (a,), _ = build(one, other)
    (b,), _ = build(other, one)
    xr.testing.assert_identical(a, b)
    assert a.sizes["time"] == 1


def test_special_channels_make_a_dataset_of_their_own():
    coarse, _ = load_clock(None).to_scet(np.array(["2023-08-10"], dtype="datetime64[ns]"))
    datasets, _ = build(spectra(ALL, [0] * 32, coarse=int(coarse[0])), spectra(ALL, [0] * 32))
    assert [float(ds.energy_bounds[2, 1]) for ds in datasets] == [6, 6.3]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"scheme": (1, 4, 3)}, "compression scheme is signed or wider than 8 bits"),
        ({"triggers_scheme": (0, 7, 2)}, "compression scheme is signed or wider than 8 bits"),
        ({"synchronised": False}, "on-board time is not synchronised"),
    ],
)
def test_faulty_packet_is_reported_and_the_others_are_kept(fault, reason):
    (ds,), report = build(spectra(ALL, [0] * 32, **fault), spectra(ALL, [0] * 32, coarse=START + 5000))
    assert ds.sizes["time"] == 1
    assert list(report.as_document()) == [reason]


def test_a_detector_that_there_is_not_is_reported():
    datasets, report = build(spectra([30, 31, 32], [0] * 3), spectra([0], [0], coarse=START + 99))
    assert datasets[0].counts_valid.to_numpy().sum() == 1
    assert list(report.as_document()) == ["detector number is above 31"]


def test_empty_packets_are_dropped_silently():
    datasets, report = build(spectra([], []))
    assert datasets == []
    assert not report.n_packets
