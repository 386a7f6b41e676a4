"""The keeper's commands, from an ingest to a restored installation."""

import json

import pytest
from click.testing import CliRunner

from stixlab.cli.main import cli
from tests.support.light_curves import day_of_packets


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call a command for a home; gives exit status, what was printed, and the error."""

    def run(*arguments, home="home"):
        monkeypatch.setenv("STIXLAB_HOME", str(tmp_path / home))
        done = CliRunner().invoke(cli, arguments)
        return done.exit_code, done.stdout, done.exception

    return run


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_what_a_keeper_does(call, tmp_path):
    for day in (5, 6):
        blocks = day_of_packets(seed=day, n_packets=2, start=f"2021-06-0{day}T00:01:00")
        (tmp_path / f"tm{day}.bin").write_bytes(b"".join(bytes(b.data) for b in blocks))
        assert call("ingest", "--no-pipelines", str(tmp_path / f"tm{day}.bin"))[0] == 0
    one = "L1_ql-lightcurve_20210605_flight"

    status, printed, _ = call("doctor", "--archive", "--json")
    assert (status, lines(printed)[-1]["ok"]) == (0, True)
    assert lines(printed)[-1]["looked_at"]["dataset"] == 2
    assert "version" in call("doctor")[1]

    assert call("trash", "hide", one, "--reason", "a test")[0] == 0
    assert one not in call("products")[1]
    assert lines(call("trash", "list", "--json")[1])[0]["reason"] == "a test"
    assert "shown again" in call("trash", "restore", one, "--reason", "done")[1]
    assert "deleted" in call("trash", "delete", one, "--reason", "a test")[1]
    (gone,) = lines(call("trash", "list", "--json")[1])
    assert gone["product"] == one

    backup = str(tmp_path / "b.tgz")
    assert lines(call("backup", backup, "--json")[1])[0]["documents"]["products"] == 1
    assert "back" in call("trash", "restore", gone["id"], "--reason", "done")[1]
    actions = [e["action"] for e in lines(call("audit", "--json")[1])]
    assert actions == ["bring back", "delete", "show", "hide"]

    assert call("restore", "--check", backup)[1].startswith("good")
    assert call("restore", backup, home="new")[0] == 0
    assert call("doctor", "--archive", home="new")[0] == 0
    assert lines(call("products", "--json", home="new")[1])[0]["product_id"].startswith(
        "L1_ql-lightcurve_20210606"
    )
    status, _, error = call("restore", backup, home="new")
    assert status
    assert "expected no archive" in str(error)
    assert call("trash", "restore", gone["id"], "--reason", "done", home="new")[0] == 0
    assert [e["action"] for e in lines(call("audit", "--json", home="new")[1])][:2] == [
        "bring back",
        "restore",
    ]

    archive = tmp_path / "new" / "archive"
    victim = next(archive.glob("raw/*/*"))
    victim.write_bytes(b"damaged")
    status, printed, _ = call("doctor", "--archive", home="new")
    assert status == 1
    assert victim.name in printed
    next(archive.glob("zarr/*/*/contents_*.json")).unlink()
    victim.unlink()
    assert call("doctor", "--archive", home="new")[1].count("FAIL") == 2
    assert call("doctor", "--archive", "--repair", home="new")[1].count("FAIL") == 1

    assert call("clean", "--dry-run", "--json")[1] == ""
    assert "nothing to do" in call("migrate")[1]


def test_commands_of_a_reader_are_refused(call, monkeypatch):
    monkeypatch.setenv("STIXLAB_ACCESS", "team")
    status, _, error = call("backup", "b.tar")
    assert status
    assert "role of an operator" in str(error)


def test_a_wrong_use_is_told(call):
    assert call("doctor", "--repair")[0] == 2
    assert call("trash", "hide", "a")[0] == 2
