"""Opening while no table of contents is written: what the catalogue names is opened all the same."""

import numpy as np
import pytest
import xarray as xr

from stixlab.archive.layout import contents_key
from stixlab.client.opening import open_times
from stixlab.errors import NotInCatalogError
from tests.support.archives import dates, filled

DAYS = dates("2021-06-05", 3)


@pytest.mark.parametrize(
    ("start", "end"), [(DAYS[0], "2021-06-08"), ("2021-06-06T00:02", "2021-06-07T00:03"), (None, None)]
)
def test_without_a_table_the_same_is_opened(tmp_path, start, end):
    archive, catalog, _ = filled(tmp_path, *DAYS)
    expected = open_times(catalog, archive, "ql-lightcurve", start, end, origin=None).load()
    archive.path(contents_key("L1", "ql-lightcurve", "flight")).unlink()
    found = open_times(catalog, archive, "ql-lightcurve", start, end, origin=None)
    assert found.chunks
    xr.testing.assert_identical(found.load(), expected)


def test_without_a_table_what_is_not_there_is_told_as_with_one(tmp_path):
    archive, catalog, _ = filled(tmp_path, *DAYS)
    archive.path(contents_key("L1", "ql-lightcurve", "flight")).unlink()
    with pytest.raises(NotInCatalogError, match="the nearest is 2021-06-07"):
        open_times(catalog, archive, "ql-lightcurve", "2021-07-01", "2021-07-02", origin=None)
    assert not np.any([p.name.startswith("contents") for p in tmp_path.rglob("*")])
