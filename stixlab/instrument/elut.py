"""Which energy look-up table (ELUT) held when: it says which pulse heights the instrument puts into which channel.

Tables come from imported files or from the installed package stixpy (`stixlab.instrument.packages`). Not here:
fitting a calibration, and moving counts between channels.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from stixlab.errors import FormatError, NotInCatalogError
from stixlab.instrument.elut_tables import Elut, EnergyCalibration, read_elut, table_name
from stixlab.instrument.packages import IMPORTED_TABLES, TableFolder, table_folders
from stixlab.timing import parse_utc

__all__ = [
    "Elut",
    "ElutSpan",
    "EnergyCalibration",
    "elut_at",
    "elut_history",
    "elut_of",
    "read_elut",
    "read_index",
]

_LONGEST_GAP = np.timedelta64(1, "D")
_FOLDER, _INDEX = "elut", "elut_index.csv"


@dataclass(frozen=True)
class ElutSpan:
    """A line of an index: which table held when."""

    name: str
    """Date of the table, ``yyyymmdd``."""
    start: np.datetime64
    """UTC."""
    end: np.datetime64 | None
    """UTC; None: still."""
    path: Path
    source: str
    note: str = ""
    """What is not certain about it."""


def read_index(folder: TableFolder, others: tuple[TableFolder, ...] = ()) -> tuple[ElutSpan, ...]:
    """Which table held when, by the index of a folder.

    A gap of up to a day between two lines is given to the later table: a later edition of the index does so.

    Parameters
    ----------
    others
        Where to look for tables that the folder itself does not hold.

    Raises
    ------
    FormatError
        If there is no index, a line is no span, or a table it names is nowhere.
    """
    index = folder.find(_FOLDER, _INDEX)
    if index is None:
        raise FormatError(f"ELUT index: expected {_FOLDER}/{_INDEX} ({folder.source}); found none")
    lines = list(csv.reader(index.read_text(encoding="utf-8-sig").splitlines(), skipinitialspace=True))
    spans = []
    for number, row in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            _, start, end, name = (cell.strip() for cell in row)
            first, last = parse_utc(start), None if end.lower() == "none" else parse_utc(end)
        except ValueError as error:
            raise FormatError(
                f"ELUT index ({folder.source}), line {number}: expected index, start, end or none, file; found"
                f" {','.join(row)!r}: {error}"
            ) from None
        found = next((p for f in (folder, *others) if (p := f.find(_FOLDER, Path(name).name))), None)
        if found is None:
            raise FormatError(
                f"ELUT index ({folder.source}), line {number}: expected the table {name}; it is not there"
            )
        source = next(f.source for f in (folder, *others) if f.find(_FOLDER, Path(name).name))
        spans.append(ElutSpan(table_name(Path(name)), first, last, found, source))
    if not spans:
        raise FormatError(f"ELUT index ({folder.source}): expected lines below its heading; found none")
    return _joined(sorted(spans, key=lambda s: s.start))


def _joined(spans: list[ElutSpan]) -> tuple[ElutSpan, ...]:
    """Spans one after the other: each ends where the next begins, small gaps closed."""
    joined: list[ElutSpan] = []
    for each in spans:
        here = each
        if joined:
            before = joined[-1]
            ended = here.start if before.end is None else before.end
            if np.timedelta64(0) < here.start - ended <= _LONGEST_GAP:
                note = f"the index has it in force from {np.datetime_as_string(here.start, 's')}; the gap before is given to it"
                here = replace(here, start=ended, note=note)
            if before.end is None or before.end > here.start:
                joined[-1] = replace(before, end=here.start)
        joined.append(here)
    return tuple(joined)


def elut_history(home: Path | None = None) -> tuple[ElutSpan, ...]:
    """Which table held when, earliest first.

    Parameters
    ----------
    home
        Of the installation, for imported tables: their index counts from its first line on, the package's before.

    Raises
    ------
    NotInCatalogError
        If there are no tables at all.
    FormatError
        If an index is damaged.
    """
    folders = tuple(f for f in table_folders(home) if f.find(_FOLDER, _INDEX))
    if not folders:
        raise NotInCatalogError(
            f"ELUT: expected tables in the package stixpy or imported ones ({IMPORTED_TABLES} below the home); found"
            " neither; `pip install --no-deps stixpy`, or `stixlab elut import FOLDER`"
        )
    spans = read_index(folders[0], folders[1:])
    for number, folder in enumerate(folders[1:], start=2):
        earlier = [s for s in read_index(folder, folders[number:]) if s.start < spans[0].start]
        spans = _joined([*earlier, *spans])
    return spans


def elut_at(time: np.datetime64, home: Path | None = None) -> Elut:
    """Table in force at a time.

    Parameters
    ----------
    time
        UTC.
    home
        Of the installation, for imported tables.

    Raises
    ------
    NotInCatalogError
        If no table at hand covers the time; the message says what they cover.
    FormatError
        If the table is damaged.
    """
    history = elut_history(home)
    span = next((s for s in reversed(history) if s.start <= time), None)
    if span is None or (span.end is not None and time >= span.end):
        last = history[-1].end
        until = "now" if last is None else np.datetime_as_string(last, "s")
        raise NotInCatalogError(
            f"ELUT at {np.datetime_as_string(time, 's')}: expected a time from"
            f" {np.datetime_as_string(history[0].start, 's')} to {until} that a table covers; found none"
        )
    return elut_of(span)


def elut_of(span: ElutSpan) -> Elut:
    """Table of a line of the index, read once."""
    note = span.note
    if span.end is None:
        last = f"the last table known to {span.source}; a newer one may have been uploaded since"
        note = f"{note}; {last}" if note else last
    state = span.path.stat()
    table = _read_once(span.path, span.source, state.st_mtime_ns, state.st_size)
    return replace(table, start=span.start, end=span.end, note=note)


@lru_cache(maxsize=32)
def _read_once(path: Path, source: str, _mtime_ns: int, _size: int) -> Elut:
    table = read_elut(path, source)
    for array in (table.offset, table.gain, table.adc_edges, table.nominal_edges):
        array.setflags(write=False)
    return table
