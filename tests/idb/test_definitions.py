"""The definitions shipped: complete, consistent, and the same as the mission database where they overlap."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import stixlab.idb
from stixlab.errors import FormatError, UnknownPacketError
from stixlab.idb import load_definitions
from stixlab.idb.mission import read_database
from stixlab.idb.tables import read_tables

SHIPPED = Path(stixlab.idb.__file__).parent / "data"


def test_definitions_equal_the_mission_database(real_data: Path) -> None:
    """All identifications; structures, widths, curves and states of the types that are decoded."""
    ours = load_definitions()
    for name in ("idb_v2.26.34_7dbe7b7d.sqlite", "idb_2.26.35_alpha.sqlite3"):
        mission = read_database(real_data / "idb" / name)
        assert ours.discriminators == mission.discriminators
        facts = [
            {(p.service, p.subtype, p.pi1, p.spid, p.apid) for p in d.packet_types.values()}
            for d in (ours, mission)
        ]
        assert facts[0] == facts[1]
        assert ours.structures == {spid: mission.structures[spid] for spid in (54101, 54102, 54118)}
        for parameter in ours.parameters.values():
            theirs = mission.parameters[parameter.name]
            assert (parameter.width_bits, parameter.signed) == (theirs.width_bits, theirs.signed)
            if parameter.curve:
                assert parameter.curve == theirs.curve
                assert ours.states.get(parameter.curve, ()) == mission.states.get(parameter.curve, ())
        for curve, (raw, value) in ours.point_pairs.items():
            assert np.array_equal(raw, mission.point_pairs[curve][0])
            assert np.array_equal(value, mission.point_pairs[curve][1])


def test_texts_are_our_own(real_data: Path) -> None:
    """No title of more than two words is that of the database."""
    ours = load_definitions()
    with closing(sqlite3.connect(real_data / "idb" / "idb_v2.26.34_7dbe7b7d.sqlite")) as db:
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
    titles = [x.title for x in (*ours.packet_types.values(), *ours.parameters.values())]
    assert not [t for t in titles if t.lower() in theirs and len(t.split()) > 2]
    assert all(titles)


def test_loading_is_quick() -> None:
    """`stixlab decode` pays for it at every start; generous for a busy machine."""
    best = min(_seconds() for _ in range(5))
    assert best < 0.03


def _seconds() -> float:
    begin = time.perf_counter()
    read_tables(SHIPPED)
    return time.perf_counter() - begin


def test_every_structure_compiles() -> None:
    """And has all its parameters, curves and states."""
    definitions = load_definitions()
    for spid in definitions.structures:
        assert spid in definitions.packet_types
        assert definitions.program(spid).columns
    for parameter in definitions.parameters.values():
        curve = parameter.curve
        assert (
            not curve
            or curve in definitions.point_pairs
            or curve in definitions.polynomials
            or curve in definitions.states
        )
    with pytest.raises(UnknownPacketError, match="no such packet"):
        definitions.program(1)


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


def test_a_folder_without_definitions_is_refused(tmp_path: Path) -> None:
    """The message names the setting."""
    with pytest.raises(FormatError, match="STIXLAB_IDB"):
        load_definitions(tmp_path)
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
    (tmp_path / "structures.csv").unlink()
    with pytest.raises(FormatError, match="structures"):
        read_tables(tmp_path)


def test_nothing_heavy_is_imported_on_the_way_to_decoded_packets() -> None:
    """`stixlab decode` of a small file must start at once."""
    program = (
        "import sys, stixlab.engineering.packets, stixlab.telemetry.sources, stixlab.telemetry.encode, stixlab.ephemeris\n"
        "print([m for m in ('xarray', 'astropy', 'pandas', 'numba', 'scipy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
