import gzip
import json
from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from stixlab.datasets.registry import get_spec
from stixlab.ephemeris.clock import load_clock
from stixlab.errors import SchemaError
from stixlab.idb import load_versions
from stixlab.products.formats.fits import write_fits
from stixlab.products.formats.zarr import open_zarr, write_zarr
from stixlab.products.level1 import make_level1, merge
from stixlab.simulation import simulate
from stixlab.simulation.calibration import CalibrationSpectra, calibration_packets, simulate_calibration
from stixlab.simulation.sequences import Departure
from stixlab.telemetry.decode import decode, decode_all
from stixlab.telemetry.frames import SIMULATED_DESTINATION
from stixlab.telemetry.sources import read_packets
from stixlab.vocabulary import check
from tests.support.packets import read_hex
from tests.support.quicklooks import START, calibration, decoded

VERSIONS = load_versions()
SPID = 54124


def level1(*blocks):
    return make_level1(decoded(*blocks), load_clock(None), VERSIONS)


def made_of(spectra, origin="simulated"):
    """Level 1 of a run through its packets."""
    leave = Departure(spectra.start_s + spectra.duration_s + 2, destination=SIMULATED_DESTINATION)
    columns, _ = decode(calibration_packets(spectra, leave, VERSIONS), SPID, VERSIONS)
    (ds,) = make_level1(columns, load_clock(None), VERSIONS, origin=origin)
    return ds


def test_real_packet_equals_its_golden_values(real_data):
    """The last packet of a run: the third sub-spectrum of detector 26, pixel 4, and what follows."""
    block, _ = read_packets(read_hex(real_data, "21_6_41"), "21_6_41", VERSIONS)
    (columns,) = decode_all(block, VERSIONS)[0].values()
    (ds,) = make_level1(columns, load_clock(None), VERSIONS)
    with gzip.open(real_data / "telemetry" / "golden" / "hex.21_6_41.json.gz") as stream:
        golden = json.load(stream)["decompressed"]["NIX00158"]
    valid = ds.counts_valid.to_numpy()
    assert ds.counts.to_numpy()[valid].tolist() == np.ravel(golden["value"]).tolist()
    squared = ds.counts_compression_error.to_numpy()[valid].astype(np.float64) ** 2
    assert np.allclose(squared, np.ravel(golden["variance"]), rtol=1e-6)
    assert valid.any(axis=3)[0].sum() == 81
    assert np.argwhere(valid)[0].tolist() == [0, 25, 3, 225]
    assert ds.channel_bounds.to_numpy()[[0, 25, 225, 247]].tolist() == [
        [200, 202],
        [250, 251],
        [450, 474],
        [978, 1002],
    ]
    assert float(ds.live_time[0]) == pytest.approx(39_171.149)
    assert float(ds.quiet_time[0]) == pytest.approx(6 / 65536)
    assert float(ds.integration_time[0]) == 83_999
    check(ds, get_spec("cal-spectra"))


@pytest.mark.filterwarnings("ignore")
def test_counts_of_the_official_product_come_back(real_data):
    """A run of 2020-05-06 with one sub-spectrum of all 1024 channels: counts, live time, temperature.

    The official file holds the run twice, with two durations of a tenth of their value; its counts were put on new
    channels, so that not all of them are any that compression can give.
    """
    with fits.open(real_data / "cal" / "solo_L1_stix-cal-energy_20200506_V01.fits.gz", memmap=False) as hdus:
        data = {n: np.asarray(hdus["DATA"].data[n]) for n in ("counts",)}
        control = {n: np.asarray(hdus["CONTROL"].data[n]) for n in hdus["CONTROL"].data.names}
    assert (data["counts"][0] == data["counts"][1]).all()
    run = CalibrationSpectra(
        start_s=int(control["scet_coarse"][0]),
        duration_s=round(control["integration_time"][0] * 10),
        live_ms=int(control["live_time"][0]),
        counts=data["counts"][0].astype(np.int64),
        subspectra=((0, 1024, 1),),
    )
    ds = made_of(run)
    apart = np.abs(ds.counts.to_numpy()[0].astype(np.int64) - data["counts"][0])
    assert (apart <= ds.counts_compression_error.to_numpy()[0] * np.sqrt(3) + 1).all()
    assert (apart == 0).mean() > 0.99
    assert ds.counts_valid.to_numpy().all()
    assert float(ds.live_time[0]) * 1000 == pytest.approx(control["live_time"][0])
    assert 0.4 < float(ds.live_time[0] / ds.integration_time[0]) < 0.55
    assert float(ds.quiet_time[0]) == pytest.approx(control["quiet_time"][0], rel=1e-4), (
        "theirs is of 1/65535 s"
    )
    assert float(ds.temperature[0]) + 273.15 == pytest.approx(control["average_temperature"][0], abs=0.1)


