"""Definitions of commands, read from databases made here and from the mission's."""

from datetime import UTC, datetime

import pytest

from stixlab.errors import FormatError
from stixlab.idb import load_versions
from stixlab.idb.telecommands import (
    CommandField,
    import_commands,
    in_force_first,
    load_commands,
    read_commands,
)
from tests.support.commands import FIELDS, write_database


def test_a_database_is_read_whole(tmp_path):
    definitions = read_commands(write_database(tmp_path / "a.sqlite"))
    assert definitions.version == "2.26.99"
    assert sorted(definitions.commands) == ["ZTX00001", "ZTX00002", "ZTX00003", "ZTX00401", "ZTX00402"]
    assert definitions.commands["ZTX00001"].fields == ()
    assert definitions.commands["ZTX00402"].fields[0] == CommandField("", 8, 0, 0xB)
    assert definitions.parameters["PTX00002"].kind == "signed"
    assert definitions.words["CTX1"] == {0: "Off", 1: "On", 7: "Perhaps"}
    assert [c.name for c in definitions.kinds[200, 4]] == ["ZTX00401", "ZTX00402"]


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (("ZTX00401", "E", 8, 17, 0, "PTX00005", None), "expected a field at bit 16"),
        (("ZTX00401", "E", 8, 16, 1, "PTX00005", None), "ends behind it"),
        (("ZTX00401", "E", 8, 16, 0, "PTX99999", None), "PTX99999 is not defined"),
        (("ZTX00401", "E", "many", 16, 0, "PTX00005", None), "numbers"),
    ],
)
def test_a_command_that_cannot_be_laid_out_is_told(tmp_path, field, reason):
    with pytest.raises(FormatError, match=reason):
        read_commands(write_database(tmp_path / "a.sqlite", fields=[*FIELDS, field]))


def test_other_files_are_told(tmp_path):
    (tmp_path / "a.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(FormatError, match=r"a\.sqlite.*CCF"):
        load_commands(tmp_path)
    assert load_commands(None) == load_commands(tmp_path / "nowhere") == ()


def test_imported_commands_are_the_same(tmp_path):
    database = write_database(tmp_path / "a.sqlite")
    (tmp_path / "imported" / "2.26.99-abc").mkdir(parents=True)
    import_commands(database, tmp_path / "imported" / "2.26.99-abc")
    (imported,) = load_commands(None, tmp_path / "imported")
    direct = read_commands(database)
    assert imported.commands == direct.commands
    assert imported.parameters == direct.parameters
    assert imported.words == direct.words
    assert imported.version == direct.version


def test_a_folder_that_is_named_comes_before_what_was_imported(tmp_path):
    old, new = tmp_path / "imported" / "x", tmp_path / "named"
    old.mkdir(parents=True)
    new.mkdir()
    import_commands(write_database(tmp_path / "a.sqlite", fields=FIELDS[:1]), old)
    write_database(new / "b.sqlite")
    write_database(new / "c.sqlite", version="2.26.100")
    found = load_commands(new, tmp_path / "imported")
    assert [d.version for d in found] == ["2.26.99", "2.26.100"]
    assert len(found[0].commands["ZTX00002"].fields) == 5


def test_damaged_tables_are_told(tmp_path):
    (tmp_path / "telecommands.json").write_text('{"version": "1"}')
    with pytest.raises(FormatError, match="import the database again"):
        load_commands(tmp_path)


def test_the_version_in_force_comes_first(tmp_path):
    """Eras of `wire-facts`: 2.26.34 to 2021-06-23, then 2.26.35 to 2021-12-09."""
    for version in ("2.26.34", "2.26.35"):
        write_database(tmp_path / f"{version}.sqlite", version=version)
    definitions, eras = load_commands(tmp_path), load_versions().eras

    def order(*time: int) -> list[str]:
        return [d.version for d in in_force_first(definitions, datetime(*time, tzinfo=UTC), eras)]

    assert order(2021, 3, 1) == ["2.26.34", "2.26.35"]
    assert order(2021, 8, 1) == order(2024, 8, 1) == ["2.26.35", "2.26.34"]
    assert order(2020, 4, 20) == ["2.26.34", "2.26.35"]
    assert [d.version for d in in_force_first(definitions, None, eras)] == ["2.26.35", "2.26.34"]
    assert in_force_first((), None, eras) == []


class TestMissionDatabases:
    def test_all_commands_of_both(self, real_data):
        """100 commands each, 2.26.35 with 24 bits for the times of a data selection."""
        v34, v35 = load_commands(real_data / "idb")
        assert (v34.version, v35.version) == ("2.26.34", "2.26.35")
        assert len(v34.commands) == len(v35.commands) == 100
        assert sum(len(c.fields) for c in v34.commands.values()) == 1387
        changed = {n for n in v34.commands if v34.commands[n] != v35.commands[n]}
        assert changed == {"ZIX37011", "ZIX38001"}

    def test_the_extra_byte_counts_commands_of_one_kind_by_name(self, real_data):
        """Its place and meaning in `wire-facts`: byte 10 of (237,7) and (236,6), from 1."""
        for definitions in load_commands(real_data / "idb"):
            for kind, n in (((237, 7), 24), ((236, 6), 8)):
                areas = [c.fields[0] for c in definitions.kinds[kind]]
                assert areas == [CommandField("", 8, 0, i + 1) for i in range(n)]
