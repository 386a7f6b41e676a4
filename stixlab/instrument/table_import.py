"""Instrument tables taken into an installation: a copy of the team's configuration files, or a single ELUT."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from stixlab.errors import FormatError, NotInCatalogError
from stixlab.files import write_bytes
from stixlab.instrument.elut import ElutSpan, elut_history, read_elut, read_index
from stixlab.instrument.packages import IMPORTED_TABLES, TableFolder

__all__ = ["import_elut", "import_tables"]

_ELUT, _INDEX = "elut", "elut_index.csv"
_ALSO = ("detector", "grid")
_TEXTS = (".csv", ".txt")
_MAX_BYTES = 1 << 22


def import_tables(folder: Path, home: Path) -> list[str]:
    """Take a copy of the configuration files of the instrument team (``elut``, ``detector``, ``grid``).

    Every table is read before any is copied, and the index is written last: what is there is always whole.

    Parameters
    ----------
    folder
        The configuration files, or their folder ``elut`` alone.
    home
        Of the installation.

    Returns
    -------
    list of str
        Names of the files taken, relative to the folder of tables.

    Raises
    ------
    FormatError
        If there is no index, or a table is missing or damaged; nothing is taken then.
    ArchiveError
        If they cannot be written.
    """
    base = folder.parent if (folder / _INDEX).is_file() and folder.name == _ELUT else folder
    given = TableFolder(base, str(folder))
    spans = read_index(given)
    for path in {span.path for span in spans}:
        read_elut(path)
    wanted = {f"{_ELUT}/{span.path.name}": span.path for span in spans}
    for part in _ALSO:
        for path in sorted((base / part).glob("*")):
            if path.is_file() and path.suffix.lower() in _TEXTS and path.stat().st_size <= _MAX_BYTES:
                wanted[f"{part}/{path.name}"] = path
    target = home / IMPORTED_TABLES
    for name, path in sorted(wanted.items()):
        write_bytes(target / name, path.read_bytes())
    write_bytes(target / _ELUT / _INDEX, (base / _ELUT / _INDEX).read_bytes())
    return [*sorted(wanted), f"{_ELUT}/{_INDEX}"]


def import_elut(path: Path, start: np.datetime64, home: Path) -> ElutSpan:
    """Take one ELUT that was uploaded at a time; what was in force before stays as it is known.

    Parameters
    ----------
    path
        A table of the instrument team or of a calibration run.
    start
        UTC from which it held, up to the next upload that is known.
    home
        Of the installation.

    Returns
    -------
    ElutSpan
        As it now stands in the index.

    Raises
    ------
    FormatError
        If it is no such table.
    ArchiveError
        If it cannot be written.
    """
    table = read_elut(path)
    name = f"elut_table_{re.sub(r'[^A-Za-z0-9_-]', '_', table.name)}.csv"
    try:
        known = [s for s in elut_history(home) if s.start != start]
    except NotInCatalogError:
        known = []
    folder = home / IMPORTED_TABLES / _ELUT
    clash = next((s for s in known if s.path.name == name and s.path.read_bytes() != path.read_bytes()), None)
    if clash is not None:
        raise FormatError(
            f"ELUT {path.name}: a different table of the name {name} is known already ({clash.source}); rename the file"
        )
    before = [s for s in known if s.start < start]
    after = [s for s in known if s.start > start]
    content = {name: path.read_bytes()} | {s.path.name: s.path.read_bytes() for s in known}
    for each, data in content.items():
        if not (folder / each).is_file() or (folder / each).read_bytes() != data:
            write_bytes(folder / each, data)
    names = [s.path.name for s in before], [s.path.name for s in after]
    starts = [*(s.start for s in before), start, *(s.start for s in after)]
    ends = [*starts[1:], after[-1].end if after else None]
    lines = ["index, start_date, end_date, elut_file"]
    for number, (first, last, each) in enumerate(
        zip(starts, ends, [*names[0], name, *names[1]], strict=True)
    ):
        until = "none" if last is None else np.datetime_as_string(last, "s")
        lines.append(f"{number}, {np.datetime_as_string(first, 's')}, {until}, {each}")
    write_bytes(folder / _INDEX, ("\n".join(lines) + "\n").encode())
    return next(s for s in elut_history(home) if s.start == np.datetime64(np.datetime_as_string(start, "s")))
