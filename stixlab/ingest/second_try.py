"""Files that were set aside, taken again on demand: after a correction, or with newer definitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from stixlab.errors import AccessError, ArchiveError, CatalogError, NotInCatalogError
from stixlab.ingest.ingestor import Ingestor
from stixlab.ingest.report import FileResult
from stixlab.ingest.spool import Spool, copied, kept_path, let_go
from stixlab.model import Arrival, ArrivalStatus

__all__ = ["choose", "take_again"]


def choose(arrivals: Sequence[Arrival], names: Sequence[str]) -> list[Arrival]:
    """Arrivals that are meant by names; all if there are none.

    Parameters
    ----------
    names
        Each a file name or path, or a pattern of one (``*.xml``), or the beginning of an id or of a hash.

    Raises
    ------
    NotInCatalogError
        If a name means none of them.
    """
    if not names:
        return list(arrivals)
    chosen: dict[str, Arrival] = {}
    for name in names:
        found = [a for a in arrivals if _is_meant(a, name)]
        if not found:
            raise NotInCatalogError(
                f"arrivals: expected a name, path, id or hash of one of {len(arrivals)} files; found {name!r}; "
                "`stixlab arrivals` lists them"
            )
        chosen |= {a.arrival_id: a for a in found}
    return list(chosen.values())


def _is_meant(arrival: Arrival, name: str) -> bool:
    if (
        fnmatchcase(arrival.name, name)
        or fnmatchcase(arrival.path, name)
        or name in (arrival.name, arrival.path)
    ):
        return True
    return len(name) >= 4 and (arrival.arrival_id.startswith(name) or arrival.sha256.startswith(name))


def take_again(ingestor: Ingestor, arrivals: Sequence[Arrival], work: Path) -> Iterator[Arrival]:
    """Take files that were set aside, from the contents that were kept; the records as they are then.

    Parameters
    ----------
    ingestor
        Takes them.
    arrivals
        Records of files that were set aside.
    work
        Folder of the installation for copies.

    Raises
    ------
    CatalogError
        If the database goes away; those given out until then are done.
    ArchiveError
        If the archive cannot be written.
    """
    by_content: dict[str, list[Arrival]] = {}
    for each in arrivals:
        by_content.setdefault(each.sha256, []).append(each)
    spool = Spool(work)
    try:
        for sha256, records in by_content.items():
            result = _take(ingestor, sha256, records[0], spool)
            now = datetime.now(UTC)
            if result.status == "failed":
                changed = [replace(r, reason=result.error, attempts=r.attempts + 1) for r in records]
            else:
                first = ArrivalStatus.TAKEN if result.status == "new" else ArrivalStatus.REPEATED
                changed = [
                    replace(
                        r,
                        status=ArrivalStatus.REPEATED if number else first,
                        reason="",
                        ingested=now,
                        attempts=r.attempts + 1,
                    )
                    for number, r in enumerate(records)
                ]
            ingestor.catalog.arrivals.save(changed)
            aside = ingestor.catalog.arrivals.find(status=ArrivalStatus.SET_ASIDE)
            if not any(a.sha256 == sha256 for a in aside):
                let_go(ingestor.archive, sha256)
            yield from changed
    finally:
        spool.close()


def _take(ingestor: Ingestor, sha256: str, record: Arrival, spool: Spool) -> FileResult:
    """What comes of one content."""
    target = spool.place(record.name)
    kept = kept_path(ingestor.archive, sha256)
    source = kept if kept.exists() else Path(record.path)
    if not copied(source, target, sha256):
        reason = f"expected its content at {kept}; it is gone or damaged; have the file sent again"
        return FileResult(record.path, "failed", sha256, error=reason)
    try:
        report = ingestor.ingest([target])
    except (CatalogError, ArchiveError, AccessError):
        raise
    except Exception as error:  # noqa: BLE001  (whatever a file does, it is told and the next one is tried)
        return FileResult(record.path, "failed", sha256, error=f"{type(error).__name__}: {error}")
    (result,) = report.files
    return replace(result, error=result.error.replace(str(target), record.path))
