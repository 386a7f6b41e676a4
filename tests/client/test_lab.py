"""The Python client: what `stixlab.connect()` gives."""

import numpy as np
import pytest

from stixlab.errors import ArchiveError, NotInCatalogError, ParameterError, SchemaError
from stixlab.simulation import simulate
from tests.support.chain import Chain, new_chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Chain:
    folder = tmp_path_factory.mktemp("lab")
    chain = new_chain(folder / "home")
    simulate("2026-05-05T22:00", "2026-05-06T02:00", out=folder / "files", seed=6)
    assert not chain.ingest(folder / "files").failed
    return chain


@pytest.fixture
def lab(chain):
    return chain.lab


def test_data_are_lazy_and_exactly_the_range(lab):
    start, end = np.datetime64("2026-05-05T23:00"), np.datetime64("2026-05-06T01:00")
    ds = lab.open("ql-lightcurve", str(start), str(end))
    assert all(hasattr(v.data, "dask") for v in ds.data_vars.values())
    assert ds.sizes == {"time": 1800, "energy": 5, "bound": 2}
    assert start <= ds.time.to_numpy().min() <= ds.time.to_numpy().max() < end
    assert (abs(np.diff(ds.time) - np.timedelta64(4, "s")) < np.timedelta64(1, "ms")).all()
    assert ds.attrs["origin"] == "simulated"
    assert ds.attrs["level"] == "L1"


def test_adjacent_ranges_share_no_bin_and_miss_none(lab):
    parts = [
        lab.open("ql-lightcurve", f"2026-05-05T{a}", f"2026-05-05T{b}")
        for a, b in (("22:30", "23:00"), ("23:00", "23:30"))
    ]
    whole = lab.open("ql-lightcurve", "2026-05-05T22:30", "2026-05-05T23:30")
    assert sum(p.sizes["time"] for p in parts) == whole.sizes["time"]


def test_without_a_range_it_is_the_last_day(lab):
    ds = lab.open("ql-lightcurve")
    assert ds.time.to_numpy()[-1] > np.datetime64("2026-05-06T01:59")


def test_housekeeping_is_in_physical_units(lab):
    ds = lab.open("hk-maxi", "2026-05-05", "2026-05-07")
    celsius = [n for n, v in ds.data_vars.items() if v.attrs["units"] in ("deg_C", "degC")]
    assert len(celsius) > 10
    assert all(-60 < float(ds[n].min()) <= float(ds[n].max()) < 100 for n in celsius)


def test_nothing_there_says_what_is_near(lab):
    with pytest.raises(NotInCatalogError, match="the nearest is 2026-05-05T22:00"):
        lab.open("ql-lightcurve", "2026-05-01", "2026-05-02")
    with pytest.raises(NotInCatalogError, match="none at all yet"):
        lab.open("sci-xray-vis", "2026-05-01", "2026-05-02")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("ql-lightcurves", "2026-05-05", "2026-05-06"), SchemaError, "expected one of"),
        (("ql-lightcurve", "2026-05-06", "2026-05-05"), ParameterError, "start before end"),
    ],
)
def test_mistakes_are_told(lab, arguments, error, words):
    with pytest.raises(error, match=words):
        lab.open(*arguments)
    for search in (lab.products, lab.flares):
        with pytest.raises(ParameterError, match="start before end"):
            search(start="2026-05-06", end="2026-05-05")
        with pytest.raises(SchemaError, match="origin: expected one of flight, simulated, reencoded"):
            search(origin="real")
    with pytest.raises(SchemaError, match="expected one of hk-mini"):
        lab.products(type="ql-lightcurves")
    assert lab.products(type="cal-energy") == lab.products(origin="reencoded") == []
    with pytest.raises(SchemaError, match="origin"):
        lab.open("ql-lightcurve", "2026-05-05", "2026-05-06", origin="real")


def test_fetch_copies_a_verified_file(lab, tmp_path):
    product = lab.products(type="ql-lightcurve")[0]
    path = lab.fetch(product, tmp_path)
    assert path.stat().st_size == product.fits_bytes
    assert lab.fetch([product.product_id], tmp_path) == [path]
    with pytest.raises(NotInCatalogError, match="stixlab products"):
        lab.fetch("nonsense", tmp_path)


def test_fetch_of_a_damaged_file_leaves_nothing(chain, tmp_path):
    product = chain.lab.products(type="hk-mini")[0]
    stored = chain.archive.path(product.fits)
    content = stored.read_bytes()
    stored.write_bytes(content[:-1] + b"\x01")
    try:
        with pytest.raises(ArchiveError, match="damaged"):
            chain.lab.fetch(product, tmp_path)
    finally:
        stored.write_bytes(content)
    assert list(tmp_path.iterdir()) == []


def test_times_both_ways(lab):
    scet = lab.to_scet("2026-05-05T22:00:00")
    assert abs(lab.to_utc(scet) - np.datetime64("2026-05-05T22:00:00")) < np.timedelta64(20, "us")


def test_flares_come_with_units_even_if_there_are_none(lab):
    table = lab.flares("2026-05-05", "2026-05-07")
    assert len(table) == 0
    assert str(table["duration"].unit) == "s"
