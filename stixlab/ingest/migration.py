"""Brings archive and catalogue of an older version up to date, by what made them: the raw files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from stixlab.archive import Archive, layout
from stixlab.archive.schema import archive_version, check_version, migrate
from stixlab.ingest.ingestor import Ingestor
from stixlab.model import RawFile
from stixlab.telemetry.sources import Kind

__all__ = ["MigrationReport", "bring_up_to_date"]

_AT_ONCE = 200
"""Raw files read again in one go."""


@dataclass
class MigrationReport:
    """What was done."""

    steps: list[int] = field(default_factory=list)
    """Versions that were left behind."""
    n_files: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def did_something(self) -> bool:
        """Whether anything was changed or tried: not if all was up to date."""
        return bool(self.steps or self.n_files or self.problems)


def bring_up_to_date(ingestor: Ingestor, archive: Archive) -> MigrationReport:
    """Take all steps from the version of archive and catalogue to the present one; the same call again finishes.

    Parameters
    ----------
    ingestor
        Reads raw files again; writes both.
    archive
        Opened for writing.

    Raises
    ------
    ArchiveError
        If the archive was written by a newer version, or cannot be written.
    CatalogError
        If the database does not answer.
    """
    report = MigrationReport()
    version = min(check_version(archive), ingestor.catalog.schema_version)
    try:
        report.steps = migrate(archive, version, {1: lambda: _packets_again(ingestor, archive, report)})
    except _UnfinishedError:
        return report
    ingestor.catalog.set_schema_version(archive_version(archive))
    return report


class _UnfinishedError(Exception):
    """A step could not be done to its end; the report says why."""


def _packets_again(ingestor: Ingestor, archive: Archive, report: MigrationReport) -> None:
    """From 1 to 2: packets by columns (``.packets``) in place of ``.npz``, and records that tell of requests."""
    known = ingestor.catalog.raw_files.find(brief=True)
    old = [f for f in known if f.kind != Kind.FITS and not archive.has_packets(f.sha256)]
    for first in range(0, len(old), _AT_ONCE):
        _read_again(ingestor, archive, old[first : first + _AT_ONCE], report)
    if report.problems:
        raise _UnfinishedError
    for path in archive.root.glob("packets/*/*.npz"):
        path.unlink()


def _read_again(
    ingestor: Ingestor, archive: Archive, chosen: Iterable[RawFile], report: MigrationReport
) -> None:
    """Ingest raw files of the archive under the names under which they arrived."""
    with tempfile.TemporaryDirectory(prefix="stixlab-migrate-") as scratch:
        paths = []
        for each in chosen:
            source = archive.path(layout.raw_key(each.sha256))
            if not source.is_file():
                report.problems.append(f"raw file {each.sha256} ({', '.join(each.names)}): it is missing")
                continue
            folder = Path(scratch, each.sha256)
            folder.mkdir()
            path = folder / each.names[0]
            path.symlink_to(source)
            paths.append(path)
        done = ingestor.ingest(paths) if paths else None
    if done is None:
        return
    report.n_files += len(paths)
    report.problems += [f"{Path(f.path).name}: {f.error}" for f in done.files if f.error]
