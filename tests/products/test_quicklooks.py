import gzip
import json
from datetime import UTC, datetime

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from stixlab.datasets.registry import BUILDERS, get_spec
from stixlab.ephemeris.clock import load_clock
from stixlab.errors import SchemaError
from stixlab.idb import load_versions
from stixlab.products.formats.fits import write_fits
from stixlab.products.formats.zarr import open_zarr, write_zarr
from stixlab.products.level1 import make_level1, merge, split_days
from stixlab.products.quicklooks import flare_rows
from stixlab.simulation import simulate
from stixlab.simulation.reencode import reencode
from stixlab.telemetry.decode import decode_all
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.sources import read_packets
from stixlab.vocabulary import check
from tests.support.packets import read_hex
from tests.support.quicklooks import START, background, decoded, flare_flags, flare_list, spectra, variance

VERSIONS = load_versions()
PRODUCTS = {spid: BUILDERS[21, 6, ssid].product for spid, ssid in
            {54119: 31, 54120: 32, 54121: 33, 54122: 34, 54124: 41, 54144: 43}.items()}  # fmt: skip


def level1(*blocks, origin="flight"):
    return make_level1(decoded(*blocks), load_clock(None), VERSIONS, origin=origin)


def of_file(path, clock, origin="flight"):
    """Level 1 of all structures of a telemetry file, by product."""
    block, _ = read_packets(path.read_bytes(), path.name, VERSIONS)
    columns, _ = decode_all(block, VERSIONS, keep_trailing=True)
    return {
        PRODUCTS[spid]: merge(make_level1(c, clock, VERSIONS, origin=origin))
        for spid, c in columns.items()
        if spid in PRODUCTS
    }


@pytest.fixture(scope="module")
def official(real_data, tmp_path_factory):
    """A quicklook product of 2020-05-06 as published, and what we make of the packets that it stood in."""
    clock, folder = load_clock(real_data / "spice" / "stix_min.tm"), tmp_path_factory.mktemp("reencoded")

    def read(name):
        path = real_data / "l1" / "ql" / f"solo_L1_stix-ql-{name}_20200506_V01.fits"
        with fits.open(path, memmap=False) as hdus:
            data, header = hdus["DATA"].data, hdus[0].header
            begin = np.datetime64(header.get("DATE-BEG", header.get("DATE_BEG")), "ms")
            data = {n: np.asarray(data[n]) for n in data.names}
        order = np.argsort(data["time"], kind="stable")
        data = {n: v[order] for n, v in data.items()}
        data["utc"] = begin + (data["time"].ravel().astype(np.int64) * 10).astype("timedelta64[ms]")
        made = of_file(reencode(path, out=folder, clock=clock).file, clock, "reencoded")[f"ql-{name}"]
        return data, made

    return read


def assert_same_times(ds, utc):
    """UTC of the first bin, and steps of the on-board clock: theirs takes on-board seconds for those of UTC."""
    assert abs(ds.time.to_numpy()[0] - utc[0]) < np.timedelta64(1, "ms")
    scet = (ds.scet_coarse.to_numpy().astype(np.int64) << 16) + ds.scet_fine.to_numpy()
    apart = (scet - scet[0]) / 65536 - (utc - utc[0]).astype(np.int64) / 1000
    assert np.abs(apart).max() < 0.011


@pytest.mark.filterwarnings("ignore")
def test_background_equals_the_official_product(official):
    data, ds = official("background")
    assert ds.sizes["time"] == len(data["time"])
    assert (ds.counts.to_numpy() == data["counts"]).all()
    assert (ds.counts_compression_error.to_numpy() == data["counts_err"]).all()
    assert (ds.triggers.to_numpy() == data["triggers"].ravel()).all()
    assert (ds.triggers_error.to_numpy() == data["triggers_err"].ravel()).all()
    assert_same_times(ds, data["utc"])
    assert ds.energy_bounds.to_numpy()[-1].tolist() == [50, 150]
    check(ds, get_spec("ql-background"))


@pytest.mark.filterwarnings("ignore")
def test_variance_equals_the_official_product(official):
    data, ds = official("variance")
    assert (ds.variance.to_numpy()[:, 0] == data["variance"].ravel()).all()
    assert (ds.variance_error.to_numpy()[:, 0] == data["variance_err"].ravel()).all()
    assert_same_times(ds, data["utc"])
    check(ds, get_spec("ql-variance"))


