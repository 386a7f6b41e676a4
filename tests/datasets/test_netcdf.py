"""Every declared dataset goes to netCDF and comes back as it was, by the call that users make."""

import io

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from stixlab.datasets.construction import make_dataset
from stixlab.datasets.schema import described_types, spec_of
from stixlab.vocabulary import DIMS, check
from tests.support.chain import new_chain
from tests.support.examples import examples
from tests.support.fits_products import PRODUCTS
from tests.support.light_curves import day_of_packets

QUICK = ("ql-lightcurve", "ql-flareflag", "sci-xray-spec", "sci-aspect-burst")
"""Types of which any values are tried in the quick check, too."""


def there_and_back(ds, path):
    ds.to_netcdf(path, engine="h5netcdf")
    return xr.load_dataset(path, engine="h5netcdf")


def assert_same(ds, back, spec):
    """Identical, but for the unit of bounds, which by the CF conventions is that of what they bound."""
    check(back, spec)
    for name, variable in ds.variables.items():
        assert back[name].dtype == variable.dtype, name
        np.testing.assert_array_equal(back[name].to_numpy(), variable.to_numpy(), strict=True)
        assert set(variable.attrs) - set(back[name].attrs) <= {"units"} if name.endswith("_bounds") else True
        for key in set(variable.attrs) & set(back[name].attrs):
            np.testing.assert_array_equal(back[name].attrs[key], variable.attrs[key])
    assert set(back.variables) == set(ds.variables)
    assert dict(back.attrs) == dict(ds.attrs)


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_product_is_the_same_afterwards(product, tmp_path):
    ds = PRODUCTS[product]()
    assert_same(ds, there_and_back(ds, tmp_path / "a.nc"), spec_of(product))


def values_of(dtype):
    kind = np.dtype(dtype)
    if kind.kind == "M":
        first, last = (np.datetime64(t, "ns").astype(np.int64) for t in ("2020-02-10", "2035-01-01"))
        return st.integers(int(first), int(last)).map(lambda n: np.datetime64(n, "ns"))
    return some.from_dtype(kind, allow_nan=False)


@st.composite
def datasets(draw, product):
    """A dataset of a declaration, with any values its types can have."""
    spec = spec_of(product)
    sizes = {d: draw(st.integers(1, 3)) for d in DIMS} | {"bound": 2}
    arrays = {
        f.name: draw(
            some.arrays(
                np.dtype(f.dtype),
                tuple(sizes[d] for d in f.dims),
                elements=values_of(f.dtype),
                fill=st.nothing(),
            )
        )
        for f in spec.fields
    }
    return make_dataset(spec, arrays, level="L1", attrs={"origin": "simulated", "complete": 1, "note": "é"})


@pytest.mark.parametrize(
    "product",
    [
        t if t in QUICK else pytest.param(t, marks=pytest.mark.slow)
        for t in described_types()
        if not t.startswith("hk-")
    ],
)
@settings(max_examples=examples(5), deadline=None)
@given(data=st.data())
def test_whatever_the_values_are(product, data):
    ds = data.draw(datasets(product))
    assert_same(ds, there_and_back(ds, io.BytesIO()), spec_of(product))


@pytest.mark.parametrize("product", ["hk-mini", "hk-maxi"])
def test_housekeeping_with_its_many_states(product):
    """Values from one generator: so many arrays are too much to be drawn one by one."""
    rng, spec = np.random.default_rng(3), spec_of(product)
    arrays = {}
    for field in spec.fields:
        shape = tuple(2 if d == "bound" else 5 for d in field.dims)
        random = rng.integers(0, 200, shape)
        arrays[field.name] = random.astype("int64").astype(field.dtype)
    ds = make_dataset(spec, arrays, level="L1", attrs={"origin": "flight"})
    assert_same(ds, there_and_back(ds, io.BytesIO()), spec)


@pytest.mark.filterwarnings("error")
def test_what_the_archive_gives_is_written_without_a_warning(tmp_path):
    chain = new_chain(tmp_path / "home")
    blocks = day_of_packets(seed=5, n_packets=4, start="2021-06-05T23:50:00")
    (tmp_path / "tm.bin").write_bytes(b"".join(bytes(b.data) for b in blocks))
    assert not chain.ingest(tmp_path / "tm.bin").failed
    ds = chain.lab.open("ql-lightcurve", "2021-06-05", "2021-06-07")
    assert_same(ds.compute(), there_and_back(ds, tmp_path / "a.nc"), spec_of("ql-lightcurve"))
