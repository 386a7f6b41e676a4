"""Energies of science data."""

import numpy as np
import pytest

from stixlab.errors import SchemaError
from stixlab.instrument.energy_channels import energy_edges
from stixlab.products.energy import by_channel_table, channel_energies

NOMINAL = energy_edges(np.datetime64("2022-01-01"))


def test_bands_of_channels_in_kev():
    found = channel_energies(np.array([1, 3, 31]), np.array([2, 3, 31]), NOMINAL)
    assert found["energy_bounds"].tolist() == [[4, 6], [6, 7], [150, np.inf]]
    assert found["energy"].tolist() == [5, 6.5, 150]


@pytest.mark.parametrize(("low", "high"), [([4], [3]), ([0], [32]), ([-1], [3])])
def test_bands_that_are_none_are_told(low, high):
    with pytest.raises(SchemaError, match=r"0 <= channel_low <= channel_high <= 31"):
        channel_energies(np.array(low), np.array(high), NOMINAL)


def test_rows_are_parted_where_the_channels_were_changed():
    """The fine channels of January 2023, whose second table has the same edges; nominal ones before and after."""
    time = np.array(
        ["2023-01-30T00:04:34", "2023-01-30T00:04:36", "2023-01-31T12:00", "2023-02-03T00:00"],
        "datetime64[ns]",
    )
    found = [(t.name, rows.tolist()) for t, rows in by_channel_table(time)]
    assert found == [("nominal", [0, 3]), ("20221216", [1, 2])]
