"""The command that searches for packets, on a home in memory."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from stixlab import factory
from stixlab.cli.packets import packets_command
from stixlab.errors import NotInCatalogError, ParameterError
from stixlab.settings import Settings
from tests.support.packet_store import new_store
from tests.support.packets import LIGHT_CURVE, MAXI, housekeeping, light_curves


@pytest.fixture
def run(tmp_path, monkeypatch):
    store = new_store(tmp_path)
    store.add(light_curves(3), "light.xml")
    store.add(housekeeping(MAXI, 4), "hk.xml")
    lab = SimpleNamespace(
        settings=Settings(home=tmp_path),
        catalog=store.catalog,
        archive=store.archive,
        versions=store.versions,
        clock=store.clock,
    )

    @contextmanager
    def open_lab(_):
        yield lab

    monkeypatch.setattr(factory, "open_lab", open_lab)

    def call(*arguments):
        return CliRunner().invoke(packets_command, arguments, catch_exceptions=False)

    call.store = store
    return call


def test_packets_are_listed_one_a_line(run):
    done = run("--ssid", "30", "--oldest")
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:3] == ["ID", "TIME", "SERVICE"]
    assert "3 of 3 packets, from 1 files" in done.stderr


def test_json_gives_whole_records(run):
    records = [
        json.loads(line) for line in run("--json", "--spid", LIGHT_CURVE, "--spid", MAXI).stdout.splitlines()
    ]
    assert len(records) == 7
    assert {"id", "time", "sha256", "index", "request"} <= set(records[0])


def test_a_full_page_says_how_to_go_on(run):
    done = run("--limit", "2", "--json")
    last = json.loads(done.stdout.splitlines()[-1])["id"]
    assert f"more: --after {last}" in done.stderr
    rest = run("--limit", "10", "--after", last, "--json").stdout.splitlines()
    assert len(rest) == 5


def test_one_packet_is_shown_as_a_tree(run):
    identity = run.store.find(spid=LIGHT_CURVE).ids[0]
    done = run(identity)
    assert done.stdout.startswith(f"packet {identity}")
    assert "NIX00272" in done.stdout
    document = json.loads(run(identity, "--json").stdout)
    assert document["spid"] == LIGHT_CURVE
    assert len(run(identity, "--all-values").stdout) > len(done.stdout)


def test_an_id_beside_conditions_is_wrong_usage(run):
    assert run("0123456789ab.1", "--ssid", "30").exit_code == 2


def test_what_is_not_there_or_makes_no_sense_is_an_error(run):
    with pytest.raises(NotInCatalogError):
        run("0123456789ab.1")
    with pytest.raises(ParameterError, match="expected one of ok"):
        run("--status", "good")


def test_unknown_structures_are_asked_for_by_minus_one(run):
    assert "0 of 0 packets" in run("--spid", "-1").stderr
