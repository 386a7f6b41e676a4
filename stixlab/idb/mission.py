"""Definitions read from a mission database (SQLite), for those who hold one."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from stixlab.errors import FormatError
from stixlab.idb.definitions import Definitions
from stixlab.idb.program import HEADER_BITS
from stixlab.idb.records import Discriminator, Field, PacketType, Parameter, State

__all__ = ["find_databases", "read_database"]

_SIGNED_INTEGER = 4
"""Parameter type code (PTC) of signed integers, ECSS-E-70-41A."""
_WIDTH_OF_PADS = {"ZZPAD008": 8, "ZZPAD016": 16, "ZZPAD024": 24, "ZZPAD032": 32}
"""Fillers whose width some versions leave out."""


def find_databases(folder: Path) -> list[Path]:
    """SQLite files of a folder, those of the highest version last."""
    files = [p for p in sorted(folder.iterdir()) if p.suffix in {".sqlite", ".sqlite3", ".db"}]
    return sorted(files, key=lambda p: tuple(int(n) for n in _version(p).split(".") if n.isdigit()))


def _version(path: Path) -> str:
    with closing(_connect(path)) as database:
        return str(next(_select(database, path, "SELECT version FROM IDB"))[0])


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _select(database: sqlite3.Connection, path: Path, query: str) -> Iterator[tuple[Any, ...]]:
    try:
        yield from database.execute(query).fetchall()
    except sqlite3.Error as error:
        raise FormatError(
            f"mission database {path}: expected the tables of SCOS-2000; found: {error}"
        ) from error


def read_database(path: Path) -> Definitions:
    """Definitions of a mission database.

    Raises
    ------
    FormatError
        If the file is no SQLite database or lacks a table.
    """
    with closing(_connect(path)) as db:

        def rows(query: str) -> Iterator[tuple[Any, ...]]:
            return _select(db, path, query)

        kinds, by_tpsd = {}, {}
        for service, subtype, pi1, spid, apid, tpsd, title in rows(
            "SELECT PID_TYPE, PID_STYPE, PID_PI1_VAL, PID_SPID, PID_APID, PID_TPSD, PID_DESCR FROM PID"
        ):
            kinds[int(spid)] = PacketType(int(service), int(subtype), int(pi1), int(spid), int(apid), title)
            if int(tpsd) != -1:
                by_tpsd[int(tpsd)] = int(spid)
        discriminators: dict[tuple[int, int], Discriminator] = {}
        for service, subtype, offset, width in rows(
            "SELECT PIC_TYPE, PIC_STYPE, PIC_PI1_OFF, PIC_PI1_WID FROM PIC ORDER BY PIC_PI1_OFF"
        ):
            # a kind listed twice: the row with a place comes last and stays
            discriminators[int(service), int(subtype)] = Discriminator(int(offset), int(width))
        parameters = {
            name: Parameter(
                name,
                int(width or _WIDTH_OF_PADS.get(name, 16)),
                int(ptc) == _SIGNED_INTEGER,
                unit or "",
                curve or "",
                title,
            )
            for name, width, ptc, unit, curve, title in rows(
                "SELECT PCF_NAME, PCF_WIDTH, PCF_PTC, PCF_UNIT, PCF_CURTX, PCF_DESCR FROM PCF"
            )
        }
        structures = _fixed(rows("SELECT PLF_SPID, PLF_OFFBY, PLF_OFFBI, PLF_NAME FROM PLF"), parameters)
        structures = {
            spid: fields for spid, fields in structures.items() if spid in kinds and spid not in by_tpsd
        }
        variable: dict[int, list[Field]] = defaultdict(list)
        for tpsd, name, gap, group in rows(
            "SELECT VPD_TPSD, VPD_NAME, VPD_OFFSET, VPD_GRPSIZE FROM VPD ORDER BY VPD_TPSD, CAST(VPD_POS AS INTEGER)"
        ):
            if int(tpsd) in by_tpsd:
                variable[by_tpsd[int(tpsd)]].append(Field(name, int(gap or 0), int(group or 0)))
        structures |= {spid: tuple(fields) for spid, fields in variable.items()}
        points: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for curve, raw, value in rows("SELECT CAP_NUMBR, CAP_XVALS, CAP_YVALS FROM CAP"):
            points[curve].append((float(raw), float(value)))
        states: dict[str, list[State]] = defaultdict(list)
        for curve, first, last, word in rows("SELECT TXP_NUMBR, TXP_FROM, TXP_TO, TXP_ALTXT FROM TXP"):
            states[curve].append(State(int(first), int(last), word))
        tables = {name: np.array(sorted(pairs)) for name, pairs in points.items()}
        return Definitions(
            version=_version(path),
            packet_types=kinds,
            discriminators=discriminators,
            structures=structures,
            parameters=parameters,
            point_pairs={name: (t[:, 0].copy(), t[:, 1].copy()) for name, t in tables.items()},
            polynomials={
                row[0]: tuple(float(a or 0) for a in row[1:])
                for row in rows("SELECT MCF_IDENT, MCF_POL1, MCF_POL2, MCF_POL3, MCF_POL4, MCF_POL5 FROM MCF")
            },
            states={curve: tuple(sorted(words, key=lambda s: s.first)) for curve, words in states.items()},
        )


def _fixed(rows: Iterator[tuple[Any, ...]], parameters: dict[str, Parameter]) -> dict[int, tuple[Field, ...]]:
    """Structures of fixed places, turned into gaps; at one place the wider field comes first."""
    places: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for spid, byte, bit, name in rows:
        places[int(spid)].append((int(byte) * 8 + int(bit), -parameters[name].width_bits, name))
    structures = {}
    for spid, fields in places.items():
        end, placed = HEADER_BITS, []
        for start, minus_width, name in sorted(fields):
            placed.append(Field(name, start - end, 0))
            end = start - minus_width
        structures[spid] = tuple(placed)
    return structures
