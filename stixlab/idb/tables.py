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

__all__ = ["read_rows", "read_tables", "write_tables"]

_COLUMNS = {
    "identification": ("service", "subtype", "pi1", "spid", "apid", "title"),
    "discriminators": ("service", "subtype", "offset_bytes", "width_bits"),
    "structures": ("spid", "parameter", "gap_bits", "group_size"),
    "parameters": ("name", "width_bits", "signed", "unit", "curve", "title"),
    "curves": ("curve", "raw", "value"),
    "polynomials": ("curve", "a0", "a1", "a2", "a3", "a4"),
    "states": ("curve", "first", "last", "word"),
    "eras": ("start_scet", "idb_version", "asw_version"),
    "patches": ("patch", "kind", "first", "last", "why"),
    "changes": ("patch", "table", "key", "column", "value"),
}


def read_rows(folder: Path, table: str) -> list[list[str]]:
    """Rows of one table, without its notes and the line of column names.

    Raises
    ------
    FormatError
        If the table is missing, has other columns, or a row is too short or too long.
    """
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
        Holds the seven tables and ``version.txt``: the version, and in the lines that follow what is to be
        known about their origin.

    Raises
    ------
    FormatError
        If a table is missing, has other columns, or a number in it is none.
    """
    try:
        structures: dict[int, list[Field]] = defaultdict(list)
        for spid, parameter, gap, group in read_rows(folder, "structures"):
            fields = structures[int(spid)]
            if parameter:
                fields.append(Field(parameter, int(gap), int(group)))
        states: dict[str, list[State]] = defaultdict(list)
        for curve, first, last, word in read_rows(folder, "states"):
            states[curve].append(State(int(first), int(last), word))
        kinds = [
            PacketType(int(service), int(subtype), int(pi1), int(spid), int(apid), title)
            for service, subtype, pi1, spid, apid, title in read_rows(folder, "identification")
        ]
        version, _, note = (folder / "version.txt").read_text(encoding="utf-8").strip().partition("\n")
        return Definitions(
            version=version,
            note=note.strip(),
            packet_types={kind.spid: kind for kind in kinds},
            discriminators={
                (int(service), int(subtype)): Discriminator(int(offset), int(width))
                for service, subtype, offset, width in read_rows(folder, "discriminators")
            },
            structures={spid: tuple(fields) for spid, fields in structures.items()},
            parameters={
                name: Parameter(name, int(width), signed == "1", unit, curve, title)
                for name, width, signed, unit, curve, title in read_rows(folder, "parameters")
            },
            point_pairs=_point_pairs(read_rows(folder, "curves")),
            polynomials={row[0]: tuple(map(float, row[1:])) for row in read_rows(folder, "polynomials")},
            states={curve: tuple(words) for curve, words in states.items()},
        )
    except (ValueError, OSError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"definitions in {folder}: expected numbers where numbers belong; found {error}"
        ) from error


def write_tables(definitions: Definitions, folder: Path) -> None:
    """Write definitions as tables of our own form, which `read_tables` reads back equal.

    Parameters
    ----------
    definitions
    folder
        Made if it is not there; tables in it are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in _content(definitions).items():
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS[table])
            writer.writerows(rows)
    (folder / "version.txt").write_text(f"{definitions.version}\n{definitions.note}\n", encoding="utf-8")


def _content(definitions: Definitions) -> dict[str, list[tuple[object, ...]]]:
    return {
        "identification": [
            (k.service, k.subtype, k.pi1, k.spid, k.apid, k.title) for k in definitions.packet_types.values()
        ],
        "discriminators": [
            (*pair, d.offset_bytes, d.width_bits) for pair, d in definitions.discriminators.items()
        ],
        "structures": [
            (spid, f.parameter, f.gap_bits, f.group_size)
            for spid, fields in definitions.structures.items()
            for f in fields or (Field("", 0, 0),)
        ],
        "parameters": [
            (p.name, p.width_bits, int(p.signed), p.unit, p.curve, p.title)
            for p in definitions.parameters.values()
        ],
        "curves": [
            (curve, float(raw), float(value))
            for curve, points in definitions.point_pairs.items()
            for raw, value in zip(*points, strict=True)
        ],
        "polynomials": [(curve, *factors) for curve, factors in definitions.polynomials.items()],
        "states": [
            (curve, s.first, s.last, s.word) for curve, words in definitions.states.items() for s in words
        ],
    }
