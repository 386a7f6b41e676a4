"""Definitions of the packets: which kinds there are, what stands in them, and what the numbers mean.

Not here: reading packets (`stixlab.telemetry`) and turning numbers into physical values
(`stixlab.engineering`).
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

from stixlab.errors import FormatError
from stixlab.idb.definitions import Definitions
from stixlab.idb.program import Program
from stixlab.idb.records import Discriminator, Field, PacketType, Parameter, State
from stixlab.idb.tables import read_tables
from stixlab.idb.versions import Era, Versions

__all__ = [
    "Definitions",
    "Discriminator",
    "Era",
    "Field",
    "PacketType",
    "Parameter",
    "Program",
    "State",
    "Versions",
    "load_definitions",
    "load_versions",
]


@lru_cache(maxsize=8)
def load_versions(folder: Path | None = None) -> Versions:
    """Definitions of all versions in use, read once.

    Parameters
    ----------
    folder
        A folder of mission databases (SQLite; the highest version is taken) or of tables in our own
        form; None for the definitions shipped.

    Raises
    ------
    FormatError
        If the folder holds neither, or what it holds is damaged.
    """
    eras = _read_eras()
    definitions = _read(folder)
    return Versions(eras, [definitions] * len(eras))


def load_definitions(folder: Path | None = None) -> Definitions:
    """Definitions of the latest version; see `load_versions`."""
    return load_versions(folder).latest


def _read_eras() -> list[Era]:
    with (Path(__file__).parent / "data" / "eras.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))[1:]
    return [Era(i, int(start), version, int(asw)) for i, (start, version, asw) in enumerate(rows)]


def _read(folder: Path | None) -> Definitions:
    if folder is None:
        return read_tables(Path(__file__).parent / "data")
    if (folder / "identification.csv").is_file():
        return read_tables(folder)
    from stixlab.idb.mission import find_databases, read_database

    databases = find_databases(folder) if folder.is_dir() else []
    if not databases:
        raise FormatError(
            f"definitions: expected mission databases (*.sqlite, *.sqlite3) or our tables (identification.csv, ...) in "
            f"{folder}; found neither; correct STIXLAB_IDB or leave it empty for the definitions shipped",
            path=folder,
        )
    return read_database(databases[-1])
