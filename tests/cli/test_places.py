"""The commands about time and place."""

import csv
import json

import pytest
from click.testing import CliRunner

from stixlab.cli.main import cli
from stixlab.errors import TimeError


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setenv("STIXLAB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STIXLAB_SPICE", raising=False)
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def test_a_time_is_converted_with_source_and_accuracy_told(call):
    done = call("convert-time", "664146182:58990")
    assert done.stdout == "2021-01-16T21:03:51.361687Z\n"
    assert "clock table of stixlab (pairs), accurate to 0.5 s" in done.stderr
    two = call("convert-time", "664146182:58990", "2030-01-01")
    assert two.stderr.count("accurate to") == 2
    (row,) = map(json.loads, call("convert-time", "2021-01-16T21:03:51.361687", "--json").stdout.splitlines())
    assert (row["scet"], row["kind"], row["accuracy_s"]) == ("0664146182:58990", "pairs", 0.5)


def test_a_clock_that_was_not_synchronised_is_told(call):
    text = f"{(1 << 31) + 664_146_182}:58990"
    done = call("convert-time", text)
    assert done.stdout == "2021-01-16T21:03:51.361687Z\n"
    assert "(pairs), not synchronised: the top bit of the on-board time is set" in done.stderr
    assert "accurate" not in done.stderr
    row = json.loads(call("convert-time", text, "--json").stdout)
    assert (row["synchronised"], row["accuracy_s"], row["scet"]) == (False, None, text)


def test_behind_a_kernel_that_ends_before_the_table_is_told(call, monkeypatch, real_data):
    monkeypatch.setenv("STIXLAB_SPICE", str(real_data / "spice" / "stix_min.tm"))
    done = call("convert-time", "2020-08-01", "2024-03-01")
    assert (
        "2020-08-01: clock: solo_ANC_soc-sclk_20200922_V01.tsc (kernel), accurate to 0.001 s" in done.stderr
    )
    assert "2024-03-01: clock: clock table of stixlab (pairs), accurate to 0.5 s" in done.stderr


@pytest.mark.slow
def test_the_place_is_told_with_source_and_accuracy(call, real_data):
    assert (
        call(
            "import",
            "--no-pipelines",
            str(real_data / "aux" / "solo_L2_stix-aux-ephemeris_20221111_V01.fits"),
        ).exit_code
        == 0
    )
    done = call("ephemeris", "2022-11-11T12:00", "2021-03-01")
    assert "orbit from solo_L2_stix-aux-ephemeris_20221111_V01.fits (product)" in done.stderr
    assert "no source says how it is turned" in done.stderr
    rows = [
        json.loads(x)
        for x in call("ephemeris", "2022-11-11T12:00", "2021-03-01", "--json").stdout.splitlines()
    ]
    assert [(r["kind"], r["attitude_valid"]) for r in rows] == [("product", True), ("table", False)]
    assert rows[0]["distance_au"] == pytest.approx(0.62263, abs=1e-4)
    assert rows[1]["roll_deg"] is None
    (row,) = csv.DictReader(
        call("ephemeris", "2022-11-11T12:00", "--kind", "table", "--csv").stdout.splitlines()
    )
    assert float(row["accuracy_km"]) > 10
    assert isinstance(call("ephemeris", "1999-01-01").exception, TimeError)
    assert isinstance(call("ephemeris", "tomorrow").exception, TimeError)


def test_every_command_of_the_list_is_there():
    from stixlab.cli.main import _COMMANDS

    for name in _COMMANDS:
        assert cli.get_command(None, name) is not None
