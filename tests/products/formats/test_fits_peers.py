"""Our files in the programs of others: stixpy, its time series in sunpy, and stixdcpy.

They run in a process of their own, since they change settings of the packages that they use.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stixlab.ephemeris import load_ephemerides
from stixlab.products.formats.fits import fits_name, request_fits_name, write_fits
from stixlab.products.formats.fits_dialects import read_fits
from tests.support.fits_products import CREATED, PRODUCTS, REQUESTS
from tests.support.housekeeping import real_report
from tests.support.requests import CLOCK

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("programs of others")]
READERS = Path(__file__).parents[2] / "support" / "peer_readers.py"
CLASSES = {
    "ql-lightcurve": "QLLightCurve",
    "ql-background": "QLBackground",
    "ql-variance": "QLVariance",
    "ql-flareflag": "QLFlareFlag",
    "ql-tmstatusflarelist": "QLTMStatusFlareList",
    "hk-mini": "HKMini",
    "hk-maxi": "HKMaxi",
    "sci-xray-rpd": "RawPixelData",
    "sci-xray-cpd": "CompressedPixelData",
    "sci-xray-scpd": "SummedCompressedPixelData",
    "sci-xray-spec": "Spectrogram",
    # It has no class for these; they are read as they are.
    "ql-spectra": "GenericProduct",
    "cal-spectra": "GenericProduct",
    "sci-aspect-burst": "GenericProduct",
}
"""Its class for visibilities cannot be made from any file: its own reader gives it an argument that it does not take."""
SERIES = {
    "ql-lightcurve": "QLLightCurve",
    "ql-background": "QLBackground",
    "ql-variance": "QLVariance",
    "hk-maxi": "HKMaxi",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory, real_data):
    """What each program says of our file, by program and product; and the datasets that were written."""
    folder = tmp_path_factory.mktemp("peers")
    datasets = {name: make() for name, make in PRODUCTS.items()}
    datasets |= {f"hk-{kind}": real_report(real_data, sid=sid) for kind, sid in (("mini", 1), ("maxi", 2))}
    paths = {name: write(ds, folder) for name, ds in datasets.items()}
    asked = [("product", name) for name in CLASSES] + [("timeseries", name) for name in SERIES]
    asked += [
        ("pixel_data", "sci-xray-cpd"),
        ("pixel_data", "sci-xray-rpd"),
        ("spectrogram", "sci-xray-spec"),
    ]
    command = [sys.executable, "-P", str(READERS)]
    command += [word for kind, name in asked for word in (kind, str(paths[name]))]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=folder, env=environment
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    said = json.loads(ran.stdout.splitlines()[-1])
    return dict(zip(asked, said, strict=True)), datasets


def write(ds, folder):
    product, bounds = ds.attrs["product"], ds.time_bounds.to_numpy()
    if product in REQUESTS:
        which = {n: ds.attrs[n] for n in ("request_id", "tc_sequence")}
        name = request_fits_name(product, bounds.min(), bounds.max(), 1, **which)
    else:
        name = fits_name(product, bounds.min(), 1)
    keywords = load_ephemerides().keywords(bounds.min(), bounds.max())
    write_fits(ds, folder / name, version=1, created=CREATED, keywords=keywords)
    assert read_fits(folder / name, CLOCK).equals(ds)
    return folder / name


def seconds(text, time):
    return abs(np.datetime64(text.replace(" ", "T")[:29], "ns") - time) / np.timedelta64(1, "s")


@pytest.mark.parametrize("product", CLASSES)
def test_stixpy_reads_the_product(answers, product):
    said, datasets = answers
    ds, found = datasets[product], said["product", product]
    assert "error" not in found, found["error"]
    assert found["type"] == CLASSES[product]
    assert found["level"] == "L1"
    n_rows = ds.sizes["time"]
    if product == "ql-tmstatusflarelist":
        n_rows = int(np.maximum(ds.n_flares, 1).sum())
    assert found["n_times"] == n_rows
    if found["first"]:
        assert seconds(found["first"], ds.time.to_numpy()[0]) < 0.002
    if "time_range" in found:
        assert seconds(found["time_range"][1], ds.time_bounds.to_numpy()[-1, 1]) < 0.002


@pytest.mark.parametrize("product", ["sci-xray-cpd", "sci-xray-scpd", "sci-xray-spec"])
def test_stixpy_makes_rates_of_the_counts(answers, product):
    said, datasets = answers
    ds, found = datasets[product], said["product", product]
    assert found["sum"] == float(ds.counts.sum())
    assert found["finite"]
    assert found["rate_shape"][0] == ds.sizes["time"]
    assert found["rate_shape"][-1] == ds.sizes["energy"]
    assert found["seconds"] == pytest.approx(float(ds.integration_time.sum()))
    assert found["low_edge"] == float(ds.energy_bounds[0, 0])


@pytest.mark.parametrize("product", SERIES)
def test_sunpy_makes_a_time_series_of_it(answers, product):
    said, datasets = answers
    ds, found = datasets[product], said["timeseries", product]
    assert "error" not in found, found["error"]
    assert found["type"] == SERIES[product]
    assert found["n_times"] == ds.sizes["time"]
    assert seconds(found["first"], ds.time.to_numpy()[0]) < 0.002
    if product in {"ql-lightcurve", "ql-background"}:
        assert found["sums"]["triggers"] == float(ds.triggers.sum())
        assert sum("keV" in c for c in found["columns"]) == 2 * ds.sizes["energy"]
    elif product == "ql-variance":
        # It divides by length and width: 4 s and 125 keV; the name of the band is right.
        assert found["sums"]["25-150 keV"] == pytest.approx(float(ds.variance.sum()) / 500)
    else:
        kelvin = ds.temperature_dpu_board.to_numpy().astype(float) + 273.15
        assert found["sums"]["hk_dpu_pcb_t"] == pytest.approx(kelvin.sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("program", "product"),
    [("pixel_data", "sci-xray-cpd"), ("pixel_data", "sci-xray-rpd"), ("spectrogram", "sci-xray-spec")],
)
def test_stixdcpy_reads_and_corrects_the_request(answers, program, product):
    """Counts, request and its live time, which is by the same constants as ours.

    It asks for the compression error of raw counts as well, which the official files have no column for.
    """
    said, datasets = answers
    ds, found = datasets[product], said[program, product]
    assert "error" not in found, found["error"]
    assert found["n_times"] == ds.sizes["time"]
    assert found["sum"] == float(ds.counts.sum())
    assert found["request_id"] == ds.attrs["request_id"]
    live = ds.livetime_fraction.to_numpy()[ds.livetime_valid.to_numpy()]
    assert found["live_ratio"][0] == pytest.approx(live.min(), rel=1e-4)
    if program == "spectrogram":
        assert 0 < found["n_cropped"] < ds.sizes["time"]
    else:
        assert found["total"] >= float(ds.counts[:-1].sum())
