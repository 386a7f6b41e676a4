"""Packets of telecommands, decoded and encoded."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import PacketError, UnknownPacketError
from stixlab.idb.telecommands import CommandDefinitions, load_commands, read_commands
from stixlab.telemetry.command_encoding import encode_command
from stixlab.telemetry.commands import checksum, decode_command, read_header
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.telecommands import read_telecommands
from tests.support.commands import write_database
from tests.support.examples import examples


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> CommandDefinitions:
    return read_commands(write_database(tmp_path_factory.mktemp("idb") / "a.sqlite"))


def test_the_checksum_is_that_of_the_standard():
    """Test cases of ECSS-E-70-41A, annex A.1.5 (and the well-known check value of CRC-16/CCITT-FALSE)."""
    assert checksum(bytes.fromhex("0000")) == 0x1D0F
    assert checksum(bytes.fromhex("000000")) == 0xCC9C
    assert checksum(bytes.fromhex("ABCDEF01")) == 0x04A2
    assert checksum(bytes.fromhex("1456F89A0001")) == 0x7FD5
    assert checksum(b"123456789") == 0x29B1


class TestByHand:
    """Every bit of these packets was set by hand."""

    def test_one_of_each_kind(self, definitions):
        body = bytes([0b111_11111, 0xFE]) + b"\x01\x02\x03" + bytes.fromhex("2A0000018000")
        packet = bytes.fromhex("1DACC0050010") + bytes([0x19, 200, 2, 0]) + body
        packet += checksum(packet).to_bytes(2)
        found = decode_command(packet, definitions)
        assert found.name == "ZTX00002"
        assert found.problems == ()
        assert found.remainder == b""
        assert [(v.name, v.raw, v.word) for v in found.values] == [
            ("PTX00001", 7, "Perhaps"),
            ("", 0x1F, ""),
            ("PTX00002", -2, ""),
            ("PTX00003", b"\x01\x02\x03", ""),
            ("PTX00004", 0x2A0000018000, ""),
        ]
        assert found.header.apid == 1452
        assert (found.header.sequence_flags, found.header.sequence_count) == (3, 5)
        assert (found.header.length, found.header.acknowledge) == (len(packet), 9)
        values = [
            ("PTX00001", "Perhaps"),
            ("PTX00002", -2),
            ("PTX00003", "010203"),
            ("PTX00004", 0x2A0000018000),
        ]
        assert encode_command(definitions, "ZTX00002", values, sequence_count=5) == packet

    def test_groups_within_groups(self, definitions):
        values = {
            "PTX00005": 2,
            "PTX00006": [3, 4],
            "PTX00007": [2, 0],
            "PTX00008": [0x0102, 0x0304],
            "PTX00009": 9,
        }
        packet = encode_command(definitions, "ZTX00003", values)
        assert packet[10:-2] == bytes.fromhex("02 32 0102 0304 40 09")
        found = decode_command(packet, definitions)
        assert [(v.name[-1], v.raw, v.repeat) for v in found.values] == [
            ("5", 2, ()),
            ("6", 3, (0,)),
            ("7", 2, (0,)),
            ("8", 0x0102, (0, 0)),
            ("8", 0x0304, (0, 1)),
            ("6", 4, (1,)),
            ("7", 0, (1,)),
            ("9", 9, ()),
        ]

    def test_one_of_several_of_a_kind_is_chosen_by_its_fixed_area(self, definitions):
        for name, parameter in (("ZTX00401", "PTX00005"), ("ZTX00402", "PTX00009")):
            packet = encode_command(definitions, name, {parameter: 5})
            assert decode_command(packet, definitions).name == name


class TestDamaged:
    def test_wrong_checksums_and_lengths_are_told(self, definitions):
        good = encode_command(definitions, "ZTX00401", {"PTX00005": 5})
        assert decode_command(good, definitions).problems == ()
        (told,) = decode_command(good[:-1] + bytes([good[-1] ^ 1]), definitions).problems
        assert "checksum" in told
        assert any("found" in p or "it has" in p for p in decode_command(good + b"\0", definitions).problems)
        assert decode_command(good[:-3], definitions).problems[-1] == "it ends before its parameters do"

    def test_of_a_packet_cut_off_all_that_is_there_is_read(self, definitions):
        values = {"PTX00005": 1, "PTX00006": 3, "PTX00007": 1, "PTX00008": 258, "PTX00009": 9}
        packet = encode_command(definitions, "ZTX00003", values)
        found = decode_command(packet[:-3], definitions)
        assert [v.raw for v in found.values] == [1, 3, 1, 258]
        assert found.problems == ("its header says 17 bytes; it has 14", "it ends before its parameters do")

    def test_bytes_left_over_are_kept(self, definitions):
        packet = bytes.fromhex("1DACC0000007") + bytes([0x19, 200, 1, 0]) + b"\x11\x22"
        packet += checksum(packet).to_bytes(2)
        found = decode_command(packet, definitions)
        assert found.remainder == b"\x11\x22"
        assert found.problems == ("2 bytes are left over behind its parameters",)

    def test_an_absurd_counter_ends_with_the_packet(self, definitions):
        packet = encode_command(definitions, "ZTX00003", {"PTX00005": 0, "PTX00009": 1})
        packet = packet[:10] + b"\xff" + packet[11:]
        assert "ends before" in decode_command(packet, definitions).problems[-1]

    def test_no_telecommand_at_all(self, definitions):
        with pytest.raises(PacketError, match="at least 10 bytes"):
            read_header(b"\x1d\xac")
        with pytest.raises(PacketError, match="stixlab decode"):
            decode_command(b"\x0d" * 20, definitions)
        with pytest.raises(UnknownPacketError, match=r"2\.26\.99"):
            decode_command(bytes.fromhex("1DACC0000005") + bytes([0x19, 201, 1, 0, 0, 0]), definitions)
        with pytest.raises(UnknownPacketError, match="STIXLAB_IDB"):
            decode_command(bytes.fromhex("1DACC0000005") + bytes([0x19, 201, 1, 0, 0, 0]), [])

    @settings(max_examples=examples(100), deadline=None)
    @given(body=st.binary(max_size=60), subtype=st.integers(1, 4))
    def test_any_bytes_are_read(self, definitions, body, subtype):
        packet = bytes.fromhex("1DACC0000007") + bytes([0x19, 200, subtype, 0]) + body + b"\0\0"
        found = decode_command(packet, definitions)
        assert found.problems


class TestWrongValues:
    @pytest.mark.parametrize(
        ("name", "values", "reason"),
        [
            ("ZTX00401", {}, "expected a value of PTX00005"),
            ("ZTX00401", {"PTX00005": 256}, "from 0 to 255; found 256"),
            ("ZTX00401", {"PTX00005": [1, 2]}, "left over: 1 x PTX00005"),
            ("ZTX00401", {"PTX00005": "word"}, "expected a number; found 'word'"),
            ("ZTX00401", {"PTX00005": b"1"}, "found bytes"),
            ("ZTX00002", {"PTX00001": "Maybe"}, "Off, On, Perhaps"),
            ("ZTX00002", {"PTX00001": 1, "PTX00002": 128}, "from -128 to 127"),
            ("ZTX00002", {"PTX00001": 1, "PTX00002": 1, "PTX00003": b"12"}, "expected 3 bytes"),
            ("ZTX00009", {}, "not in mission database"),
        ],
    )
    def test_they_are_told(self, definitions, name, values, reason):
        with pytest.raises(PacketError, match=reason):
            encode_command(definitions, name, values)

    def test_so_is_a_header_that_does_not_fit(self, definitions):
        with pytest.raises(PacketError, match=r"sequence count.*16383; found 16384"):
            encode_command(definitions, "ZTX00001", sequence_count=16384)


def random_values(definitions, fields, chance: Random) -> list[tuple[str, int | bytes | str]]:
    """Valid values of some fields, their groups small."""
    values, i = [], 0
    while i < len(fields):
        field = fields[i]
        group = fields[i + 1 : i + 1 + field.group_size]
        if field.parameter:
            parameter = definitions.parameters[field.parameter]
            raw = chance.randint(0, min((1 << field.width_bits) - 1, 3 if group else 1 << 600))
            if parameter.kind == "octets":
                values.append((field.parameter, raw.to_bytes(field.width_bits // 8)))
            elif parameter.kind == "signed":
                values.append((field.parameter, raw - (1 << field.width_bits - 1)))
            else:
                word = definitions.words.get(parameter.words, {}).get(raw)
                values.append((field.parameter, raw if word is None else word))
            for _ in range(raw if group else 0):
                values += random_values(definitions, group, chance)
        i += 1 + len(group)
    return values


class TestMissionDatabases:
    def test_real_packets_say_what_their_report_says_and_are_made_of_it(self, real_data):
        definitions = load_commands(real_data / "idb")
        path = next((real_data / "telemetry" / "xml").glob("PktTcReport_*.xml"))
        for command in read_telecommands(path, path.name, DecodeReport(path.name, "edds-tc", 0)):
            packet = bytes.fromhex(command.raw)
            found = decode_command(packet, definitions)
            told = [(p["name"], p["value"]) for p in command.parameters]
            assert found.name == command.name
            assert found.problems == ()
            assert [(v.name, str(v.value)) for v in found.parameters] == told
            for version in definitions:
                made = encode_command(
                    version,
                    command.name,
                    told,
                    sequence_count=command.sequence_count,
                    source=found.header.source,
                )
                assert made == packet

    def test_a_data_selection_of_either_version_is_read_right(self, real_data):
        """2.26.35 widened two of its times from 16 to 24 bits; the packet's length tells which it is."""
        v34, v35 = load_commands(real_data / "idb")
        values = {
            "PIX00076": 2203010001,
            "PIX00070": 1,
            "PIX00072": 700000000,
            "PIX00073": 100,
            "PIX00248": 5,
            "PIX00071": 2,
            **{f"PIX00{n}": [1, 2] for n in ("077", "078", "079", "200", "201", "202")},
        }
        for version in (v34, v35):
            packet = encode_command(version, "ZIX38001", values)
            for order in ((v34, v35), (v35, v34)):
                found = decode_command(packet, order)
                assert found.problems == ()
                assert found.database_version == version.version
                assert found.parameters[0].raw == 2203010001

    @settings(max_examples=examples(10), deadline=None)
    @given(seed=st.integers(0, 1 << 32))
    def test_every_command_comes_back_as_it_was_made(self, real_data, seed):
        chance = Random(seed)
        for definitions in load_commands(real_data / "idb"):
            for name, command in definitions.commands.items():
                values = random_values(definitions, command.fields, chance)
                packet = encode_command(definitions, name, values, sequence_count=3, source=1)
                found = decode_command(packet, definitions, name=name)
                assert found.name == name
                assert found.problems == ()
                assert [(v.name, v.value) for v in found.parameters] == values
                assert (
                    encode_command(
                        definitions,
                        name,
                        [(v.name, v.raw) for v in found.values],
                        sequence_count=3,
                        source=1,
                    )
                    == packet
                )
