"""Simulated days: files to packets to datasets to flares, held against the truth."""

import json

import numpy as np
import pytest

from stixlab.analysis.flares import identify_flares
from stixlab.ephemeris.clock import load_clock
from stixlab.errors import ParameterError
from stixlab.idb import load_versions
from stixlab.products.level1 import make_level1
from stixlab.simulation import SolarFlare, demonstration, simulate
from stixlab.simulation.simulate import _draw
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.sources import Kind, read_packets, recognise

DAY = "2022-03-01"
LIGHT_CURVES = ("lightcurve", "housekeeping")
PRODUCTS = (54101, 54102, 54118)
"""Structures that datasets are made of."""


def blocks(truth):
    versions = load_versions()
    return [read_packets(p.read_bytes(), p.name, versions)[0] for p in truth.files]


def datasets(truth):
    """Level 1 datasets of all files, by product."""
    versions, clock = load_versions(), load_clock()
    block = PacketBlock.concatenate(blocks(truth))
    found = {}
    for spid in PRODUCTS:
        columns, status = decode(block.select(block.spid == spid), spid, versions)
        assert (status == Status.OK).all()
        (ds,) = make_level1(columns, clock, versions, origin="simulated")
        found[ds.attrs["product"]] = ds
    return found


def offset_s(flare, true):
    return abs(
        float(
            (np.datetime64(flare.peak.replace(tzinfo=None)) - np.datetime64(true.peak))
            / np.timedelta64(1, "s")
        )
    )


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    return simulate(DAY, "2022-03-02", out=tmp_path_factory.mktemp("day"), seed=3)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return demonstration(DAY, out=tmp_path_factory.mktemp("demo"))


def test_files_are_telemetry_of_two_kinds_and_say_that_they_are_simulated(day):
    assert [recognise(p.read_bytes(), p.name) for p in day.files] == [Kind.EDDS_TM, Kind.BINARY]
    assert all("SIMULATED" in p.name for p in day.files)
    for block in blocks(day):
        assert block.simulated.all()
        assert (block.status == Status.OK).all()
    assert sum(len(b) for b in blocks(day)) == day.n_packets


def test_a_day_has_all_its_bins_and_reports(day):
    found = datasets(day)
    light = found["ql-lightcurve"]
    assert light.sizes == {"time": 21_600, "energy": 5, "bound": 2}
    assert light["time_bounds"].values[0, 0] >= np.datetime64(DAY)
    assert light["time_bounds"].values[-1, 0] < np.datetime64("2022-03-02")
    assert np.array_equal(light["energy_bounds"].values.ravel()[[0, 1, 3, 5, 7, 9]], [4, 10, 15, 25, 50, 84])
    assert light.attrs["origin"] == "simulated"
    assert found["hk-maxi"].sizes["time"] == 1350
    assert found["hk-mini"].sizes["time"] in (168, 169)


def test_housekeeping_is_plausible(day):
    """Means of hk-maxi of 2020-05-01, within what a temperature cycle does."""
    maxi = datasets(day)["hk-maxi"]
    assert float(maxi["temperature_detector_q1"].mean()) == pytest.approx(-38, abs=1)
    assert float(maxi["temperature_detector_q1"].std()) > 0.3
    assert float(maxi["high_voltage_detectors_1_16"].mean()) == pytest.approx(-231, abs=6)
    assert float(maxi["voltage_dpu_1v5"].mean()) == pytest.approx(1.556, abs=0.01)
    assert set(np.unique(maxi["instrument_mode"])) == {5}
    assert float(maxi["archive_memory_usage"][0]) == pytest.approx(26.4)


def test_the_quiet_background_is_the_one_stated(day):
    light = datasets(day)["ql-lightcurve"]
    assert np.allclose(np.median(light["counts"], axis=0), day.background, rtol=0.08)


def test_sequence_counts_follow_each_other(day):
    """They are counted for each APID, whatever is sent on it."""
    for block in blocks(day):
        for apid in np.unique(block.apid):
            steps = np.diff(block.sequence_count[block.apid == apid].astype(int)) % 16_384
            assert set(steps.tolist()) == {1}, apid


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, day):
    again = simulate(DAY, "2022-03-02", out=tmp_path / "a", seed=3)
    other = simulate(DAY, "2022-03-02", out=tmp_path / "b", seed=4)
    assert [p.read_bytes() for p in again.files] == [p.read_bytes() for p in day.files]
    assert again.flares == day.flares
    assert [p.read_bytes() for p in other.files] != [p.read_bytes() for p in day.files]


@pytest.mark.parametrize("seed", [3, 11])
def test_the_true_flares_are_found_and_no_other(tmp_path, seed):
    truth = simulate(DAY, "2022-03-02", out=tmp_path, seed=seed)
    flares = identify_flares(datasets(truth)["ql-lightcurve"])
    assert len(truth.flares) >= 3
    for true in truth.flares:
        near = [f for f in flares if offset_s(f, true) < 30]
        assert len(near) == 1, true
    assert len([f for f in flares if f.significance > 5]) == len(truth.flares)


