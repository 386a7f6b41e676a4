import dataclasses
import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import FormatError, NotInCatalogError, SchemaError
from stixlab.instrument import elut as module
from stixlab.instrument.elut import EnergyCalibration, elut_at, elut_history, elut_of, read_elut, read_index
from stixlab.instrument.energy_channels import energy_edges
from stixlab.instrument.packages import TableFolder, package_folder
from tests.support.elut_tables import NOMINAL, elut_text, table_folder
from tests.support.examples import examples

SPANS = [
    ("2020-02-14T00:00:00", "2021-01-01T00:00:00", "20200519"),
    ("2021-01-01T00:06:00", "2021-05-25T14:55:49", "20201204"),
    ("2021-05-25T14:55:49", "none", "20210625"),
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An installation with imported tables and without the package."""
    table_folder(tmp_path / "instrument", SPANS)
    monkeypatch.setattr(
        module, "table_folders", lambda home=None: (TableFolder(home / "instrument", "imported"),)
    )
    return tmp_path


@pytest.fixture
def package():
    if package_folder() is None:
        pytest.skip("the package stixpy is not installed")


def write(folder, text, name="elut_table_20200519.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_table_is_read_in_the_order_of_detector_and_pixel(tmp_path):
    lines = elut_text().splitlines()
    shuffled = [*lines[:3], *reversed(lines[3:])]
    one, other = (
        read_elut(write(tmp_path, "\n".join(lines))),
        read_elut(write(tmp_path, "\n".join(shuffled), "b.csv")),
    )
    assert one.adc_edges.shape == (32, 12, 31)
    np.testing.assert_array_equal(one.adc_edges, other.adc_edges)
    assert one.nominal_edges.tolist() == NOMINAL
    first = lines[3].split(",")
    assert (one.offset[0, 0], one.gain[0, 0]) == (float(first[0]), float(first[1]))
    assert one.name == "20200519"
    assert one.comment == "Based on run 1 Channel energy edges"


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(0, 2**32), st.floats(800, 1300), st.floats(0.09, 0.13))
def test_true_edges_are_the_nominal_ones_up_to_rounding(tmp_path_factory, seed, offset, gain):
    """Half a converter step is 0.055 keV."""
    table = read_elut(write(tmp_path_factory.mktemp("elut"), elut_text(seed=seed, offset=offset, gain=gain)))
    assert np.abs(table.true_edges() - table.nominal_edges).max() <= 0.5 * 1.06 * gain


def test_a_calibration_run_gives_the_true_edges(tmp_path):
    """(edge / 4 - offset) / gain."""
    table = read_elut(write(tmp_path, elut_text()))
    zero = np.datetime64("2020-06-01")
    run = EnergyCalibration(
        np.full((32, 12), 225.0),
        np.full((32, 12), 2.3),
        zero,
        zero + np.timedelta64(1, "D"),
        "20200519",
        "run",
    )
    np.testing.assert_allclose(run.gain[3, 4] * table.true_edges(run)[3, 4] + 225, table.adc_edges[3, 4] / 4)
    with pytest.raises(
        SchemaError, match="expected a calibration made with table 20200519; run was made with 2021"
    ):
        table.true_edges(dataclasses.replace(run, elut="2021"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.replace("Offset", "Zero"), "expected a line that names offset"),
        (lambda t: t.replace(" - 5 keV", " - 3 keV"), "expected 31 rising energies"),
        (lambda t: t.replace(" - 5 keV", " - five"), "expected 31 rising energies in its heading; found 30"),
        (
            lambda t: "\n".join(t.splitlines()[:-1]),
            "expected 384 lines of finite numbers, one a pixel; found 383",
        ),
        (lambda t: t.replace(",11,31,", ",10,31,"), "once; found others or some twice"),
        (lambda t: t.replace(",11,31,", ",12,31,"), "once; found others or some twice"),
        (lambda t: re.sub(r"(,0,0,\d+,)\d+", r"\g<1>999", t), r"detector 0, pixel 0: expected edge 5 keV"),
        (lambda t: re.sub(r"(,0,0,\d+),", r"\1.5,", t), "expected edge 4 keV"),
        (lambda t: re.sub(r"(,0,0,)\d+", r"\g<1>nan", t), "finite numbers"),
        (lambda t: re.sub(r"(,0,0,)\d+", r"\g<1>x", t), "expected numbers in every line"),
        (lambda _: "", "expected a line that names offset"),
        (lambda t: t[: len(t) // 2], "expected numbers|expected 384"),
    ],
)
def test_a_damaged_table_is_refused_with_the_place(tmp_path, change, told):
    with pytest.raises(FormatError, match=told):
        read_elut(write(tmp_path, change(elut_text())))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "elut_table_1.csv"
    path.write_bytes(b"\xff\xfe\x00" * 100)
    with pytest.raises(FormatError, match="cannot be read"):
        read_elut(path)


@pytest.mark.parametrize(
    ("time", "name"),
    [
        ("2020-02-14T00:00:00", "20200519"),
        ("2020-12-31T23:59:59", "20200519"),
        ("2021-01-01T00:00:00", "20201204"),
        ("2021-05-25T14:55:48", "20201204"),
        ("2021-05-25T14:55:49", "20210625"),
        ("2031-01-01", "20210625"),
    ],
)
def test_the_table_of_the_time_is_taken(home, time, name):
    assert elut_at(np.datetime64(time, "ns"), home).name == name


def test_what_is_not_certain_is_said(home):
    at = [elut_at(np.datetime64(t, "ns"), home) for t in ("2020-06-01", "2021-02-01", "2022-01-01")]
    assert at[0].note == ""
    assert "from 2021-01-01T00:06:00; the gap before is given to it" in at[1].note
    assert "a newer one may have been uploaded" in at[2].note
    assert [e.end for e in at][-1] is None
    assert {e.source for e in at} == {"imported"}


def test_a_time_without_a_table_is_told_with_what_there_is(home):
    with pytest.raises(NotInCatalogError, match="expected a time from 2020-02-14T00:00:00 to now"):
        elut_at(np.datetime64("2020-02-13T23:59:59", "ns"), home)
    index = home / "instrument" / "elut" / "elut_index.csv"
    index.write_text(index.read_text().replace("none", "2022-01-01T00:00:00"))
    with pytest.raises(NotInCatalogError, match="to 2022-01-01T00:00:00"):
        elut_at(np.datetime64("2022-01-01", "ns"), home)


def test_a_long_gap_belongs_to_no_table(home):
    index = home / "instrument" / "elut" / "elut_index.csv"
    index.write_text(index.read_text().replace("2021-01-01T00:06:00", "2021-02-01T00:00:00"))
    with pytest.raises(NotInCatalogError):
        elut_at(np.datetime64("2021-01-15", "ns"), home)


def test_a_table_replaced_on_the_disk_is_read_again(home):
    before = elut_at(np.datetime64("2020-06-01", "ns"), home)
    path = home / "instrument" / "elut" / "elut_table_20200519.csv"
    path.write_text(elut_text(offset=950.0) + "\n")
    after = elut_at(np.datetime64("2020-06-01", "ns"), home)
    assert after.offset.mean() > before.offset.mean() + 50


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("2021-01-01T00:06:00", "yesterday", "line 3: expected index, start, end or none, file; found"),
        ("0, 2020", "2020", "line 2"),
        (
            "elut_table_20201204.csv",
            "elut_table_2.csv",
            "line 3: expected the table elut_table_2.csv; it is not there",
        ),
        ("elut_table_20201204.csv", "../../etc/passwd", "it is not there"),
    ],
)
def test_a_damaged_index_names_its_line(home, old, new, told):
    index = home / "instrument" / "elut" / "elut_index.csv"
    index.write_text(index.read_text().replace(old, new))
    with pytest.raises(FormatError, match=told):
        elut_history(home)


def test_no_tables_at_all_is_told_with_its_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "table_folders", lambda _home=None: ())
    with pytest.raises(NotInCatalogError, match="stixlab elut import"):
        elut_at(np.datetime64("2021-01-01", "ns"), tmp_path)


def test_imported_lines_count_and_the_package_fills_the_time_before(tmp_path, monkeypatch):
    package = TableFolder(table_folder(tmp_path / "package", SPANS), "package 1")
    newer = table_folder(tmp_path / "new", [("2021-05-01T00:00:00", "none", "20210430")])
    monkeypatch.setattr(module, "table_folders", lambda _home=None: (TableFolder(newer, "imported"), package))
    history = elut_history()
    assert [(s.name, s.source) for s in history] == [
        ("20200519", "package 1"), ("20201204", "package 1"), ("20210430", "imported"),
    ]  # fmt: skip
    assert history[1].end == np.datetime64("2021-05-01")


def test_every_table_of_the_package_fits_the_science_channels_of_its_time(package):
    """Two independent lists of the team: the heading of the table and the history of the channels."""
    history = elut_history()
    assert len(history) >= 17
    assert history[0].start == np.datetime64("2020-02-14")
    for before, after in itertools.pairwise(history):
        assert before.end == after.start
    for span in history:
        table = elut_of(span)
        np.testing.assert_array_equal(table.nominal_edges, energy_edges(span.start)[1:32])
        assert np.abs(table.true_edges() - table.nominal_edges).max() < 0.06


def test_closed_gaps_are_where_a_later_index_has_none(package, real_data):
    """The index of the configuration files of 2026 has no gaps; where it overlaps it says the same."""
    later = read_index(TableFolder(real_data / "instrument" / "STIX-CONF", "configuration files"))
    here = elut_history()
    assert [(s.name, s.start) for s in later[: len(here)]] == [(s.name, s.start) for s in here]
    assert [s.end for s in later[: len(here) - 1]] == [s.end for s in here[:-1]]


def test_the_table_of_a_calibration_run_is_read(real_data):
    """Offsets there are in channels of 1024 and edges are cut, not rounded."""
    table = read_elut(real_data / "cal" / "elut_run_219.csv")
    assert 0.1 < np.median(table.gain) < 0.12
    assert table.adc_edges[0, 0, 0] == 1257
    error = table.true_edges() - table.nominal_edges
    assert -0.13 < error.min() <= error.max() <= 1e-6
