import csv
import json

import pytest
from click.testing import CliRunner

from stixlab.cli.elut import elut_command
from stixlab.errors import ParameterError
from tests.support.elut_tables import elut_text, table_folder


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setenv("STIXLAB_HOME", str(tmp_path / "home"))

    def invoke(*arguments):
        return CliRunner().invoke(elut_command, [*map(str, arguments)])

    return invoke


@pytest.fixture
def tables(call, tmp_path):
    """Imported tables from the beginning of the mission."""
    folder = table_folder(tmp_path / "conf", [("2020-02-14T00:00:00", "none", "20200519")])
    done = call("import", folder)
    assert done.exit_code == 0, done.output


def test_the_history_is_listed(call, tables):
    rows = [json.loads(line) for line in call("--json").stdout.splitlines()]
    assert [(r["name"], r["source"], r["end"]) for r in rows] == [("20200519", "imported", None)]


def test_a_table_is_shown_with_its_energies(call, tables):
    done = call("show", "2021-06-06", "--detector", 3, "--pixel", 11, "--csv")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert len(rows) == 31
    assert (rows[0]["detector"], rows[0]["pixel"], rows[0]["edge"], float(rows[0]["energy_edge"])) == (
        "3",
        "11",
        "1",
        4,
    )
    assert abs(float(rows[30]["true_energy_edge"]) - 150) < 0.06
    assert "elut: 20200519" in done.stderr
    whole = call("show", "2021-06-06", "--json")
    assert len(whole.stdout.splitlines()) == 1 + 384 * 31


def test_a_single_table_needs_the_time_of_its_upload(call, tables, tmp_path):
    path = tmp_path / "elut_table_20260529.csv"
    path.write_text(elut_text(seed=5))
    assert isinstance(call("import", path).exception, ParameterError)
    done = call("import", path, "--from", "2026-06-15", "--json")
    assert json.loads(done.stdout)["start"] == "2026-06-15T00:00:00Z"
    assert "elut: 20260529" in call("show", "2026-07-01", "--pixel", 0).stderr
