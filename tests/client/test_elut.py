import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from stixlab.client.elut import get_elut
from stixlab.errors import NotInCatalogError, TimeError
from stixlab.instrument import elut as module
from stixlab.instrument.packages import TableFolder, package_folder
from tests.support.elut_tables import table_folder

NAME = "solo_CAL_stix-cal-energy_20250302T230511-20250303T230512_V02.fits"


@pytest.fixture
def home(tmp_path, monkeypatch):
    table_folder(tmp_path / "instrument", [("2020-02-14T00:00:00", "none", "20200519")])
    monkeypatch.setattr(
        module, "table_folders", lambda home=None: (TableFolder(home / "instrument", "imported"),)
    )
    return tmp_path


def test_the_table_is_a_dataset_with_units_and_its_span(home):
    ds = get_elut("2021-06-06", home=home)
    assert dict(ds.sizes) == {"detector": 32, "pixel": 12, "edge": 31}
    assert (ds.detector.values[0], ds.pixel.values[0], ds.edge.values[0]) == (1, 0, 1)
    for name in (*ds.data_vars, "energy_edge"):
        u.Unit(ds[name].attrs["units"])
        assert ds[name].attrs["long_name"]
    assert (ds.attrs["elut"], ds.attrs["valid_from"], ds.attrs["valid_to"]) == (
        "20200519",
        "2020-02-14T00:00:00Z",
        "",
    )
    assert float(abs(ds.true_energy_edge - ds.energy_edge).max()) < 0.06


def test_a_wrong_time_is_told(home):
    with pytest.raises(TimeError, match="found 'tomorrow'"):
        get_elut("tomorrow", home=home)
    with pytest.raises(NotInCatalogError, match="expected a time from 2020-02-14"):
        get_elut("1999-01-01", home=home)


def test_true_edges_equal_those_of_the_official_calibration_product(real_data):
    """Column e_edges_actual of the CAL file: the team's own arithmetic with the same table."""
    if package_folder() is None:
        pytest.skip("the package stixpy is not installed")
    path = real_data / "cal" / NAME
    ds = get_elut("2025-03-03T12:00", calibration=path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of others
        expected = fits.getdata(path, "DATA")["e_edges_actual"][0][:, :, 1:32]
    np.testing.assert_allclose(ds.true_energy_edge, expected, atol=1e-9)
    assert ds.attrs["calibration"] == NAME
    with pytest.raises(NotInCatalogError, match="with table 20210625; found solo_CAL"):
        get_elut("2021-06-06", calibration=[path])
