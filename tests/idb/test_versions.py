"""Which definitions hold when, and where they come from."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stixlab.cli.definitions import idb_command
from stixlab.errors import FormatError, UnknownPacketError
from stixlab.idb import (
    IMPORTED,
    Field,
    State,
    Versions,
    import_database,
    load_definitions,
    load_versions,
    remove_imported,
)
from stixlab.idb.mission import find_databases, read_database
from tests.idb.databases import ROWS, make_database


def test_each_era_has_definitions_and_stand_ins_are_told() -> None:
    """What is not known is not claimed: the version is that of the definitions, the note names the others."""
    versions = load_versions()
    assert [versions[e.index].version for e in versions.eras] == ["2.26.33"] * 4 + ["2.26.34"] + [
        "2.26.35"
    ] * 3
    assert "2.26.36, 2.26.38" in versions.latest.note
    assert "2.26.31, 2.26.32" in versions[0].note
    assert "not compared" in versions[0].note
    assert versions[4].note == ""
    assert versions.at(643123724).version == "2.26.33"
    assert versions.at(643123725).version == "2.26.34"
    assert list(versions.distinct.values()) == [(0, 1, 2, 3), (4,), (5, 6, 7)]


def test_equal_structures_share_one_program() -> None:
    """Whatever the version, so that packets of several eras are decoded together."""
    versions = load_versions()
    for spid in versions.latest.structures:
        programs = {id(d.program(spid)) for d in versions.distinct}
        same = {
            tuple((f, d.parameters[f.parameter].width_bits) for f in d.structures[spid])
            for d in versions.distinct
        }
        assert len(programs) == len(same)
    era = np.array([7, 0, 4, 5, 4], dtype=np.uint8)
    ((program, mask),) = versions.programs(54102, era)
    assert program is versions.latest.program(54102)
    assert mask.all()
    found = versions.programs(54143, era)
    assert {tuple(mask.tolist()) for _, mask in found} == {
        (False, True, True, False, True),
        (True, False, False, True, False),
    }
    assert {"NIX00441" in p.columns for p, _ in found} == {True, False}
    with pytest.raises(UnknownPacketError, match="Context"):
        versions.programs(54331, era)
    assert versions.programs(54102, era[:0]) == []


def test_a_mission_database_with_slips_is_read(tmp_path: Path) -> None:
    """Numbers as text, missing widths, S for seconds, rows in any order, a discriminator listed twice."""
    definitions = read_database(make_database(tmp_path / "a.sqlite"))
    assert definitions.version == "2.26.36"
    assert (definitions.discriminators[21, 6].offset_bytes, definitions.discriminators[21, 6].width_bits) == (
        16,
        8,
    )
    assert definitions.structures[54124] == (
        Field("NIX00120", 0, 0),
        Field("NIX00123", 0, 0),
        Field("NIX00146", 0, 1),
        Field("NIX00158", 0, 0),
    )
    assert definitions.parameters["NIX00123"].width_bits == 16
    assert definitions.parameters["NIX00123"].curve == ""
    assert definitions.parameters["ZZPAD024"].width_bits == 24
    assert definitions.parameters["XSECONDS"].unit == "s"
    assert definitions.parameters["XSECONDS"].signed
    assert definitions.parameters["XVOLT"].unit == ""
    assert definitions.structures[54330] == ()
    assert [points.tolist() for points in definitions.point_pairs["CIXP1"]] == [[9, 20, 100], [1, 2, 10]]
    assert definitions.states["CIXT1"] == (State(0, 1, "Few"), State(2, 9, "Some"), State(10, 255, "Many"))
    assert definitions.structures[54345][0].parameter == "NIX00002"
    assert definitions.parameters["NIXD0168"].width_bits == 3


def test_corrections_of_old_databases(tmp_path: Path) -> None:
    """The version is in the name of the file where no table has it."""
    definitions = read_database(make_database(tmp_path / "idb_v2.26.28_x.sqlite", None))
    assert definitions.version == "2.26.28"
    assert [f.parameter for f in definitions.structures[54345]] == ["NIX00001", "NIX00002", "NIX00003"]
    assert definitions.parameters["NIXD0168"].width_bits == 6
    assert definitions.point_pairs["CIXP0037TM"][1].tolist() == [0, 3.276]
    with pytest.raises(FormatError, match="rename it"):
        read_database(make_database(tmp_path / "nameless.sqlite", None))


def test_a_database_of_words_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the file named."""
    monkeypatch.setitem(ROWS, "PID", [(21, 6, "many", 1, 1, 1, "x")])
    with pytest.raises(FormatError, match=r"a\.sqlite.*many"):
        read_database(make_database(tmp_path / "a.sqlite"))


