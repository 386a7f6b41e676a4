"""Telecommands through client and command line."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from stixlab import factory
from stixlab.catalog import MemoryCatalog
from stixlab.cli.telecommands import telecommands_command
from stixlab.client.telecommands import (
    OUTCOMES,
    decode_telecommand,
    find_telecommand_of,
    find_telecommands,
    find_telecommands_of_request,
    get_telecommand,
    telecommand_document,
)
from stixlab.errors import NotInCatalogError, ParameterError
from stixlab.idb.telecommands import read_commands
from stixlab.model import ScienceRequest
from stixlab.settings import read_settings
from stixlab.telemetry.command_encoding import encode_command
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.telecommands import read_telecommands
from tests.support.commands import write_database
from tests.support.telecommand_reports import element, parameter, report


@pytest.fixture(scope="module")
def packet(tmp_path_factory) -> bytes:
    definitions = read_commands(write_database(tmp_path_factory.mktemp("idb") / "a.sqlite"))
    values = [("PTX00001", "On"), ("PTX00002", -1), ("PTX00003", b"abc"), ("PTX00004", 65536)]
    return encode_command(definitions, "ZTX00002", values, sequence_count=20)


@pytest.fixture
def catalog(packet) -> MemoryCatalog:
    elements = [
        element(10, parameters=[parameter("PIX00076", "2203010001", ParameterDescription="Request")]),
        element(
            20,
            CommandName="ZTX00002",
            Description="One of each kind",
            PUSServiceType="200",
            PUSSubServiceType="2",
            RawBodyData=packet.hex(),
        ),
        element(30, states={"ReleaseState": "FAILED"}, unique_id="twice"),
        element(31, unique_id="twice"),
    ]
    catalog = MemoryCatalog()
    account = DecodeReport("tc.xml", "edds-tc", 0)
    catalog.telecommands.take(read_telecommands(report(*elements), "tc.xml", account), "f" * 64)
    return catalog


@pytest.fixture
def idb(tmp_path, monkeypatch):
    monkeypatch.setenv("STIXLAB_HOME", str(tmp_path / "home"))
    (tmp_path / "idb").mkdir()
    write_database(tmp_path / "idb" / "a.sqlite")
    return tmp_path / "idb"


def request(**fields) -> ScienceRequest:
    values = {
        "id": "sci-xray-cpd_2203010001-49162_flight",
        "type": "sci-xray-cpd",
        "request_id": 2203010001,
        "tc_packet_id": 91,
        "tc_sequence": 0xC000 | 10,
        "ssid": 21,
        "origin": "flight",
        "n_packets": 3,
        "n_missing": 0,
        "n_damaged": 0,
        "n_conflicts": 0,
        "complete": True,
        "sent_start": datetime(2022, 3, 2, tzinfo=UTC),
    }
    return ScienceRequest(**values | fields)


class TestClient:
    def test_search_by_texts(self, catalog):
        found = find_telecommands(catalog, "2022-03-01T00:00:10.25", "2022-03-01T00:00:20.25")
        assert [c.sequence_count for c in found] == [10]
        assert find_telecommands(catalog, parameters={"PIX00076": 2203010001}) == found
        assert [c.sequence_count for c in find_telecommands(catalog, outcome="failed")] == [30]

    def test_wrong_questions_are_told(self, catalog):
        with pytest.raises(ParameterError, match="start before end"):
            find_telecommands(catalog, "2022-03-02", "2022-03-01")
        with pytest.raises(ParameterError, match="executed"):
            find_telecommands(catalog, outcome="perhaps")

    def test_all_outcomes_can_be_asked_for(self, catalog):
        assert {c.outcome for c in find_telecommands(catalog)} <= set(OUTCOMES)

    def test_one_by_its_identity_or_its_order(self, catalog):
        (first, *_) = find_telecommands(catalog)
        assert get_telecommand(catalog, first.identity) == first
        assert get_telecommand(catalog, "SSTX00010") == first
        for identity, reason in (
            ("nothing", "not in the catalogue"),
            ("twice", r"twice, ZIX38001.*\.31\.twice"),
        ):
            with pytest.raises(NotInCatalogError, match=reason):
                get_telecommand(catalog, identity)

    def test_the_command_that_telemetry_names(self, catalog):
        """A request carries the first two words of the header of its command."""
        control = 0xC000 | 10
        assert find_telecommand_of(catalog, 0x1DAC, control, "2022-03-05").sequence_count == 10
        assert find_telecommand_of(catalog, 0x1DAC, control, "2022-03-01") is None
        assert find_telecommand_of(catalog, 0x1DAD, control, "2022-03-05") is None

    def test_science_names_it_by_its_count_and_the_number_of_the_request(self, catalog):
        """In real science data NIX00001 is 91, which is no word of a header."""
        control = 0xC000 | 10
        assert (
            find_telecommand_of(catalog, 91, control, "2022-03-05", request_id=2203010001).sequence_count
            == 10
        )
        assert find_telecommand_of(catalog, 91, control, "2022-03-05", request_id=2203010002) is None
        (found,) = find_telecommands_of_request(catalog, request())
        assert found.sequence_count == 10
        assert find_telecommands_of_request(catalog, request(tc_sequence=0)) == [found]
        assert find_telecommands_of_request(catalog, request(request_id=0)) == [found]
        assert find_telecommands_of_request(catalog, request(request_id=5)) == []

    def test_its_packet_is_read_where_a_database_is_at_hand(self, catalog, idb):
        command = get_telecommand(catalog, "SSTX00020")
        assert decode_telecommand(command, read_settings()) is None
        found = decode_telecommand(command, read_settings(idb=idb))
        assert [v.value for v in found.parameters] == ["On", -1, b"abc", 65536]
        document = telecommand_document(command, found)
        assert json.loads(json.dumps(document["packet"]))["parameters"][2]["value"] == "616263"
        assert decode_telecommand(get_telecommand(catalog, "SSTX00010"), read_settings(idb=idb)) is None


class TestCommandLine:
    @pytest.fixture
    def run(self, catalog, monkeypatch, idb):
        @contextmanager
        def open_lab(_settings):
            yield SimpleNamespace(catalog=catalog)

        monkeypatch.setattr(factory, "open_lab", open_lab)
        monkeypatch.setenv("STIXLAB_IDB", str(idb))

        def run(*arguments: str, status: int = 0) -> str:
            done = CliRunner().invoke(telecommands_command, arguments)
            assert done.exit_code == status, done.output
            return done.output

        return run

    def test_lists(self, run):
        lines = run().splitlines()
        assert lines[0].split()[:3] == ["TIME", "NAME", "OUTCOME"]
        assert len(lines) == 5
        assert (
            run("--name", "ZTX*", "--csv")
            .splitlines()[1]
            .startswith("2022-03-01T00:00:20Z,ZTX00002,executed")
        )
        assert "usage" in run("--parameter", "PIX00076", status=2).lower()

    def test_those_of_a_request(self, run, catalog):
        catalog.requests.save(request())
        assert len(run("--request", request().id).splitlines()) == 2
        with pytest.raises(NotInCatalogError, match="stixlab requests"):
            telecommands_command.main(["--request", "none"], standalone_mode=False)

    def test_json_is_whole(self, run):
        found = [
            json.loads(line) for line in run("--parameter", "PIX00076=2203010001", "--json").splitlines()
        ]
        (command,) = found
        assert command["time"] == "2022-03-01T00:00:10.250000Z"
        assert command["uplink"] is None
        assert command["packet_id"] == 0x1DAC
        assert command["parameters"][0]["title"] == "Request"
        assert command["sources"] == ["f" * 64]

    def test_one_with_its_packet(self, run, packet):
        shown = run("SSTX00020")
        assert "PTX00002  -1" in shown
        assert packet.hex().upper() in shown
        document = json.loads(run("SSTX00020", "--json"))
        assert document["packet"]["idb_version"] == "2.26.99"
        assert document["packet"]["problems"] == []
        assert "Request" in run("SSTX00010")
