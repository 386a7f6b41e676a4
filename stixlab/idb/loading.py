"""Where definitions come from: the tables shipped, imported mission databases, a folder of databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from stixlab.errors import FormatError
from stixlab.files import TEMPORARY, new_folder, sha256_of
from stixlab.idb.definitions import Definitions
from stixlab.idb.patches import apply_patches, shipped_patches, version_numbers
from stixlab.idb.records import Parameter
from stixlab.idb.tables import read_rows, read_tables, write_tables
from stixlab.idb.versions import Era, Versions

__all__ = ["IMPORTED", "import_database", "load_definitions", "load_versions", "remove_imported"]

IMPORTED = "idb"
"""Name of the folder of imported databases, below the home of an installation."""

_DATA = Path(__file__).parent / "data"
_SHIPPED = ("2.26.33", "2.26.34", "2.26.35")
"""Versions that the shipped tables (2.26.34) and the differences of ``data/patches.csv`` make up."""
_NOT_COMPARED = {
    "2.26.33": "made from 2.26.34 by the differences known, not compared with the database itself"
}


@lru_cache(maxsize=8)
def load_versions(folder: Path | None = None, imported: Path | None = None) -> Versions:
    """Definitions of all versions in use, read once.

    Each era gets the definitions of its own version, wherever they are found first; failing that, those
    of the highest version below it, and a note says so.

    Parameters
    ----------
    folder
        A folder of mission databases (SQLite) or of tables in our own form (setting ``STIXLAB_IDB``); comes
        first. None: no such folder.
    imported
        Folder of what `import_database` made; comes second. None, or not there: nothing imported.

    Raises
    ------
    FormatError
        If ``folder`` holds neither, or what is found is damaged.
    """
    available = {version: _shipped(version) for version in _SHIPPED}
    available |= {d.version: d for d in _imported(imported)}
    available |= {d.version: d for d in _read_folder(folder)}
    return _by_era(_read_eras(), available)


def load_definitions(folder: Path | None = None) -> Definitions:
    """Definitions of the latest version; see `load_versions`."""
    return load_versions(folder).latest


def import_database(database: Path, imported: Path) -> Definitions:
    """Compile a mission database to tables of our own form, for `load_versions` from then on.

    An earlier import of the same version is replaced. Processes that run already keep what they loaded.

    Parameters
    ----------
    database
        SQLite file.
    imported
        Folder below the home of the installation; made if it is not there.

    Returns
    -------
    Definitions
        What was stored; its note names structures that make no sense and were left out.

    Raises
    ------
    FormatError
        If the file is no mission database.
    ArchiveError
        If the disk is full or the folder not writable.
    """
    from stixlab.idb.mission import read_database

    definitions = _with_our_titles(_usable(read_database(database)))
    digest = sha256_of(database)
    target = imported / f"{definitions.version}-{digest[:12]}"
    origin = f"imported from {database.name}, sha256 {digest}"
    definitions = replace(definitions, note=_joined(origin, definitions.note), source=str(target))
    if target.exists():
        shutil.rmtree(target)
    with new_folder(target) as fresh:
        write_tables(definitions, fresh)
    for other in _imported_as(definitions.version, imported):
        if other != target:
            shutil.rmtree(other)
    load_versions.cache_clear()
    return definitions


def remove_imported(version: str, imported: Path) -> None:
    """Take back the import of a version.

    Raises
    ------
    FormatError
        If it was not imported.
    """
    folders = _imported_as(version, imported)
    if not folders:
        there = ", ".join(p.name.rpartition("-")[0] for p in _folders_of_tables(imported)) or "none"
        raise FormatError(
            f"definitions: expected an imported version; found {version}; imported are: {there}"
        )
    for folder in folders:
        shutil.rmtree(folder)
    load_versions.cache_clear()


def _imported_as(version: str, imported: Path) -> list[Path]:
    return [p for p in _folders_of_tables(imported) if p.name.rpartition("-")[0] == version]


def _read_eras() -> list[Era]:
    rows = read_rows(_DATA, "eras")
    return [Era(i, int(start), version, int(asw)) for i, (start, version, asw) in enumerate(rows)]


@lru_cache(maxsize=1)
def _base() -> Definitions:
    """The tables as they stand: the flight database 2.26.34, nothing corrected."""
    return read_tables(_DATA)


def _shipped(version: str) -> Definitions:
    definitions = apply_patches(_base(), shipped_patches(), version=version)
    return replace(definitions, note=_NOT_COMPARED.get(version, ""))


def _corrections(definitions: Definitions) -> Definitions:
    return apply_patches(definitions, [p for p in shipped_patches() if p.is_correction])


def _folders_of_tables(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        p
        for p in folder.iterdir()
        if not p.name.startswith(TEMPORARY) and (p / "identification.csv").is_file()
    )


def _imported(folder: Path | None) -> Iterator[Definitions]:
    for tables in _folders_of_tables(folder) if folder is not None else []:
        yield replace(_corrections(read_tables(tables)), source=str(tables))


def _read_folder(folder: Path | None) -> Iterator[Definitions]:
    """Lowest version first, of one version the file that comes last by name."""
    if folder is None:
        return
    if (folder / "identification.csv").is_file():
        yield replace(_corrections(read_tables(folder)), source=str(folder))
        return
    from stixlab.idb.mission import find_databases, read_database

    databases = find_databases(folder) if folder.is_dir() else []
    tables = _folders_of_tables(folder)
    if not databases and not tables:
        raise FormatError(
            f"definitions: expected mission databases (*.sqlite, *.sqlite3) or our tables (identification.csv, ...) in "
            f"{folder}; found neither; correct STIXLAB_IDB or leave it empty for the definitions shipped",
            path=folder,
        )
    yield from _imported(folder)
    for path in databases:
        yield _with_our_titles(_usable(read_database(path)))


def _usable(definitions: Definitions) -> Definitions:
    """Without the structures that make no sense; packets of theirs are identified and kept whole."""
    wrong = {}
    for spid in definitions.structures:
        try:
            definitions.program(spid)
        except FormatError as error:
            wrong[spid] = str(error)
    if not wrong:
        return definitions
    return replace(
        definitions,
        structures={s: fields for s, fields in definitions.structures.items() if s not in wrong},
        note=_joined(definitions.note, f"left out: {'; '.join(wrong.values())}"),
    )


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _with_our_titles(definitions: Definitions) -> Definitions:
    """The titles of our tables where we have one: what people search for is the same in all versions."""
    ours = apply_patches(_base(), shipped_patches(), version=_SHIPPED[-1])

    def retitled(parameter: Parameter) -> Parameter:
        known = ours.parameters.get(parameter.name)
        return replace(parameter, title=known.title) if known else parameter

    kinds = definitions.packet_types
    return replace(
        definitions,
        parameters={name: retitled(p) for name, p in definitions.parameters.items()},
        packet_types={
            spid: replace(kind, title=ours.packet_types[spid].title) if spid in ours.packet_types else kind
            for spid, kind in kinds.items()
        },
    )


def _by_era(eras: list[Era], available: dict[str, Definitions]) -> Versions:
    """Definitions for each era; those in the place of others say so."""
    taken = [_version_for(era.idb_version, available) for era in eras]
    chosen = {}
    for version in set(taken):
        stands_in = sorted(
            {e.idb_version for e, v in zip(eras, taken, strict=True) if v == version} - {version},
            key=version_numbers,
        )
        definitions = available[version]
        role = f"taken in the place of {', '.join(stands_in)}, not known here" if stands_in else ""
        chosen[version] = replace(definitions, note=_joined(definitions.note, role))
    return Versions(eras, [chosen[version] for version in taken])


def _version_for(wanted: str, available: Iterable[str]) -> str:
    """The version itself, else the highest below it, else the lowest of all."""
    ordered = sorted(available, key=version_numbers)
    below = [v for v in ordered if version_numbers(v) <= version_numbers(wanted)]
    return below[-1] if below else ordered[0]
