"""Datasets as sunpy time series."""

import warnings

import numpy as np
import pytest
from astropy import units as u

import stixlab
import stixlab.analysis.accessor
from stixlab.errors import ParameterError
from tests.support.fits_products import PRODUCTS


@pytest.fixture(scope="module")
def datasets():
    return {name: make() for name, make in PRODUCTS.items()}


def test_the_bands_of_a_light_curve_are_columns_with_their_unit(datasets):
    ds = datasets["ql-lightcurve"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        series = ds.stix.to_timeseries()
    assert "counts_4-10keV" in series.columns
    np.testing.assert_array_equal(series.quantity("counts_10-15keV").value, ds.counts.to_numpy()[:, 1])
    assert series.quantity("counts_4-10keV").unit == u.ct
    assert series.units["integration_time"] == u.s
    assert series.to_dataframe().index[0].to_datetime64() == ds.time.to_numpy()[0]
    assert series.meta.metadata[0][2]["origin"] == ds.attrs["origin"]
    assert series.truncate("2000-01-01", "2000-01-02").shape[0] == 0


@pytest.mark.parametrize(
    "name", ["ql-background", "ql-variance", "ql-flareflag", "sci-xray-spec", "sci-aspect-burst"]
)
def test_whatever_lies_along_time_is_taken(datasets, name):
    ds = datasets[name]
    series = stixlab.to_timeseries(ds)
    assert "Channel(s)" in str(series)
    along = [n for n, v in ds.data_vars.items() if v.dims[:1] == ("time",) and v.ndim <= 2]
    assert all(any(c == n or c.startswith(f"{n}_") for c in series.columns) for n in along)
    assert series.shape[0] == ds.sizes["time"]


def test_only_what_is_asked_for(datasets):
    assert stixlab.to_timeseries(datasets["ql-lightcurve"], "triggers").columns == ["triggers"]
    spectra = datasets["ql-spectra"].isel(energy=3)
    assert "counts_detector7" in stixlab.to_timeseries(spectra, ["counts"]).columns


@pytest.mark.parametrize(
    ("product", "variables", "told"),
    [
        ("ql-lightcurve", "count", "found 'count'; there are counts"),
        (
            "sci-xray-cpd",
            "counts",
            "at most one more dimension; found time, detector, pixel, energy; sum or select",
        ),
        ("ql-lightcurve", ["energy_bounds"], "along time"),
        ("ql-lightcurve", "time", "expected variables of the dataset"),
    ],
)
def test_what_does_not_fit_is_told(datasets, product, variables, told):
    with pytest.raises(ParameterError, match=told):
        stixlab.to_timeseries(datasets[product], variables)


def test_pixel_counts_are_summed_first(datasets):
    ds = datasets["sci-xray-cpd"]
    series = stixlab.to_timeseries(
        ds[["counts"]].sum(("detector", "pixel")).assign_coords(ds.coords), "counts"
    )
    assert len(series.columns) == ds.sizes["energy"]
    with pytest.raises(ParameterError, match="found none"):
        stixlab.to_timeseries(ds[["counts"]])