def test_simulated_run_is_that_of_the_truth():
    """Every point within its compression error, none missing."""
    run = simulate_calibration(700_000_000, 43_200, 5)
    ds = made_of(run)
    assert ds.counts_valid.to_numpy().all()
    expected = np.concatenate([run.part(i) for i in range(3)], axis=-1)
    apart = np.abs(ds.counts.to_numpy()[0].astype(np.int64) - expected)
    # The error is that of a uniform spread: its end lies sqrt(3) away, and half a count.
    assert (apart <= ds.counts_compression_error.to_numpy()[0] * np.sqrt(3) + 1).all()
    assert float(ds.integration_time[0]) == 43_200
    assert int(ds.scet_coarse[0]) == 700_000_000


def test_simulated_day_has_one_run_with_lines_where_gain_and_offset_say(tmp_path):
    truth = simulate("2022-03-01", "2022-03-02", out=tmp_path, flares=[], what=("calibration",))
    block, _ = read_packets(truth.files[0].read_bytes(), "day", VERSIONS)
    columns, _ = decode(block, SPID, VERSIONS)
    (ds,) = make_level1(columns, load_clock(None), VERSIONS, origin="simulated")
    (known,) = truth.calibrations
    assert ds.sizes["time"] == 1
    assert int(ds.counts.sum()) == pytest.approx(known.total_counts, rel=0.01)
    summed = ds.counts.isel(time=0, channel=ds.subspectrum == 2).sum(["detector", "pixel"])
    for low, high, energy in ((270, 310, 30.85), (400, 430, 81.0)):
        near = summed[(summed.channel > low) & (summed.channel < high)]
        line = float(near.channel[int(near.to_numpy().argmax())])
        assert line == pytest.approx(known.mean_offset + known.mean_gain * energy, abs=1.5)
    assert str(ds.time_bounds.to_numpy()[0, 0])[:19] == known.start[:19]


def test_files_hold_what_the_dataset_holds(tmp_path):
    three = ((25, 2, 200), (200, 1, 250), (23, 24, 450))
    codes = [np.random.default_rng(i).integers(0, 250, p[0]) for i, p in enumerate(three)]
    (ds,) = level1(calibration([(4, 2, i, c) for i, c in enumerate(codes)], mask=7, subspectra=three))
    write_zarr(ds, tmp_path / "z")
    xr.testing.assert_identical(open_zarr(tmp_path / "z").load(), ds)
    write_fits(ds, tmp_path / "a.fits", version=1, created=datetime(2024, 1, 1, tzinfo=UTC))
    with fits.open(tmp_path / "a.fits", checksum=True, memmap=False) as hdus:
        hdus.verify("exception")
        data, control = hdus["DATA"].data, hdus["CONTROL"].data
        assert (data["counts"] == ds.counts.to_numpy()).all()
        assert (data["counts_comp_err"] == ds.counts_compression_error.to_numpy()).all()
        assert data["live_time"][0] == ds.live_time[0]
        assert data["average_temperature"][0] == pytest.approx(float(ds.temperature[0]) + 273.15)
        assert control["subspec_num_points"][0].tolist() == [25, 200, 23, 1, 1, 1, 1, 1]
        assert control["subspec_num_summed_channel"][0].tolist() == [2, 1, 24, 1, 1, 1, 1, 1]
        assert control["subspec_lowest_channel"][0].tolist() == [200, 250, 450, 0, 0, 0, 0, 0]
        assert control["subspectrum_mask"][0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
        assert control["integration_time"][0] == 3600


def test_runs_merge_and_other_sub_spectra_do_not():
    (one,) = level1(calibration([(0, 0, 0, [1, 2, 3, 4])]))
    (two,) = level1(calibration([(0, 0, 0, [5, 6, 7, 8])], coarse=START + 90_000))
    merged = merge([two, one])
    assert merged.counts.to_numpy()[:, 0, 0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    (other,) = level1(calibration([(0, 0, 0, [1, 2, 3, 4])], subspectra=((4, 2, 200),)))
    with pytest.raises(
        SchemaError, match=r"channel bounds .* adu in all parts; part 2 .* different channels"
    ):
        merge([one, other])