@pytest.mark.parametrize("table", sorted(ROWS))
@pytest.mark.parametrize("value", [None, "", "x", -3, str(10**30), b"\xff"])
def test_whatever_stands_in_a_cell_it_is_imported_or_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, value: object
) -> None:
    """Every cell of a row in turn; a structure that makes no sense then is left out."""
    for column in range(len(ROWS[table][0])):
        rows = [list(row) for row in ROWS[table]]
        rows[0][column] = value
        with monkeypatch.context() as patched:
            patched.setitem(ROWS, table, [tuple(row) for row in rows])
            database = make_database(tmp_path / f"{column}.sqlite")
        with suppress(FormatError):
            stored = import_database(database, tmp_path / IMPORTED)
            latest = load_versions(None, tmp_path / IMPORTED).latest
            assert latest.structures == stored.structures
            for spid in latest.structures:
                latest.program(spid)
            none = np.zeros(1, dtype=np.uint8)
            assert latest.identify_many(none, none, np.array([-1], dtype=np.int32)).shape == (1,)
            assert latest.known_services.any()
            assert latest.find("only they")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A folder that is named like a database, a file cut off."""
    (tmp_path / "a.sqlite").mkdir()
    with pytest.raises(FormatError, match=r"a\.sqlite"):
        read_database(tmp_path / "a.sqlite")
    whole = make_database(tmp_path / "b.sqlite").read_bytes()
    (tmp_path / "b.sqlite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match=r"b\.sqlite"):
        read_database(tmp_path / "b.sqlite")


def test_databases_of_a_folder_are_ordered_by_number(tmp_path: Path) -> None:
    """The highest version last."""
    make_database(tmp_path / "a.sqlite", "2.26.36")
    make_database(tmp_path / "b.sqlite3", "2.26.4")
    assert [p.name for p in find_databases(tmp_path)] == ["b.sqlite3", "a.sqlite"]


def test_what_is_imported_serves_its_era_and_those_behind(tmp_path: Path) -> None:
    """The others keep what is shipped; our titles stay, theirs fill up."""
    imported = tmp_path / IMPORTED
    stored = import_database(make_database(tmp_path / "a.sqlite"), imported)
    assert "60000" in stored.note
    assert 60000 not in stored.structures
    versions = load_versions(None, imported)
    assert [versions[e.index].version for e in versions.eras][5:] == ["2.26.35", "2.26.36", "2.26.36"]
    assert "2.26.38" in versions.latest.note
    assert "a.sqlite" in versions.latest.note
    assert versions[6].source.startswith(str(imported))
    assert versions[6].parameters["NIX00158"].title == load_definitions().parameters["NIX00158"].title
    assert versions[6].parameters["XSTATE"].title == "Only theirs"
    assert versions[6].packet_types[60000].title == "A kind that # only they have"
    assert versions[6].parameters["XVOLT"].title == "XVOLT"
    assert versions[6].structures == stored.structures
    assert versions[6].program(54330).columns == ()
    assert load_versions().latest.version == "2.26.35"


def test_an_import_replaces_that_of_the_same_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the earlier one is left; the same again changes nothing."""
    imported = tmp_path / IMPORTED
    import_database(make_database(tmp_path / "a.sqlite"), imported)
    monkeypatch.setitem(ROWS, "TXP", [("CIXT1", 0, 3, "All")])
    again = make_database(tmp_path / "b.sqlite")
    for _ in range(2):
        import_database(again, imported)
        assert len(list(imported.iterdir())) == 1
        assert load_versions(None, imported).latest.states["CIXT1"] == (State(0, 3, "All"),)
    remove_imported("2.26.36", imported)
    assert list(imported.iterdir()) == []
    assert load_versions(None, imported).latest.version == "2.26.35"
    with pytest.raises(FormatError, match=r"found 2\.26\.36; imported are: none"):
        remove_imported("2.26.36", imported)


def test_the_folder_of_the_setting_comes_before_what_is_imported(tmp_path: Path) -> None:
    """Databases, or tables that an import has made."""
    imported, folder = tmp_path / IMPORTED, tmp_path / "mine"
    import_database(make_database(tmp_path / "a.sqlite"), imported)
    folder.mkdir()
    make_database(folder / "a.sqlite")
    make_database(folder / "b.sqlite", "2.26.32")
    versions = load_versions(folder, imported)
    assert versions[6].source == str(folder / "a.sqlite")
    assert [versions[e.index].version for e in versions.eras][:4] == [
        "2.26.32",
        "2.26.32",
        "2.26.32",
        "2.26.33",
    ]
    (tables,) = imported.iterdir()
    assert load_versions(tables)[6].source == str(tables)
    copied = tmp_path / "copied"
    shutil.copytree(tables, copied / "any name")
    assert load_versions(copied)[6].source == str(copied / "any name")


def test_both_databases_held_are_taken_instead(real_data: Path, tmp_path: Path) -> None:
    """The structures are the same as those shipped, so the programs are."""
    folder = real_data / "idb"
    versions = load_versions(folder)
    assert {v.source for v in (versions[4], versions[5])} == {str(p) for p in find_databases(folder)}
    for database in find_databases(folder):
        import_database(database, tmp_path)
    imported, shipped = load_versions(None, tmp_path), load_versions()
    for era in (4, 7):
        for spid, fields in shipped[era].structures.items():
            for other in (versions, imported):
                if (era, spid) != (7, 54246):  # that copy is older than the difference
                    assert other[era].structures[spid] == fields
                    assert other[era].program(spid) is shipped[era].program(spid)
    assert imported[4].parameters["NIXD0054"].title == shipped[4].parameters["NIXD0054"].title


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """List, import, list, find, remove."""
    monkeypatch.setenv("STIXLAB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STIXLAB_IDB", raising=False)

    def run(*arguments: str) -> list[dict[str, object]]:
        done = CliRunner().invoke(idb_command, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert [row["source"] for row in run("--json")] == ["shipped"] * 8
    (row,) = run("import", str(make_database(tmp_path / "a.sqlite")), "--json")
    assert row["version"] == "2.26.36"
    assert [row["definitions"] for row in run("--json")][5:] == ["2.26.35", "2.26.36", "2.26.36"]
    assert [row["spid"] for row in run("find", "connection", "test", "--json")] == [54330]
    assert "start-time-24-bit" in [row["patch"] for row in run("patches", "--json")]
    assert run("remove", "2.26.36") == []
    assert [row["source"] for row in run("--json")] == ["shipped"] * 8
    table = CliRunner().invoke(idb_command, []).stdout
    assert "taken in the place of 2.26.36, 2.26.38" in table


def test_one_version_for_all_times() -> None:
    """For trials with a database of one's own."""
    definitions = load_definitions()
    versions = Versions.single(definitions)
    assert versions.at(0) is versions.latest is definitions
