import numpy as np

from stixlab.datasets.onboard_flares import FLARE_LIST_L0, N_LISTED, build_flare_list
from stixlab.datasets.report import BuildReport
from stixlab.ephemeris.clock import load_clock
from stixlab.vocabulary import check
from tests.support.quicklooks import decoded, flare_list

FLARES = [(664_100_000, 664_100_300, 2, 5000, -3, 4, 8), (664_120_000, 664_121_000, 4, 9000, 12, -7, 0x80)]


def build(*blocks):
    report = BuildReport()
    return build_flare_list(decoded(*blocks), load_clock(None), report), report


def test_each_report_has_its_flares_at_the_first_places():
    (ds,), report = build(flare_list(FLARES, ubsd=77), flare_list([], sent=664_150_000, pald=5))
    assert ds.n_flares.to_numpy().tolist() == [2, 0]
    assert ds.flare_valid.to_numpy().sum(axis=1).tolist() == [2, 0]
    assert ds.flare_valid.to_numpy()[0, :3].tolist() == [True, True, False]
    first = ds.isel(time=0, flare=slice(0, 2))
    assert first.location_z.to_numpy().tolist() == [-3, 12]
    assert first.location_y.to_numpy().tolist() == [4, -7]
    assert first.processing_status.to_numpy().tolist() == [8, 0x80]
    assert first.telemetry_volume.to_numpy().tolist() == [5000, 9000]
    assert first.highest_flag.to_numpy().tolist() == [2, 4]
    assert ds.science_data_counter.to_numpy().tolist() == [77, 1]
    assert ds.selected_data_counter.to_numpy().tolist() == [2, 5]
    assert not report.n_packets
    check(ds, FLARE_LIST_L0)


def test_times_of_flares_are_utc_at_the_spacecraft():
    (ds,), _ = build(flare_list(FLARES))
    expected = load_clock(None).to_utc(np.array([f[:2] for f in FLARES]))
    assert (ds.flare_start.to_numpy()[0, :2] == expected[:, 0]).all()
    assert (ds.flare_end.to_numpy()[0, :2] == expected[:, 1]).all()
    assert (ds.time.to_numpy() == ds.time_bounds.to_numpy()[:, 0]).all()


def test_a_long_list_has_its_place():
    """A packet has room for 215 flares."""
    many = [(i, i + 1, 0, i, 0, 0, 1) for i in range(215)]
    (ds,), _ = build(flare_list(many))
    assert ds.telemetry_volume.to_numpy()[0, :215].tolist() == list(range(215))
    assert ds.sizes["flare"] == N_LISTED
    assert ds.flare_valid.to_numpy().sum() == 215


def test_unsynchronised_reports_are_noted():
    (ds,), report = build(flare_list(FLARES, synchronised=False), flare_list([], sent=664_150_000))
    assert ds.sizes["time"] == 1
    assert list(report.as_document()) == ["on-board time is not synchronised"]
    assert build(flare_list(FLARES, synchronised=False))[0] == []
