import numpy as np
import pytest

from stixlab.datasets.quicklook import LIGHTCURVE_L0, build_lightcurve, pack_scheme, unpack_scheme
from stixlab.datasets.report import BuildReport
from stixlab.ephemeris.clock import load_clock
from stixlab.vocabulary import check
from tests.support.columns import EDGE_MASK, decoded, light_curve, random_codes


def build(*blocks):
    report = BuildReport()
    return build_lightcurve(decoded(*blocks), load_clock(None), report), report


def test_bins_of_a_packet_stand_in_time_order_with_all_bands():
    codes = random_codes(1, 7)
    (ds,), report = build(light_curve(codes, states=range(7), triggers=range(7)))
    assert (ds.counts_code.to_numpy() == codes).all()
    assert ds.triggers_code.to_numpy().tolist() == list(range(7))
    assert ds.rate_control_state.to_numpy().tolist() == list(range(7))
    assert not report.n_packets
    check(ds, LIGHTCURVE_L0)


def test_time_of_a_bin_is_its_middle_and_bounds_are_its_length_apart():
    (ds,), _ = build(light_curve(random_codes(1, 3), coarse=664_146_182, fine=58_990))
    start = load_clock(None).to_utc(ds.scet_coarse.to_numpy(), ds.scet_fine.to_numpy())
    bounds = ds.time_bounds.to_numpy()
    assert (bounds[:, 0] == start).all()
    assert (bounds[:, 1] - bounds[:, 0] == np.timedelta64(4, "s")).all()
    assert (ds.time.to_numpy() - start == np.timedelta64(2, "s")).all()
    assert ds.scet_coarse.to_numpy().tolist() == [664_146_182 + 4 * i for i in range(3)]


def test_short_bins_keep_the_on_board_clock_without_adding_up_rounding():
    """0.1 s are 6553.6 units of the clock: 100 bins are 10 s to the unit."""
    (ds,), _ = build(light_curve(random_codes(1, 101), coarse=664_146_182, fine=65_535, tenths=1))
    assert int(ds.scet_coarse[-1]) == 664_146_192
    assert int(ds.scet_fine[-1]) == 65_535
    assert float(ds.integration_time[0]) == np.float32(0.1)
    assert int(ds.scet_fine[1]) == (65_535 + 6554) % 65_536


def test_packets_of_different_length_go_into_one_dataset():
    first, second, third = random_codes(1, 4), random_codes(2, 9), random_codes(3, 4)
    blocks = [light_curve(c, coarse=664_146_182 + 100 * i) for i, c in enumerate((first, second, third))]
    (ds,), _ = build(*blocks)
    assert ds.sizes["time"] == 17
    order = np.argsort(ds.time.to_numpy())
    assert (ds.counts_code.to_numpy()[order] == np.concatenate([first, second, third])).all()


def test_packets_of_different_energies_go_into_datasets_apart():
    """Until 2020 the last band ended at 150 keV."""
    other = sum(1 << e for e in (1, 7, 12, 17, 23, 31))
    three = sum(1 << e for e in (1, 7, 12, 17))
    datasets, _ = build(
        light_curve(random_codes(1, 4), coarse=664_149_000),
        light_curve(random_codes(2, 4), coarse=664_146_000, edge_mask=other),
        light_curve(random_codes(3, 4, 3), coarse=664_147_000, edge_mask=three),
        light_curve(random_codes(4, 4), coarse=664_150_000),
    )
    assert [ds.energy_bounds.to_numpy()[-1, 1] for ds in datasets] == [150, 25, 84]
    assert [ds.sizes["time"] for ds in datasets] == [4, 4, 8]


def test_edges_of_a_special_period_are_those_of_its_time():
    """2023-08-10: other channels held, and with them another mask gave the same bands as always."""
    coarse, _ = load_clock(None).to_scet(np.array(["2023-08-10"], dtype="datetime64[ns]"))
    fine_mask = sum(1 << e for e in (1, 9, 12, 17, 23, 28))
    (ds,), _ = build(
        light_curve(random_codes(1, 2), coarse=int(coarse[0]), edge_mask=fine_mask),
        light_curve(random_codes(1, 2)),
    )
    assert ds.energy_bounds.to_numpy()[:, 0].tolist() == [4, 10, 15, 25, 50]
    assert set(ds.energy_edge_mask.to_numpy().tolist()) == {fine_mask, EDGE_MASK}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"triggers": [80] * 3}, "triggers or rate control states differ in number from the counts"),
        ({"states": [0] * 2}, "triggers or rate control states differ in number from the counts"),
        ({"states": []}, "triggers or rate control states differ in number from the counts"),
        ({"points_per_band": [4, 4, 4, 3, 5]}, "light curves of the bands differ in length"),
        ({"edge_mask": EDGE_MASK | 1}, "energy edge mask does not fit the number of bands"),
        ({"edge_mask": 0}, "energy edge mask does not fit the number of bands"),
        ({"scheme": (1, 4, 3)}, "compression scheme is signed or wider than 8 bits"),
        ({"scheme": (0, 5, 4)}, "compression scheme is signed or wider than 8 bits"),
        ({"synchronised": False}, "on-board time is not synchronised"),
        ({"coarse": 664_146_000 | 1 << 31}, "on-board time is not synchronised"),
    ],
)
def test_faulty_packet_is_reported_and_the_others_are_kept(fault, reason):
    good = random_codes(1, 4)
    (ds,), report = build(light_curve(random_codes(2, 4), **fault), light_curve(good, coarse=664_150_000))
    assert (ds.counts_code.to_numpy() == good).all()
    assert list(report.as_document()) == [reason]
    assert report.as_document()[reason] == {"packets": 1, "first_offsets_bytes": [0]}


def test_only_faulty_packets_give_no_dataset():
    datasets, report = build(light_curve(random_codes(2, 4), triggers=[1]))
    assert datasets == []
    assert report.n_packets == 1


def test_empty_packet_is_nothing_to_report():
    """Packets without a bin are legal and are dropped silently."""
    datasets, report = build(light_curve(np.zeros((0, 5))))
    assert datasets == []
    assert not report.n_packets


def test_scheme_is_readable_and_comes_back():
    assert pack_scheme(np.array([0]), np.array([5]), np.array([3])).tolist() == [53]
    assert unpack_scheme(53) == (0, 5, 3)
    assert unpack_scheme(134) == (1, 3, 4)
