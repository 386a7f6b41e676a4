"""The form in which the archive is, and how an older one is brought up to date, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from stixlab import files
from stixlab.archive import layout
from stixlab.errors import ArchiveError

if TYPE_CHECKING:
    from stixlab.archive.store import Archive

__all__ = [
    "ARCHIVE_VERSION",
    "Step",
    "archive_version",
    "check_version",
    "ensure_version",
    "migrate",
    "write_version",
]

ARCHIVE_VERSION = 2
"""Counts up when something in an archive has to be made again. 1: packets as ``.npz``; 2: packets as ``.packets``."""

Step = Callable[[], None]
"""Brings an archive from one version to the next; the same step again finishes what was begun."""


def archive_version(archive: Archive) -> int:
    """Version of an archive; that of one that does not tell is worked out from what is in it.

    Raises
    ------
    ArchiveError
        If what it tells cannot be read.
    """
    path = archive.path(layout.SCHEMA)
    try:
        return int(json.loads(path.read_bytes())["version"])
    except FileNotFoundError:
        old = next(archive.root.glob("packets/*/*.npz"), None)
        return ARCHIVE_VERSION if old is None else 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            f"{path.name}: expected the version of the archive; {error}; if nothing else is wrong (`stixlab doctor"
            ' --archive`), write {"version": ' + str(ARCHIVE_VERSION) + "} to it",
            path=path,
        ) from error


def check_version(archive: Archive) -> int:
    """Version of an archive that this version of the package can read.

    Raises
    ------
    ArchiveError
        If it was written by a newer version of the package.
    """
    found = archive_version(archive)
    if found > ARCHIVE_VERSION:
        raise ArchiveError(
            f"archive {archive.root}: expected version {ARCHIVE_VERSION} or older; found {found}; it was written by a newer"
            " version of stixlab: install that",
            version=found,
        )
    return found


def write_version(archive: Archive, version: int = ARCHIVE_VERSION) -> None:
    """Note the version of an archive."""
    files.write_bytes(archive.path(layout.SCHEMA), json.dumps({"version": version}).encode())


def ensure_version(archive: Archive) -> None:
    """Refuse to write to an archive of a newer version; note the version of one that does not tell its own.

    Raises
    ------
    ArchiveError
        If it was written by a newer version of the package.
    """
    found = check_version(archive)
    if not archive.path(layout.SCHEMA).exists():
        write_version(archive, found)


def migrate(archive: Archive, version: int, steps: Mapping[int, Step]) -> list[int]:
    """Bring an archive up to date.

    Parameters
    ----------
    archive
        Opened for writing.
    version
        Where to begin: the older of the versions of archive and catalogue.
    steps
        By the version that they start from.

    Returns
    -------
    list of int
        Versions that were left behind; none if it was up to date.

    Raises
    ------
    ArchiveError
        If there is no step from a version, or the archive is newer than this version of the package.
    """
    check_version(archive)
    done = []
    for number in range(version, ARCHIVE_VERSION):
        if number not in steps:
            raise ArchiveError(
                f"archive {archive.root}: no way is known from version {number} to {number + 1}; keep the raw files, and ingest"
                " them into a new STIXLAB_HOME"
            )
        steps[number]()
        write_version(archive, number + 1)
        done.append(number)
    if not archive.path(layout.SCHEMA).exists():
        write_version(archive)
    return done
