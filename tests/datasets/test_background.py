import numpy as np
import pytest

from stixlab.datasets.background import BACKGROUND_L0, build_background
from stixlab.datasets.bins import Bins
from stixlab.datasets.report import BuildReport
from stixlab.ephemeris.clock import load_clock
from stixlab.vocabulary import check
from tests.support.columns import EDGE_MASK, random_codes
from tests.support.quicklooks import background, decoded


def build(*blocks):
    report = BuildReport()
    return build_background(decoded(*blocks), load_clock(None), report), report


def test_bins_of_a_packet_stand_in_time_order_with_all_bands():
    codes = random_codes(1, 7)
    (ds,), report = build(background(codes, triggers=range(7)))
    assert (ds.counts_code.to_numpy() == codes).all()
    assert ds.triggers_code.to_numpy().tolist() == list(range(7))
    assert ds.energy_bounds.to_numpy().tolist() == [[4, 10], [10, 15], [15, 25], [25, 50], [50, 84]]
    assert (np.diff(ds.scet_coarse.to_numpy()) == 8).all()
    assert set(ds.integration_time.to_numpy().tolist()) == {8.0}
    assert not report.n_packets
    check(ds, BACKGROUND_L0)


def test_packets_of_different_length_and_energies():
    first, second, three = random_codes(1, 4), random_codes(2, 9), random_codes(3, 2, 3)
    datasets, _ = build(
        background(first),
        background(three, coarse=664_140_000, edge_mask=sum(1 << e for e in (1, 7, 12, 17))),
        background(second, coarse=664_147_000),
    )
    assert [ds.sizes["time"] for ds in datasets] == [2, 13]
    assert (datasets[0].counts_code.to_numpy() == three).all()
    assert (datasets[1].counts_code.to_numpy() == np.concatenate([first, second])).all()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"triggers": [80] * 3}, "triggers differ in number from the counts"),
        ({"points_per_band": [4, 4, 4, 3, 5]}, "light curves of the bands differ in length"),
        ({"edge_mask": EDGE_MASK | 1}, "energy edge mask does not fit the number of bands"),
        ({"scheme": (1, 4, 3)}, "compression scheme is signed or wider than 8 bits"),
        ({"triggers_scheme": (0, 5, 4)}, "compression scheme is signed or wider than 8 bits"),
        ({"synchronised": False}, "on-board time is not synchronised"),
        ({"coarse": 664_146_000 | 1 << 31}, "on-board time is not synchronised"),
    ],
)
def test_faulty_packet_is_reported_and_the_others_are_kept(fault, reason):
    good = random_codes(1, 4)
    (ds,), report = build(background(random_codes(2, 4), **fault), background(good, coarse=664_150_000))
    assert (ds.counts_code.to_numpy() == good).all()
    assert report.as_document() == {reason: {"packets": 1, "first_offsets_bytes": [0]}}


def test_empty_packets_are_dropped_silently():
    datasets, report = build(background(np.zeros((0, 5))), background(np.zeros((0, 5)), synchronised=False))
    assert datasets == []
    assert not report.n_packets


def test_bins_of_chosen_packets_in_any_order():
    """The fast way for equal lengths and the general one give the same."""
    codes = [random_codes(i, 5) for i in range(3)]
    columns = decoded(*[background(c, coarse=664_140_000 + 100 * i) for i, c in enumerate(codes)])
    lengths = np.full(3, 5)
    everything = Bins.of(columns, np.arange(3), lengths)
    assert (everything.rows("NIX00278", 5) == np.concatenate(codes)).all()
    some = Bins.of(columns, np.array([2, 0]), lengths)
    assert (some.rows("NIX00278", 5) == np.concatenate([codes[2], codes[0]])).all()
    assert some.step.tolist() == [*range(5), *range(5)]
    assert len(some) == 10