@pytest.mark.filterwarnings("ignore")
def test_variance_is_that_of_the_counts_above_25_kev(official, real_data):
    """Which end of the energy mask is channel 0: of chance counts, the sum of squared differences is their number.

    Others label these values 4 to 20 keV; there were some 330 counts in a bin of 4 s, and no such variation.
    """
    _, ds = official("variance")
    assert ds.energy_bounds.to_numpy().tolist() == [[25, 150]]
    assert set(ds.energy_mask.to_numpy().tolist()) == {0x7FFE0000}, "as in the real packet of 2020-11-22"
    path = real_data / "l1" / "ql" / "solo_L1_stix-ql-lightcurve_20200506_V01.fits"
    with fits.open(path, memmap=False) as hdus:
        counts = np.asarray(hdus["DATA"].data["counts"])
    above = np.median(counts[:, 3] + counts[:, 4])
    below = np.median(counts[:, 0] + counts[:, 1] + 0.5 * counts[:, 2])
    assert np.median(ds.variance) == pytest.approx(above, rel=0.1)
    assert np.median(ds.variance) > 7 * below


@pytest.mark.filterwarnings("ignore")
def test_flare_flag_equals_the_official_product(official):
    data, ds = official("flareflag")
    for name, column in (
        ("thermal_index", "thermal_index"),
        ("non_thermal_index", "non_thermal_index"),
        ("location_status", "location_status"),
        ("location_y", "loc_y"),
        ("location_z", "loc_z"),
    ):
        assert (ds[name].to_numpy() == data[column].ravel()).all(), name
    assert set(ds.integration_time.to_numpy().tolist()) == {1020.0}
    assert_same_times(ds, data["utc"])
    assert not ds.flare_in_progress_valid.to_numpy().any(), "not sent before 2020-05-18"


@pytest.mark.filterwarnings("ignore")
def test_each_official_spectrum_stands_at_its_detector_and_its_own_time(official):
    """The official rows are 32 samples in the order of the packets: the first four are 1024 s older than the others.

    Of packets that follow the first of a block the official file lacks rows and has wrong times.
    """
    data, ds = official("spectra")
    valid, n = ds.counts_valid.to_numpy(), data["detector_index"].size
    assert valid.sum() == n

    def as_rows(detector, counts, error, triggers, triggers_error):
        columns = (detector, counts.reshape(n, 32), error.reshape(n, 32), triggers, triggers_error)
        table = np.column_stack([np.asarray(c, dtype=np.float64) for c in columns])
        return table[np.lexsort(table.T)]

    counts = (ds.counts, ds.counts_compression_error, ds.triggers, ds.triggers_error)
    ours = as_rows(np.nonzero(valid)[1], *(v.to_numpy()[valid] for v in counts))
    names = ("detector_index", "spectra", "spectra_err", "triggers", "triggers_err")
    theirs = as_rows(*(data[c] if data[c].ndim > 2 else data[c].ravel() for c in names))
    assert np.allclose(ours, theirs, rtol=1e-6)
    passed = data["num_integrations"].astype(np.int64)
    kept = np.flatnonzero((np.diff(passed, axis=1) >= 0).all(axis=1))
    assert len(kept) > 5
    later = (passed - passed[:, :1])[kept] * 32_000
    utc = data["utc"][kept, None] + later.astype("timedelta64[ms]")
    row = np.abs(ds.time.to_numpy()[:, None] - utc.ravel()).argmin(axis=0).reshape(utc.shape)
    assert np.abs(ds.time.to_numpy()[row] - utc).max() < np.timedelta64(200, "ms")
    assert (ds.counts.to_numpy()[row, data["detector_index"][kept]] == data["spectra"][kept]).all()
    check(ds, get_spec("ql-spectra"))


@pytest.mark.parametrize(
    ("name", "product", "parameters"),
    [
        ("21_6_31", "ql-background", {"NIX00278": "counts", "NIX00274": "triggers"}),
        ("21_6_33", "ql-variance", {"NIX00281": "variance"}),
    ],
)
def test_real_packet_equals_its_golden_values(real_data, name, product, parameters):
    """Decompressed values and variances of the official pipeline."""
    block, _ = read_packets(read_hex(real_data, name), name, VERSIONS)
    (columns,) = decode_all(block, VERSIONS)[0].values()
    (ds,) = make_level1(columns, load_clock(None), VERSIONS)
    with gzip.open(real_data / "telemetry" / "golden" / f"hex.{name}.json.gz") as stream:
        golden = json.load(stream)["decompressed"]
    assert ds.attrs["product"] == product
    for parameter, variable in parameters.items():
        error = ds["counts_compression_error" if variable == "counts" else f"{variable}_error"]
        assert ds[variable].to_numpy().T.ravel().tolist() == np.ravel(golden[parameter]["value"]).tolist()
        squared = error.to_numpy().T.ravel().astype(np.float64) ** 2
        assert np.allclose(squared, np.ravel(golden[parameter]["variance"]), rtol=1e-6)


