import csv

import numpy as np
import pytest

from stixlab.errors import SchemaError
from stixlab.instrument.energy_channels import (
    band_bounds,
    band_centres,
    channel_tables,
    energy_edges,
    table_index,
)


def test_quicklook_mask_gives_the_five_bands():
    """The mask of the LB file of 2021-01-16."""
    mask = sum(1 << e for e in (1, 7, 12, 17, 23, 28))
    bounds = band_bounds(mask, energy_edges(np.datetime64("2021-01-16")))
    assert bounds.tolist() == [[4, 10], [10, 15], [15, 25], [25, 50], [50, 84]]
    assert band_centres(bounds).tolist() == [7, 12.5, 20, 37.5, 67]


def test_last_channel_is_open_and_has_a_place_on_the_axis():
    bounds = band_bounds(1 << 31 | 1 << 32, energy_edges(np.datetime64("2021-01-16")))
    assert bounds.tolist() == [[150, np.inf]]
    assert band_centres(bounds).tolist() == [150]


def test_mask_without_a_band_is_refused():
    with pytest.raises(SchemaError, match="at least 2 of 33 edges; found 1"):
        band_bounds(8, energy_edges(np.datetime64("2021-01-16")))


@pytest.mark.parametrize(
    ("time", "fifth"),
    [
        ("2019-01-01", 8.0),
        ("2023-01-30T00:04:34", 8.0),
        ("2023-01-30T00:04:35", 5.95),
        ("2023-02-01", 5.95),
        ("2023-02-02T16:06:12", 8.0),
        ("2023-08-01", 6.8),
        ("2023-11-05T00:01:00", 8.0),
        ("2030-01-01", 8.0),
    ],
)
def test_edges_of_the_time_are_taken(time, fifth):
    assert energy_edges(np.datetime64(time))[5] == fifth


def test_edges_rise_and_there_are_33():
    for table in channel_tables():
        assert len(table.edges) == 33
        assert (np.diff(table.edges) > 0).all()


def test_tables_equal_the_configuration_files(real_data):
    """Typed once from the files of the instrument team; this reads them again."""
    folder = real_data / "instrument" / "STIX-CONF" / "detector"
    rows = list(csv.reader((folder / "science_echan_index.csv").read_text().splitlines()))[1:]
    tables = channel_tables()
    assert len(rows) == len(tables)
    for row, table in zip(rows, tables, strict=True):
        assert np.datetime64(row[1].strip()) == table.start
        lines = list(csv.reader((folder / row[3].strip()).read_text().splitlines()))
        edges = [float(r[2]) for r in lines if r[0].isdigit()]
        assert edges == table.edges[:32].tolist()
    assert table_index(np.array([t.start for t in tables])).tolist() == list(range(len(tables)))
