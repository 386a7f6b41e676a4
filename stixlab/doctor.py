"""Whether an installation is healthy: what was looked at, what was found, how to mend it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stixlab import factory
from stixlab.errors import ArchiveError, StixlabError
from stixlab.settings import Settings, project_folder

if TYPE_CHECKING:
    from stixlab.archive import Archive
    from stixlab.archive.verify import Verified
    from stixlab.catalog import MongoCatalog

__all__ = ["Finding", "examine", "examine_archive"]

_LEAST_FREE_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    cure: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that is needed; a failure does not end the examination."""
    checks: tuple[tuple[str, Callable[[Settings], str]], ...] = (
        ("python", _python),
        ("home", _home),
        ("disk", _disk),
        ("folders", _folders),
        ("proxy", _proxy),
        ("clock", _clock),
        ("definitions", _definitions),
        ("pipelines", _pipelines),
        ("database", _database),
        ("archive", _archive),
    )
    found = []
    for what, check in checks:
        try:
            found.append(Finding(what, ok=True, found=check(settings)))
        except StixlabError as error:
            found.append(Finding(what, ok=False, found=error.message))
        except OSError as error:
            found.append(
                Finding(what, ok=False, found=str(error), cure="see whether the path is right and readable")
            )
    return found


def examine_archive(
    settings: Settings, *, repair: bool = False, progress: Callable[[str, int, int], None] | None = None
) -> Verified:
    """Verify every checksum of the archive.

    Parameters
    ----------
    settings
    repair
        Make tables of contents and reduced levels again first; what they are made from is not touched.
    progress
        Called as the work goes on.

    Raises
    ------
    CatalogError
        If the database does not answer.
    AccessError
        If something is to be repaired and the role may only read.
    ArchiveError
        If the archive cannot be written.
    """
    from stixlab.archive import Archive
    from stixlab.archive.verify import verify_archive

    archive = Archive(factory.archive_folder(settings), writable=repair and settings.access == "operator")
    with factory.open_catalog(settings) as catalog:
        if repair:
            _rebuild_tables(catalog, archive)
        return verify_archive(
            archive,
            raw_files=catalog.raw_files.find(brief=True),
            products=catalog.products.find(hidden=None),
            runs=catalog.runs.find(),
            progress=progress,
        )


def _rebuild_tables(catalog: MongoCatalog, archive: Archive) -> None:
    """Tables of contents and reduced levels by what the catalogue shows; those that cannot be made are told later."""
    from stixlab.archive.bookkeeping import rebuild_contents
    from stixlab.archive.levels import WIDTHS_S
    from stixlab.archive.retention import iter_tables

    with archive.writing():
        shown = [p for p in catalog.products.find() if p.zarr]
        tables = {(p.level, p.type, p.origin) for p in shown if p.type in WIDTHS_S}
        for table in sorted({*iter_tables(archive), *tables}):
            level, product_type, origin = table
            chosen = [p for p in shown if (p.level, p.type, p.origin) == table]
            with suppress(ArchiveError):
                rebuild_contents(archive, chosen, level=level, product_type=product_type, origin=origin)


def _python(_: Settings) -> str:
    return f"{sys.version.split()[0]} at {sys.prefix}"


def _home(settings: Settings) -> str:
    settings.home.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.home, os.W_OK):
        raise OSError(f"{settings.home} is not writable")
    return str(settings.home)


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.home).free / 1e9
    if free < _LEAST_FREE_GB:
        raise OSError(f"{free:.2f} GB free at {settings.home}; expected at least {_LEAST_FREE_GB:g} GB")
    return f"{free:.1f} GB free"


def _folders(_: Settings) -> str:
    return ", ".join(str(project_folder(name)) for name in ("notebooks", "pipelines", "hub_config"))


def _proxy(_: Settings) -> str:
    from stixlab.hub.proxy import proxy_command

    return " ".join(proxy_command())


def _clock(settings: Settings) -> str:
    from stixlab.ephemeris.clock import load_clock

    clock = load_clock(settings.spice)
    return f"{clock.source}, accurate to {clock.accuracy_s:g} s"


def _definitions(settings: Settings) -> str:
    from stixlab.idb import IMPORTED, load_versions

    return f"version {load_versions(settings.idb, settings.home / IMPORTED).latest.version}"


def _pipelines(_: Settings) -> str:
    from stixlab.pipeline.discovery import find_pipelines

    found = find_pipelines(project_folder("pipelines"))
    for error in found.wrong.values():
        raise error
    return ", ".join(found.good)


def _database(settings: Settings) -> str:
    with factory.open_catalog(settings) as catalog:
        host, port = catalog.database.client.address or ("?", 0)
        return f"answers at {host}:{port}"


def _archive(settings: Settings) -> str:
    from stixlab.archive import Archive
    from stixlab.archive.schema import ARCHIVE_VERSION, check_version

    archive = Archive(factory.archive_folder(settings))
    with factory.open_catalog(settings) as catalog:
        found = min(check_version(archive), catalog.schema_version)
    if found < ARCHIVE_VERSION:
        raise ArchiveError(
            f"archive: expected version {ARCHIVE_VERSION}; found {found}; `stixlab migrate` brings it up to date"
        )
    return f"version {found} at {archive.root}; `stixlab doctor --archive` verifies every checksum"
