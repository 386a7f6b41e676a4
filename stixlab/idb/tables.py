"""Definitions read from CSV tables of our own form: one file for each kind of row.

Lines that begin with ``#`` are notes (source, units); the first other line names the columns.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.idb.definitions import Definitions
from stixlab.idb.records import Discriminator, Field, PacketType, Parameter, State

__all__ = ["read_tables"]

_COLUMNS = {
    "identification": ("service", "subtype", "pi1", "spid", "apid", "title"),
    "discriminators": ("service", "subtype", "offset_bytes", "width_bits"),
    "structures": ("spid", "parameter", "gap_bits", "group_size"),
    "parameters": ("name", "width_bits", "signed", "unit", "curve", "title"),
    "curves": ("curve", "raw", "value"),
    "polynomials": ("curve", "a0", "a1", "a2", "a3", "a4"),
    "states": ("curve", "first", "last", "word"),
}


def _rows(folder: Path, table: str) -> list[list[str]]:
    path = folder / f"{table}.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(line for line in file if not line.startswith("#")))
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"definitions: expected the table {path}; found {error}", path=path) from error
    if not rows or tuple(rows[0]) != _COLUMNS[table]:
        raise FormatError(
            f"definitions: expected the columns {', '.join(_COLUMNS[table])} in {path}; "
            f"found {', '.join(rows[0]) if rows else 'an empty file'}",
            path=path,
        )
    wrong = next((i for i, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if wrong is not None:
        raise FormatError(
            f"definitions: row {wrong} of {path} has {len(rows[wrong])} values, {len(rows[0])} expected"
        )
    return rows[1:]


def _point_pairs(rows: list[list[str]]) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for curve, raw, value in rows:
        points[curve].append((float(raw), float(value)))
    tables = {name: np.array(sorted(pairs)) for name, pairs in points.items()}
    return {name: (table[:, 0].copy(), table[:, 1].copy()) for name, table in tables.items()}


def read_tables(folder: Path) -> Definitions:
    """Definitions of a folder of CSV tables.

    Parameters
    ----------
    folder
        Holds ``version.txt`` and the seven tables.

    Raises
    ------
    FormatError
        If a table is missing, has other columns, or a number in it is none.
    """
    try:
        structures: dict[int, list[Field]] = defaultdict(list)
        for spid, parameter, gap, group in _rows(folder, "structures"):
            structures[int(spid)].append(Field(parameter, int(gap), int(group)))
        states: dict[str, list[State]] = defaultdict(list)
        for curve, first, last, word in _rows(folder, "states"):
            states[curve].append(State(int(first), int(last), word))
        kinds = [
            PacketType(int(service), int(subtype), int(pi1), int(spid), int(apid), title)
            for service, subtype, pi1, spid, apid, title in _rows(folder, "identification")
        ]
        return Definitions(
            version=(folder / "version.txt").read_text(encoding="utf-8").strip(),
            packet_types={kind.spid: kind for kind in kinds},
            discriminators={
                (int(service), int(subtype)): Discriminator(int(offset), int(width))
                for service, subtype, offset, width in _rows(folder, "discriminators")
            },
            structures={spid: tuple(fields) for spid, fields in structures.items()},
            parameters={
                name: Parameter(name, int(width), signed == "1", unit, curve, title)
                for name, width, signed, unit, curve, title in _rows(folder, "parameters")
            },
            point_pairs=_point_pairs(_rows(folder, "curves")),
            polynomials={row[0]: tuple(map(float, row[1:])) for row in _rows(folder, "polynomials")},
            states={curve: tuple(words) for curve, words in states.items()},
        )
    except (ValueError, OSError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"definitions in {folder}: expected numbers where numbers belong; found {error}"
        ) from error
