"""Flares as a table and back."""

from datetime import UTC

import numpy as np
from astropy import units as u
from astropy.table import QTable

from stixlab.analysis.flares import flares_to_table, identify_flares, table_to_flares
from tests.support.flare_curves import curve


def flares():
    return identify_flares(curve([(90, 500), (180, 5000)]))


def test_the_table_has_units_and_times():
    table = flares_to_table(flares())
    assert isinstance(table, QTable)
    assert table["duration"].unit == u.s
    assert table["peak_counts"].unit == u.ct
    assert table["peak"].scale == "utc"
    assert table["peak"][0].to_datetime(timezone=UTC) == flares()[0].peak
    assert table["peak_counts_by_band"].shape == (2, 5)
    assert table["attenuator"].dtype == bool


def test_a_table_gives_the_same_flares_again():
    assert table_to_flares(flares_to_table(flares())) == flares()


def test_a_table_of_no_flares_has_the_same_columns():
    empty, some = flares_to_table([]), flares_to_table(flares())
    assert len(empty) == 0
    assert empty.colnames == some.colnames
    assert empty["peak_counts"].unit == u.ct
    assert table_to_flares(empty) == []


def test_a_table_can_be_filtered_and_sorted():
    table = flares_to_table(flares())
    assert list(table[table["peak_counts"] > 1000 * u.ct]["upper_band"] >= 1) == [True]
    table.sort("peak_counts", reverse=True)
    assert np.all(np.diff(table["peak_counts"].value) < 0)
