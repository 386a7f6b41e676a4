"""The keeper's commands, from an ingest to a restored installation."""

import json
import shlex

import pytest
from click.testing import CliRunner

from stixlab import factory
from stixlab.cli.archive import migrate_command
from stixlab.cli.main import cli
from stixlab.model import Action
from tests.support.chain import chain_of
from tests.support.cli import invoke, opening
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
    deleted = call("trash", "delete", one, "--reason", "a test")[1]
    assert "deleted" in deleted
    cure = shlex.split(deleted.split("`")[1])
    assert cure[0] == "stixlab"
    (gone,) = lines(call("trash", "list", "--json")[1])
    assert gone["product"] == one

    backup = str(tmp_path / "b.tgz")
    assert lines(call("backup", backup, "--json")[1])[0]["documents"]["products"] == 1
    assert gone["id"] in cure
    assert "back" in call(*cure[1:])[1]
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


@pytest.mark.parametrize("damaged", [False, True])
def test_a_migration_is_in_the_audit_trail(tmp_path, monkeypatch, damaged):
    """With its steps, or what held it back; the same again, which does nothing, is not."""
    blocks = day_of_packets(seed=5, n_packets=2, start="2021-06-05T00:01:00")
    chain = chain_of(tmp_path, *blocks)
    (raw,) = chain.catalog.raw_files.find()
    path = chain.archive.path(f"packets/{raw.sha256[:2]}/{raw.sha256}.packets")
    path.rename(path.with_suffix(".npz"))
    chain.archive.path("schema.json").unlink()
    chain.catalog.set_schema_version(1)
    if damaged:
        chain.archive.path(f"raw/{raw.sha256[:2]}/{raw.sha256}").unlink()
    monkeypatch.setenv("STIXLAB_HOME", str(chain.home))
    monkeypatch.setattr(factory, "open_ingestor", opening(lambda _progress=None: chain.ingestor))
    invoke(migrate_command, status=1 if damaged else 0)
    (entry,) = chain.catalog.audit.find()
    assert (entry.action, entry.subject) == (Action.MIGRATE, "archive")
    assert entry.who
    assert entry.reason == (
        "begun; some raw files cannot be read" if damaged else "archive and catalogue of version 1 to 2"
    )
    assert entry.details["n_files"] == (0 if damaged else 1)
    assert len(entry.details["problems"]) == int(damaged)
    if not damaged:
        assert "nothing to do" in invoke(migrate_command).stdout
        assert len(chain.catalog.audit.find()) == 1
