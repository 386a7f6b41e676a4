"""Definitions read from a mission database (SQLite), for those who hold one."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from stixlab.errors import FormatError
from stixlab.idb.definitions import Definitions
from stixlab.idb.patches import apply_patches, shipped_patches
from stixlab.idb.program import HEADER_BITS
from stixlab.idb.records import Discriminator, Field, PacketType, Parameter, State

__all__ = ["find_databases", "read_database"]

_SIGNED_INTEGER = 4
"""Parameter type code (PTC) of signed integers, ECSS-E-70-41A."""
_NUMBER_OF_VERSION = re.compile(r"\d+\.\d+\.\d+")


def find_databases(folder: Path) -> list[Path]:
    """SQLite files of a folder, those of the highest version last."""
    files = [p for p in sorted(folder.iterdir()) if p.suffix in {".sqlite", ".sqlite3", ".db"}]
    return sorted(files, key=lambda p: tuple(int(n) for n in _version(p).split(".") if n.isdigit()))


def _version(path: Path) -> str:
    with closing(_connect(path)) as database:
        if next(_select(database, path, "SELECT count(*) FROM sqlite_master WHERE name = 'IDB'"))[0]:
            return str(next(_select(database, path, "SELECT version FROM IDB"))[0])
    named = _NUMBER_OF_VERSION.search(path.name)
    if named is None:
        raise FormatError(
            f"mission database {path}: expected its version in the table IDB or in the name of the file; found "
            f"neither; rename it, such as idb_2.26.28.sqlite",
            path=path,
        )
    return named[0]


def _line(text: str | None) -> str:
    """A text on one line; empty if there is none."""
    return " ".join(str(text or "").split())


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error as error:
        raise FormatError(
            f"mission database {path}: expected a file that can be read; found: {error}"
        ) from error


def _select(database: sqlite3.Connection, path: Path, query: str) -> Iterator[tuple[Any, ...]]:
    try:
        yield from database.execute(query).fetchall()
    except sqlite3.Error as error:
        raise FormatError(
            f"mission database {path}: expected the tables of SCOS-2000; found: {error}"
        ) from error


def read_database(path: Path, *, corrected: bool = True) -> Definitions:
    """Definitions of a mission database.

    Parameters
    ----------
    path
    corrected
        Apply the named corrections of the project; False for what the database says itself.

    Raises
    ------
    FormatError
        If the file is no SQLite database, lacks a table, or has words where numbers belong.
    """
    try:
        definitions = _read(path)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"mission database {path}: expected the tables of SCOS-2000; found: {error!r}", path=path
        ) from error
    _check_numbers(definitions, path)
    if not corrected:
        return definitions
    return apply_patches(definitions, [p for p in shipped_patches() if p.is_correction])


def _check_numbers(definitions: Definitions, path: Path) -> None:
    """Refuse numbers that no packet header can hold."""
    for kind in definitions.packet_types.values():
        held = (kind.service, kind.subtype, kind.pi1, kind.spid, kind.apid)
        if not all(
            0 <= n <= most for n, most in zip(held, (255, 255, 0xFFFF, 0x7FFFFFFF, 2047), strict=True)
        ):
            raise FormatError(
                f"mission database {path}: expected service, subtype, discriminator, SPID and APID that a packet can "
                f"have in the table PID; found {held}",
                path=path,
            )
    for pair, place in definitions.discriminators.items():
        if (
            not all(0 <= n <= 255 for n in pair)
            or place.width_bits not in {0, 8, 16}
            or not -1 <= place.offset_bytes <= 4096
        ):
            raise FormatError(
                f"mission database {path}: expected service, subtype, offset and width (0, 8 or 16) in the table "
                f"PIC; found {pair} and {place}",
                path=path,
            )


_Rows = Callable[[str], Iterator[tuple[Any, ...]]]


def _read(path: Path) -> Definitions:
    with closing(_connect(path)) as db:

        def rows(query: str) -> Iterator[tuple[Any, ...]]:
            return _select(db, path, query)

        kinds, by_tpsd = _packet_types(rows)
        discriminators: dict[tuple[int, int], Discriminator] = {}
        for service, subtype, offset, width in rows(
            "SELECT PIC_TYPE, PIC_STYPE, PIC_PI1_OFF, PIC_PI1_WID FROM PIC ORDER BY CAST(PIC_PI1_OFF AS INTEGER)"
        ):
            # a kind listed twice: the row with a place comes last and stays
            discriminators[int(service), int(subtype)] = Discriminator(int(offset), int(width))
        parameters = {
            name: Parameter(
                name,
                int(width or 0),
                int(ptc) == _SIGNED_INTEGER,
                unit or "",
                curve or "",
                _line(title) or name,
            )
            for name, width, ptc, unit, curve, title in rows(
                "SELECT PCF_NAME, PCF_WIDTH, PCF_PTC, PCF_UNIT, PCF_CURTX, PCF_DESCR FROM PCF"
            )
        }
        fixed = _fixed(rows("SELECT PLF_SPID, PLF_OFFBY, PLF_OFFBI, PLF_NAME FROM PLF"), parameters)
        variable = set(by_tpsd.values())
        structures = {s: fields for s, fields in fixed.items() if s in kinds and s not in variable}
        points: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for curve, raw, value in rows("SELECT CAP_NUMBR, CAP_XVALS, CAP_YVALS FROM CAP"):
            points[curve].append((float(raw), float(value)))
        tables = {name: np.array(sorted(pairs)) for name, pairs in points.items()}
        return Definitions(
            version=_version(path),
            packet_types=kinds,
            discriminators=discriminators,
            structures=structures | _variable(rows, by_tpsd),
            parameters=parameters,
            point_pairs={name: (t[:, 0].copy(), t[:, 1].copy()) for name, t in tables.items()},
            polynomials={
                row[0]: tuple(float(a or 0) for a in row[1:])
                for row in rows("SELECT MCF_IDENT, MCF_POL1, MCF_POL2, MCF_POL3, MCF_POL4, MCF_POL5 FROM MCF")
            },
            states=_states(rows),
            source=str(path),
        )


def _packet_types(rows: _Rows) -> tuple[dict[int, PacketType], dict[int, int]]:
    """Packet types by SPID, and the SPID of each variable structure by its number (TPSD)."""
    kinds, by_tpsd = {}, {}
    for service, subtype, pi1, spid, apid, tpsd, title in rows(
        "SELECT PID_TYPE, PID_STYPE, PID_PI1_VAL, PID_SPID, PID_APID, PID_TPSD, PID_DESCR FROM PID"
    ):
        text = _line(title) or f"Packet type {spid}"
        kinds[int(spid)] = PacketType(int(service), int(subtype), int(pi1), int(spid), int(apid), text)
        if int(tpsd) != -1:
            by_tpsd[int(tpsd)] = int(spid)
    return kinds, by_tpsd


def _states(rows: _Rows) -> dict[str, tuple[State, ...]]:
    states: dict[str, list[State]] = defaultdict(list)
    for curve, first, last, word in rows("SELECT TXP_NUMBR, TXP_FROM, TXP_TO, TXP_ALTXT FROM TXP"):
        states[curve].append(State(int(first), int(last), _line(word)))
    return {curve: tuple(sorted(words, key=lambda s: s.first)) for curve, words in states.items()}


def _variable(rows: _Rows, by_tpsd: dict[int, int]) -> dict[int, tuple[Field, ...]]:
    """Structures in which fields follow one another, some as often as a field before them says."""
    structures: dict[int, list[Field]] = defaultdict(list)
    for tpsd, name, gap, group in rows(
        "SELECT VPD_TPSD, VPD_NAME, VPD_OFFSET, VPD_GRPSIZE FROM VPD ORDER BY VPD_TPSD, CAST(VPD_POS AS INTEGER)"
    ):
        if int(tpsd) in by_tpsd:
            structures[by_tpsd[int(tpsd)]].append(Field(name, int(gap or 0), int(group or 0)))
    return {spid: tuple(fields) for spid, fields in structures.items()}


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
