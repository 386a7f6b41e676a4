"""Folders of instrument tables: imported ones, and those inside the installed package stixpy, read as files.

The package is found without importing it: importing it would take seconds and reach for the network. What the
tables say is read elsewhere (`stixlab.instrument.elut`).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from stixlab.errors import NotInCatalogError

__all__ = ["IMPORTED_TABLES", "TableFolder", "find_package_file", "package_folder", "table_folders"]

IMPORTED_TABLES = "instrument"
"""Name of the folder of imported tables, below the home of an installation."""
_PACKAGE = "stixpy"
_TABLES = ("config", "data")
"""Where the package keeps the configuration files of the instrument team."""


@dataclass(frozen=True)
class TableFolder:
    """A folder laid out as the configuration files of the instrument team: ``elut``, ``detector``, ``grid``."""

    path: Path
    source: str
    """What to call it when saying where a number came from: never a path of the machine."""

    def find(self, *parts: str) -> Path | None:
        """A file of it, or None."""
        path = self.path.joinpath(*parts)
        return path if path.is_file() else None


def package_folder(name: str = "") -> tuple[Path, str] | None:
    """Folder and version of an installed package, found without importing it; None if it is not there.

    Parameters
    ----------
    name
        Empty: the package that carries the tables of STIX.
    """
    name = name or _PACKAGE
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    return Path(next(iter(spec.submodule_search_locations))), version


def find_package_file(*parts: str) -> tuple[Path, str]:
    """A file inside the package stixpy, and what to call its source.

    Raises
    ------
    NotInCatalogError
        If the package is not installed, or holds no such file.
    """
    found = package_folder()
    wanted = "/".join(parts)
    if found is None:
        raise NotInCatalogError(
            f"{wanted}: expected inside the package {_PACKAGE}; it is not installed; `pip install --no-deps {_PACKAGE}`"
        )
    folder, version = found
    path = folder.joinpath(*parts)
    if not path.is_file():
        raise NotInCatalogError(
            f"{wanted}: expected inside the package {_PACKAGE}; version {version} holds none; 0.2.1 does"
        )
    return path, f"{_PACKAGE} {version}"


def table_folders(home: Path | None = None) -> tuple[TableFolder, ...]:
    """Folders of tables in the order of trust: imported ones (newer than any package), then the package's.

    Parameters
    ----------
    home
        Of the installation; None: nothing imported.
    """
    folders = []
    if home is not None and (home / IMPORTED_TABLES).is_dir():
        folders.append(TableFolder(home / IMPORTED_TABLES, "imported"))
    found = package_folder()
    if found is not None and found[0].joinpath(*_TABLES).is_dir():
        folders.append(TableFolder(found[0].joinpath(*_TABLES), f"{_PACKAGE} {found[1]}"))
    return tuple(folders)