def test_over_many_days_nothing_is_missed_and_nothing_invented():
    """Counts only, no packets. Peak times of weak flares are uncertain by their noise: 30 s for 95 in 100."""
    from tests.support.flare_curves import T0, curve

    n_true, n_found, offsets = 0, 0, []
    for seed in range(15):
        sun = _draw(T0, T0 + np.timedelta64(1, "D"), seed)
        flares = identify_flares(curve(sun, minutes=1440, seed=seed))
        n_true += len(sun)
        n_found += len(flares)
        for true in sun:
            near = min(flares, key=lambda f, true=true: offset_s(f, true))
            offsets.append(offset_s(near, true))
    assert n_true > 80
    assert n_found == n_true
    assert max(offsets) < 90
    assert np.percentile(offsets, 95) < 30


def test_the_demonstration_has_seven_flares_all_found_the_largest_with_the_attenuator_in(shown):
    flares = identify_flares(datasets(shown)["ql-lightcurve"])
    assert len(flares) == len(shown.flares) == 7
    for flare, true in zip(flares, shown.flares, strict=True):
        assert offset_s(flare, true) < (30 if true.significance > 20 else 60)
        if not true.attenuator:
            assert flare.peak_counts - flare.background_counts == pytest.approx(true.size, rel=0.2)
            assert flare.signal_counts == pytest.approx(true.signal_counts, rel=0.12)
    assert [f.attenuator for f in flares] == [t.attenuator for t in shown.flares]
    assert sum(t.attenuator for t in shown.flares) == 1
    upper = [f.upper_band for f in flares]
    assert min(upper) == 0
    assert max(upper) == 4


def test_flares_can_be_given(tmp_path):
    given = [
        ("2022-03-01T01:00:00", 2000.0),
        SolarFlare(np.datetime64("2022-03-01T02:00", "ns"), 800.0, 30.0, 90.0),
    ]
    truth = simulate(DAY, "2022-03-01T03:00", out=tmp_path, flares=given)
    assert [(f.peak, f.size) for f in truth.flares] == [
        ("2022-03-01T01:00:00.000", 2000.0),
        ("2022-03-01T02:00:00.000", 800.0),
    ]
    flares = identify_flares(datasets(truth)["ql-lightcurve"])
    assert [offset_s(f, t) < 30 for f, t in zip(flares, truth.flares, strict=True)] == [True, True]


def test_no_flares_can_be_asked_for(tmp_path):
    truth = simulate(DAY, "2022-03-01T06:00", out=tmp_path, flares=[])
    assert truth.flares == ()
    assert identify_flares(datasets(truth)["ql-lightcurve"]) == []


def test_the_truth_is_written_where_asked_for(tmp_path):
    path = tmp_path / "elsewhere" / "truth.json"
    truth = simulate(DAY, "2022-03-01T12:00", out=tmp_path / "out", seed=3, truth=path)
    document = json.loads(path.read_text())
    assert document["origin"] == "simulated"
    assert [f["peak"] for f in document["flares"]] == [f.peak for f in truth.flares]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(document["files"])
    assert document == json.loads(json.dumps(truth.as_document()))


def test_one_kind_holds_all_packets_in_the_order_of_time(tmp_path):
    truth = simulate(DAY, "2022-03-01T02:00", out=tmp_path, kinds=["bin"], flares=[], what=LIGHT_CURVES)
    (block,) = blocks(truth)
    assert len(truth.files) == 1
    assert set(block.ssid.tolist()) == {1, 2, 30}
    assert np.all(np.diff(block.scet_coarse.astype(np.int64)) >= 0)


def test_several_days_give_files_a_day_and_report_the_progress(tmp_path):
    told = []
    truth = simulate(DAY, "2022-03-04", out=tmp_path, flares=[], progress=lambda *a: told.append(a))
    assert len(truth.files) == 6
    assert told == [("simulating", n, 3) for n in (1, 2, 3)]
    light = datasets(truth)["ql-lightcurve"]
    assert light.sizes["time"] == 64_800
    assert np.ptp(np.diff(light["time"].values).astype(int)) < 1_000_000, "no gap between the files"


def test_a_range_that_starts_within_a_day_is_whole(tmp_path):
    truth = simulate("2022-03-01T22:30:00", "2022-03-02T01:30:00", out=tmp_path, flares=[])
    light = datasets(truth)["ql-lightcurve"]
    assert light.sizes["time"] == 2700
    assert light["time_bounds"].values[0, 0] - np.datetime64("2022-03-01T22:30", "ns") < np.timedelta64(
        20, "us"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"end": "2022-02-01"}, "after the start"),
        ({"end": "2022-03-01T00:00:02"}, "at least 4 s"),
        ({"kinds": ["hex"]}, "xml, bin"),
        ({"kinds": []}, "none"),
        ({"what": ["quicklooks"]}, "lightcurve, quicklook, housekeeping"),
        ({"what": []}, "none"),
        ({"requests": ["pixels"]}, "pixel-data"),
        ({"seed": -1}, "0 or more"),
        ({"flares": [("2022-03-01T01:00", -5)]}, "above zero"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, change, words):
    arguments = {"start": DAY, "end": "2022-03-02"} | change
    with pytest.raises(ParameterError, match=words):
        simulate(arguments.pop("start"), arguments.pop("end"), out=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()