def test_real_spectra_packet_equals_its_golden_values(real_data):
    """104 samples: 8 detectors of a first time, all of three more."""
    block, _ = read_packets(read_hex(real_data, "21_6_32"), "21_6_32", VERSIONS)
    (columns,) = decode_all(block, VERSIONS)[0].values()
    (ds,) = make_level1(columns, load_clock(None), VERSIONS)
    with gzip.open(real_data / "telemetry" / "golden" / "hex.21_6_32.json.gz") as stream:
        golden = json.load(stream)["decompressed"]
    valid = ds.counts_valid.to_numpy()
    assert valid.sum(axis=1).tolist() == [8, 32, 32, 32]
    assert not valid[0, :24].any()
    expected = np.stack([np.ravel(golden[f"NIX00{452 + i}"]["value"]) for i in range(32)], axis=1)
    assert (ds.counts.to_numpy()[valid] == expected).all()
    assert ds.triggers.to_numpy()[valid].tolist() == np.ravel(golden["NIX00484"]["value"]).tolist()
    assert (ds.counts.to_numpy()[~valid] == 0).all()


def test_real_empty_flare_list_keeps_the_counters(real_data):
    """It leaves 8 spare bits at the end."""
    block, _ = read_packets(read_hex(real_data, "21_6_43"), "21_6_43", VERSIONS)
    (columns,) = decode_all(block, VERSIONS, keep_trailing=True)[0].values()
    (ds,) = make_level1(columns, load_clock(None), VERSIONS)
    assert int(ds.selected_data_counter[0]) == 13_628_124
    assert not ds.flare_valid.to_numpy().any()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Three hours with a large and a small flare: truth and level 1 by product."""
    flares = [("2022-03-01T01:00", 60_000.0), ("2022-03-01T02:15", 3_000.0)]
    truth = simulate(
        "2022-03-01", "2022-03-01T03:00", out=tmp_path_factory.mktemp("truth"), flares=flares, what=("quicklook",)
    )  # fmt: skip
    return truth, of_file(truth.files[0], load_clock(), "simulated")


def test_simulated_products_are_as_declared_and_without_a_gap(simulated):
    _, made = simulated
    assert set(made) == set(PRODUCTS.values()) - {"cal-spectra"}
    for name, ds in made.items():
        check(ds, get_spec(name))
        assert ds.attrs["origin"] == "simulated"
    for name, step in (("ql-background", 8), ("ql-variance", 4), ("ql-flareflag", 4)):
        assert made[name].sizes["time"] == 10_800 // step
        assert (np.diff(made[name].scet_coarse.to_numpy().astype(int)) == step).all()
    assert made["ql-spectra"].counts_valid.to_numpy().all()
    assert (np.diff(made["ql-spectra"].scet_coarse.to_numpy().astype(int)) == 1024).all()


def test_simulated_flares_are_flagged_listed_and_seen_where_they_are(simulated):
    truth, made = simulated
    flags, listed = made["ql-flareflag"], made["ql-tmstatusflarelist"]
    for flare in truth.flares:
        at = flags.sel(time=np.datetime64(flare.peak[:23], "ns"), method="nearest")
        assert int(at.flare_in_progress) == 1
        assert (int(at.location_y), int(at.location_z)) == flare.location_arcmin
    assert int(listed.n_flares[0]) == len(truth.flares)
    peaks = np.array([f.peak[:23] for f in truth.flares], dtype="datetime64[ns]")
    shown = listed.isel(time=0, flare=slice(0, len(peaks)))
    assert (shown.flare_start.to_numpy() < peaks).all()
    assert (shown.flare_end.to_numpy() > peaks).all()
    assert shown.location_y.to_numpy().tolist() == [f.location_arcmin[0] for f in truth.flares]


def test_simulated_counts_are_those_of_the_truth(simulated):
    """Quiet counts of the monitor within their chance, spectra of a detector, variance that grows in a flare."""
    truth, made = simulated
    peak = np.datetime64(truth.flares[0].peak[:23], "ns")
    quiet = made["ql-background"].sel(time=slice("2022-03-01T00:00", "2022-03-01T00:20"))
    n = quiet.sizes["time"]
    expected = np.array([5.0, 53.0, 61.0, 123.0, 16.0])
    assert (np.abs(quiet.counts.mean("time") - expected) < 5 * np.sqrt(expected / n) + 1).all()
    calm = made["ql-spectra"].isel(time=0, energy=slice(1, 28)).counts.to_numpy()
    per_detector = sum(truth.background) * 8 / 30
    assert calm.sum(axis=1).mean() == pytest.approx(per_detector, rel=0.1)
    variation = made["ql-variance"].variance[:, 0]
    flare = variation.sel(time=slice(peak - np.timedelta64(30, "s"), peak + np.timedelta64(30, "s")))
    assert float(flare.mean()) > 1.2 * float(
        variation.sel(time=slice("2022-03-01T00:00", "2022-03-01T00:20")).mean()
    )


BLOCKS = {
    "ql-background": lambda c, s: background(np.random.default_rng(s).integers(0, 200, (9, 5)), coarse=c),
    "ql-spectra": lambda c, s: spectra(
        range(32), [0] * 32, np.random.default_rng(s).integers(0, 200, (32, 32)), coarse=c
    ),
    "ql-variance": lambda c, s: variance(np.random.default_rng(s).integers(0, 200, 9), coarse=c),
    "ql-flareflag": lambda c, s: flare_flags([1, 2, s % 5], progress=[0, 1, 1], coarse=c),
    "ql-tmstatusflarelist": lambda c, s: flare_list([(1, 2, s, 3, 4, 5, 6)] * (s % 3), sent=c),
}


@pytest.mark.parametrize("product", BLOCKS)
def test_order_repetition_and_grouping_of_packets_do_not_matter(product):
    blocks = [BLOCKS[product](START + 2048 * i, i) for i in range(5)]
    (whole,) = level1(*blocks)
    (again,) = level1(*blocks[::-1], blocks[2])
    xr.testing.assert_identical(whole, again)
    parts = [level1(*blocks[3:])[0], level1(*blocks[:4])[0]]
    xr.testing.assert_identical(merge(parts), whole)
    xr.testing.assert_identical(merge([p for _, p in split_days(whole)]), whole)


@pytest.mark.parametrize("product", BLOCKS)
def test_files_hold_what_the_dataset_holds(product, tmp_path):
    """Zarr gives it back; each declared FITS column has its values."""
    (ds,) = level1(*(BLOCKS[product](START + 2048 * i, i) for i in range(5)))
    write_zarr(ds, tmp_path / "z")
    xr.testing.assert_identical(open_zarr(tmp_path / "z").load(), ds)
    write_fits(ds, tmp_path / "a.fits", version=1, created=datetime(2024, 1, 1, tzinfo=UTC))
    with fits.open(tmp_path / "a.fits", checksum=True, memmap=False) as hdus:
        hdus.verify("exception")
        data, control = hdus["DATA"].data, hdus["CONTROL"].data
        assert len(control) == len(np.unique(data["control_index"]))
        along = {str(n): v.to_numpy() for n, v in ds.variables.items() if "time" in v.dims}
        if product == "ql-tmstatusflarelist":
            row, along = flare_rows(along)
            assert (data["control_index"] == row).all()
        for field in get_spec(product).fields:
            if field.fits_name:
                values = along[field.name]
                assert (data[field.fits_name].reshape(values.shape) == values).all(), field.name
        if product == "ql-variance":
            assert np.flatnonzero(control["energy_bin_mask"][0]).tolist() == list(range(17, 31))
            assert len(hdus["ENERGIES"].data) == 32


def test_scaled_triggers_are_those_of_one_accumulator_and_zero_where_not_received():
    """(0, 0, 7) stands for scaling: (code + 1/2) 30 n, with n the tenths of a second."""
    codes = np.zeros((2, 5))
    (ds,) = level1(background(codes, triggers=[0, 10], triggers_scheme=(0, 0, 7)))
    assert ds.triggers.to_numpy().tolist() == [0.5 * 30 * 80, 10.5 * 30 * 80]
    assert ds.triggers_error.to_numpy().tolist() == [0.5 * 30 * 80] * 2
    (ds,) = level1(spectra([3], [0], triggers=[10], triggers_scheme=(0, 0, 7)))
    assert ds.triggers.to_numpy()[0, 3] == 10.5 * 30 * 320
    assert ds.triggers.to_numpy().sum() == 10.5 * 30 * 320
    assert ds.triggers_error.to_numpy().sum() == 0.5 * 30 * 320


def test_lists_of_flares_become_rows_and_an_empty_list_one_row():
    (ds,) = level1(
        flare_list([(1, 2, 3, 4, 5, 6, 7), (8, 9, 10, 11, 12, 13, 14)]), flare_list([], sent=START + 60)
    )
    row, arrays = flare_rows({str(n): v.to_numpy() for n, v in ds.variables.items() if "time" in v.dims})
    assert row.tolist() == [0, 0, 1]
    assert arrays["flare_start_scet"].tolist() == [1, 8, 0]
    assert arrays["science_data_counter"].tolist() == [1, 1, 1]
    assert arrays["n_flares"].tolist() == [2, 2, 0]


def test_other_bands_do_not_merge():
    (one,), (other,) = level1(variance([1])), level1(variance([1], energy_mask=0x7FFE))
    with pytest.raises(SchemaError, match="energy bounds 25 150 keV in all parts; part 2 has 4 20 keV"):
        merge([one, other])


def test_no_packets_give_no_dataset():
    block = PacketBlock.concatenate([background(np.zeros((0, 5)))])
    assert make_level1(decoded(block), load_clock(None), VERSIONS) == []
