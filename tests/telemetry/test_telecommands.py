"""Reports of telecommands: real ones, damaged ones, compressed ones, in pieces of any size."""

import gzip
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import FormatError
from stixlab.model import Telecommand
from stixlab.telemetry import telecommands
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.telecommands import read_telecommands
from tests.support.examples import examples
from tests.support.telecommand_reports import element, parameter, report


def read(content) -> tuple[list[Telecommand], DecodeReport]:
    account = DecodeReport(name="tc.xml", kind="edds-tc", size_bytes=len(content))
    found = list(read_telecommands(content, "tc.xml", account))
    return found, account


def used(account: DecodeReport) -> int:
    return sum(account.bytes_by_use.values())


class TestRealReport:
    @pytest.fixture
    def content(self, real_data) -> bytes:
        return next((real_data / "telemetry" / "xml").glob("PktTcReport_*.xml")).read_bytes()

    def test_everything_of_it_is_there(self, content):
        """Numbers as they stand in the file, read by eye."""
        found, account = read(content)
        assert [c.sequence_count for c in found] == [12203, 12204]
        first = found[0]
        assert (first.name, first.service, first.subtype, first.apid) == ("ZIX0602A", 6, 2, 1452)
        assert first.release == datetime(2020, 5, 18, 8, 2, 58, 846664, UTC)
        assert first.uplink is None
        assert first.time == first.execution == datetime(2020, 5, 18, 8, 11, 57, 355586, UTC)
        assert first.unique_id == "SSTXfb35d8a70da94cf5"
        assert first.custom["s13ObFileId"] == "51820004"
        assert first.details["SubSystemId"] == "STIX (105)"
        assert first.initials == "PPPPPUNNNNNNPUT"
        assert first.outcome == "executed"
        assert len(first.parameters) == 209
        assert first.parameters[0] == {
            "name": "PIX00003",
            "value": "RED_SDRAM",
            "radix": "Dec",
            "title": "MID",
            "type": "Char String",
            "representation": "Eng",
        }
        assert len(first.raw) == 2 * 228
        assert account.remarks == {}
        assert used(account) == len(content)

    def test_the_words_by_which_telemetry_names_it_are_those_of_its_packet(self, content):
        for command in read(content)[0]:
            assert command.raw.startswith(f"{command.packet_id:04X}{command.sequence_control:04X}")

    @pytest.mark.parametrize("chunk_bytes", [1, 7, 300, 4096])
    def test_pieces_of_any_size_give_the_same(self, content, monkeypatch, chunk_bytes):
        content = content[:3000] + content[content.index(b"</PktTcReportParameterList>") :][:3000]
        whole = read(content)
        monkeypatch.setattr(telecommands, "_CHUNK_BYTES", chunk_bytes)
        assert read(content) == whole

    def test_compressed_and_open_files_give_the_same(self, content, tmp_path):
        whole = read(content)[0]
        path = tmp_path / "tc.xml.gz"
        path.write_bytes(gzip.compress(content))
        for source in (path, path.read_bytes(), io.BytesIO(content)):
            account = DecodeReport(name="tc", kind="edds-tc", size_bytes=0)
            assert list(read_telecommands(source, "tc", account)) == whole
            assert used(account) == account.size_bytes == len(content)


