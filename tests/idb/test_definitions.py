"""The definitions shipped: complete, consistent, and the same as the mission databases."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import stixlab.idb
from stixlab.errors import FormatError, UnknownPacketError
from stixlab.idb import Definitions, Field, load_definitions, load_versions
from stixlab.idb.mission import read_database
from stixlab.idb.patches import apply_patches, shipped_patches
from stixlab.idb.tables import read_tables, write_tables

SHIPPED = Path(stixlab.idb.__file__).parent / "data"
DATABASES = {"2.26.34": "idb_v2.26.34_7dbe7b7d.sqlite", "2.26.35": "idb_2.26.35_alpha.sqlite3"}
NEWER_THAN_HELD = "spacewire-status-split"
"""Difference of 2.26.35 that the held copy of 2.26.35 does not have yet."""


def of_version(version: str) -> Definitions:
    """The definitions shipped for a version."""
    return next(d for d in load_versions().distinct if d.version == version)


def curves_in_use(definitions: Definitions) -> dict[str, object]:
    """What the curve of each parameter of a structure stands for."""
    found: dict[str, object] = {}
    for name in {f.parameter for fields in definitions.structures.values() for f in fields}:
        curve = definitions.parameters[name].curve
        points = definitions.point_pairs.get(curve)
        found[curve] = (
            definitions.polynomials.get(curve),
            definitions.states.get(curve),
            None if points is None else (points[0].tolist(), points[1].tolist()),
        )
    return found


@pytest.mark.parametrize("version", DATABASES)
def test_every_field_that_is_no_text_equals_the_mission_database(real_data: Path, version: str) -> None:
    """All packet types, structures, parameters and calibrations of both databases that are held."""
    mission = read_database(real_data / "idb" / DATABASES[version])
    assert mission.version == version
    mission = apply_patches(mission, [p for p in shipped_patches() if p.name == NEWER_THAN_HELD])
    ours = of_version(version)
    assert ours.discriminators == mission.discriminators
    for one in (ours, mission):
        assert len(one.packet_types) == 246
        assert set(one.packet_types) - set(one.structures) == {54331}
    for spid, kind in mission.packet_types.items():
        mine = ours.packet_types[spid]
        assert (mine.service, mine.subtype, mine.pi1, mine.apid) == (
            kind.service,
            kind.subtype,
            kind.pi1,
            kind.apid,
        )
    assert ours.structures == mission.structures
    used = {f.parameter for fields in ours.structures.values() for f in fields}
    assert len(used) >= 655
    for name in used:
        mine, theirs = ours.parameters[name], mission.parameters[name]
        assert (mine.width_bits, mine.signed, mine.unit, mine.curve) == (
            theirs.width_bits,
            theirs.signed,
            theirs.unit,
            theirs.curve,
        ), name
    assert curves_in_use(ours) == curves_in_use(mission)


@pytest.mark.parametrize("version", DATABASES)
def test_the_corrections_change_what_they_name_and_nothing_else(real_data: Path, version: str) -> None:
    """In the databases that are held; so the test above hides nothing."""
    path = real_data / "idb" / DATABASES[version]
    before, after = read_database(path, corrected=False), read_database(path)
    changed = {n for n, p in before.parameters.items() if p != after.parameters[n]}
    uncalibrated = {"NIX00090", "NIX00091", "NIX00092", "NIX00093", "NIX00094"}
    uncalibrated |= {"NIXG0253", "NIXG0254", "NIXG0255"}
    durations = {"NIX00122", "NIX00123", "NIX00124", "NIX00269", "NIX00404", "NIX00405", "NIX00441"}
    expected = uncalibrated | {"NIX00102", "NIX00401"}
    assert changed == expected | (durations if version == "2.26.34" else set())
    for name in changed:
        one, other = before.parameters[name], after.parameters[name]
        assert (one.width_bits, one.signed) == (other.width_bits, other.signed)
        assert (other.unit, other.curve) == ("", "")
    assert after.structures == before.structures | {54330: ()}


def test_the_tables_shipped_are_the_database_before_any_correction(real_data: Path) -> None:
    """What is corrected is told by the patches, and by nothing else."""
    base = read_tables(SHIPPED)
    mission = read_database(real_data / "idb" / DATABASES["2.26.34"], corrected=False)
    assert base.structures == mission.structures
    for name, parameter in base.parameters.items():
        theirs = mission.parameters[name]
        assert (parameter.width_bits, parameter.signed) == (theirs.width_bits, theirs.signed)
        assert (parameter.unit, parameter.curve) == (theirs.unit, theirs.curve)
    assert curves_in_use(base) == curves_in_use(mission)


def test_texts_are_our_own(real_data: Path) -> None:
    """No title of more than two words is that of the database; each parameter has one of its own."""
    with closing(sqlite3.connect(real_data / "idb" / DATABASES["2.26.34"])) as db:
        theirs = {
            r[0].lower()
            for q in (
                "SELECT PID_DESCR FROM PID",
                "SELECT PCF_DESCR FROM PCF",
                "SELECT SW_DESCR FROM SW_PARA",
            )
            for r in db.execute(q)
            if r[0]
        }
    for ours in load_versions().distinct:
        titles = [x.title for x in (*ours.packet_types.values(), *ours.parameters.values())]
        assert not [t for t in titles if t.lower() in theirs and len(t.split()) > 2]
        assert not [t for t in titles if not t or re.search(r"NIX|ZZPAD", t)]
        assert len(set(titles)) == len(titles)


def test_every_structure_compiles() -> None:
    """In every version, and has all its parameters, curves and states."""
    for definitions in load_versions().distinct:
        assert len(definitions.structures) == 245
        for spid, fields in definitions.structures.items():
            assert spid in definitions.packet_types
            assert set(definitions.program(spid).columns) == {f.parameter for f in fields}
        for parameter in definitions.parameters.values():
            curve = parameter.curve
            tables = (definitions.point_pairs, definitions.polynomials, definitions.states)
            assert not curve or sum(curve in table for table in tables) == 1
            assert curve or not parameter.unit
        with pytest.raises(UnknownPacketError, match="no such packet"):
            definitions.program(1)
        with pytest.raises(UnknownPacketError, match="Context for the next start"):
            definitions.program(54331)


def test_what_carries_nothing_has_a_structure_of_no_fields() -> None:
    """The answer to the connection test, unlike the context file, of which nothing is known."""
    program = load_definitions().program(54330)
    assert program.columns == ()
    assert len(program.steps) == 0


def test_identification_of_many_is_that_of_one() -> None:
    """Also for pairs that do not exist."""
    definitions = load_definitions()
    kinds = list(definitions.packet_types.values())
    service = np.array([k.service for k in kinds] + [21, 255], dtype=np.uint8)
    subtype = np.array([k.subtype for k in kinds] + [6, 255], dtype=np.uint8)
    pi1 = np.array([k.pi1 for k in kinds] + [99, -1], dtype=np.int32)
    found = definitions.identify_many(service, subtype, pi1)
    assert found.tolist() == [k.spid for k in kinds] + [-1, -1]
    service, subtype = np.array([21, 21], dtype=np.uint8), np.array([6, 6], dtype=np.uint8)
    spids = definitions.identify_many(service, subtype, np.array([30, 99], dtype=np.int32))
    assert spids.tolist() == [54118, -1]
    assert definitions.packet_types[54118].spid == 54118


@pytest.mark.parametrize(
    ("text", "spids"),
    [
        ("heartbeat", {54103}),
        ("VISIBILITIES", {54113, 54117}),
        ("temperature aspect", {54102}),
        ("nixd0449", {54122}),
        ("spectrogram selected", {54142}),
        ("attenuator sub-spectrum", set()),
    ],
)
def test_packet_types_are_found_by_words(text: str, spids: set[int]) -> None:
    """Of their title, or of name and title of one of their parameters; in any order and case."""
    assert load_definitions().find(text) == spids


def test_searching_for_nothing_finds_all() -> None:
    """As in a form whose field is left empty."""
    definitions = load_definitions()
    assert definitions.find("  ") == set(definitions.packet_types)


def test_tables_written_are_read_back_equal(tmp_path: Path) -> None:
    """Also a structure without fields, words with commas and quotes, and the note."""
    for definitions in load_versions().distinct:
        folder = tmp_path / definitions.version
        write_tables(definitions, folder)
        again = read_tables(folder)
        for part in ("version", "note", "packet_types", "discriminators", "structures", "parameters"):
            assert getattr(again, part) == getattr(definitions, part)
        assert again.polynomials == definitions.polynomials
        assert again.states == definitions.states
        assert set(again.point_pairs) == set(definitions.point_pairs)
        assert curves_in_use(again) == curves_in_use(definitions)


def test_a_folder_without_definitions_is_refused(tmp_path: Path) -> None:
    """The message names the setting."""
    with pytest.raises(FormatError, match="STIXLAB_IDB"):
        load_definitions(tmp_path)
    with pytest.raises(FormatError, match="STIXLAB_IDB"):
        load_definitions(tmp_path / "not there")
    (tmp_path / "x.sqlite").write_bytes(b"no database")
    with pytest.raises(FormatError, match="SCOS-2000"):
        load_definitions(tmp_path)


def test_damaged_tables_are_named(tmp_path: Path) -> None:
    """Missing, other columns, a word where a number belongs."""
    for table in SHIPPED.iterdir():
        (tmp_path / table.name).write_bytes(table.read_bytes())
    text = (tmp_path / "structures.csv").read_text()
    (tmp_path / "structures.csv").write_text(text.replace("54118,NIX00445,0", "54118,NIX00445,zero"))
    with pytest.raises(FormatError, match="zero"):
        read_tables(tmp_path)
    (tmp_path / "structures.csv").write_text("a,b\n")
    with pytest.raises(FormatError, match="expected the columns spid"):
        read_tables(tmp_path)
    (tmp_path / "structures.csv").write_text("spid,parameter,gap_bits,group_size\n1,NIX00120,0\n")
    with pytest.raises(FormatError, match="3 values, 4 expected"):
        read_tables(tmp_path)
    (tmp_path / "structures.csv").unlink()
    with pytest.raises(FormatError, match="structures"):
        read_tables(tmp_path)


def test_a_parameter_without_a_width_is_told() -> None:
    """A field of no bits would be read as nothing, for ever 0."""
    definitions = load_definitions()
    bad = stixlab.idb.Parameter("X", 0, signed=False, unit="", curve="", title="x")
    with pytest.raises(FormatError, match="X has no width"):
        stixlab.idb.program.shared_program(9, (Field("X", 0, 0),), definitions.parameters | {"X": bad})


def test_nothing_heavy_is_imported_on_the_way_to_decoded_packets() -> None:
    """`stixlab decode` of a small file must start at once."""
    program = (
        "import sys, stixlab.engineering.packets, stixlab.telemetry.sources, stixlab.telemetry.encode, stixlab.ephemeris\n"
        "from stixlab.idb import load_versions; load_versions()\n"
        "print([m for m in ('xarray', 'astropy', 'pandas', 'numba', 'scipy', 'pydantic', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