class TestDirtyReports:
    def test_times_of_1970_are_unknown(self):
        (command,), account = read(report(element()))
        assert command.uplink is command.execution is None
        assert command.time == command.release == datetime(2022, 3, 1, 0, 0, 7, 250000, UTC)
        assert account.remarks == {}

    def test_what_was_to_be_checked_is_no_state(self):
        (command,), _ = read(report(element()))
        assert list(command.states) == ["ReleaseState", "OnBoardState", "ExecCompState"]
        assert command.details["DynamicPtvCheckState"] == "CHECK_ENABLED"

    @pytest.mark.parametrize(
        ("damage", "reason"),
        [
            (lambda e: e.replace("</SSC>", "</SSD>"), "mismatched tag"),
            (lambda e: e.replace("<SSC>", "<SSC"), "not well-formed"),
            (lambda e: e.replace("<SSC>", "<SSC>&nothing;"), "undefined entity"),
            (lambda e: e.replace("<CommandName>ZIX38001</CommandName>", ""), "no CommandName"),
            (lambda e: e.replace("</PktTcReportListElement>", ""), "without its end"),
            (lambda e: e.replace("<PktTcReportListElement>", ""), "without its beginning"),
            (lambda e: e.replace("<SSC>", "<a>" * 40), "without end"),
        ],
    )
    def test_damaged_elements_are_told_and_the_rest_is_kept(self, damage, reason):
        content = report(element(1), damage(element(2)), element(3))
        found, account = read(content)
        assert [c.sequence_count for c in found] == [1, 3]
        (remark,) = account.remarks
        assert reason in remark
        assert account.remarks[remark].count == 1
        assert used(account) == len(content)
        assert account.bytes_by_use["skipped"] > 100

    def test_a_report_cut_off_gives_what_it_holds(self):
        content = report(element(1), element(2))
        cut = content[: content.index(b"<SSC>2")]
        found, account = read(cut)
        assert [c.sequence_count for c in found] == [1]
        assert "telecommand report without its end" in account.remarks
        assert used(account) == len(cut)

    def test_gzip_cut_off_gives_what_it_holds(self):
        content = gzip.compress(report(*map(element, range(200))))
        found, account = read(content[: len(content) // 2])
        assert 10 < len(found) < 190
        assert any("gzip" in remark for remark in account.remarks)

    def test_numbers_and_times_that_are_none_are_told_and_kept_as_text(self):
        (command,), account = read(
            report(element(SSC="many", ReleaseTime="yesterday", RawBodyData="1DAC0", Apid="-1"))
        )
        assert command.sequence_count is command.release is command.apid is command.sequence_control is None
        assert command.raw == ""
        assert command.details["SSC"] == "many"
        assert command.details["ReleaseTime"] == "yesterday"
        assert command.details["RawBodyData"] == "1DAC0"
        assert len(account.remarks) == 4

    def test_a_packet_that_contradicts_its_report_is_told(self):
        raw = "1DACC008000119EE0100ABCD"
        (command,), account = read(report(element(7, RawBodyData=raw)))
        assert command.raw == raw
        assert list(account.remarks) == ["telecommand report whose packet has another sequence count"]

    def test_an_element_without_end_does_not_fill_the_memory(self, monkeypatch):
        monkeypatch.setattr(telecommands, "_LONGEST_ELEMENT", 5_000)
        monkeypatch.setattr(telecommands, "_CHUNK_BYTES", 1_000)
        endless = element(2).replace("</PktTcReportListElement>", "<x/>" * 5_000)
        content = report(element(1), endless, element(3))
        found, account = read(content)
        assert [c.sequence_count for c in found] == [1, 3]
        assert used(account) == len(content)

    def test_entities_are_not_expanded(self):
        """The billion laughs: a document type can stand in no element, and that of the file is not read."""
        laugh = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>"
        found, account = read(
            laugh.encode() + report(element(1, Description="fine"), element(2)).replace(b"fine", b"&b;")
        )
        assert [c.sequence_count for c in found] == [2]
        assert any("undefined entity" in remark for remark in account.remarks)

    def test_other_prefixes_and_encodings(self):
        content = report(element(Description="Kühlung"), encoding="ISO-8859-1")
        content = content.replace(b"<PktTcReportListElement>", b'<tc:PktTcReportListElement lang="en">')
        content = content.replace(b"</PktTcReportListElement>", b"</tc:PktTcReportListElement >")
        assert read(content)[0][0].description == "Kühlung"

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(FormatError, match="cannot be read"):
            list(read_telecommands(tmp_path / "none.xml", "none.xml", DecodeReport("none", "edds-tc", 0)))


def test_values_come_back_as_they_were_written():
    values = [("PIX00001", "a < b & c"), ("PIX00002", ""), ("PIX00001", "12")]
    (command,), _ = read(report(element(parameters=[parameter(*v) for v in values])))
    assert [(p["name"], p["value"]) for p in command.parameters] == values


def test_the_same_command_has_the_same_identity_and_others_have_not():
    first, later = read(report(element(5), element(5, states={"ExecCompState": "FAILED"}, SequenceName="S")))[
        0
    ]
    assert first.identity == later.identity
    others = report(element(5), element(6), element(5, unique_id=""), element(5, CommandName="ZIX38002"))
    assert len({c.identity for c in read(others)[0]}) == 4
    unreleased = [
        element(0, ReleaseTime=None, unique_id="", parameters=[parameter("P", str(i))]) for i in range(3)
    ]
    assert len({c.identity for c in read(report(*unreleased))[0]}) == 3


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_damage_of_any_kind_is_accounted_for(data):
    content = bytearray(report(*(element(i, parameters=[parameter("P", "1")]) for i in range(3))))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] = data.draw(st.integers(0, 255))
        else:
            del content[at : at + data.draw(st.integers(1, 200))]
    found, account = read(bytes(content))
    assert used(account) == len(content)
    assert len(found) <= 3
