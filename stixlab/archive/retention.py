"""What is removed for good, and when: rules as data, a plan that can be shown, and its execution.

Raw files, packets, products that the catalogue names, and the catalogue's records are never touched by a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stixlab.archive import layout
from stixlab.archive.contents import read_contents
from stixlab.errors import ParameterError
from stixlab.model import Run, RunStatus

if TYPE_CHECKING:
    from stixlab.archive.store import Archive

__all__ = ["Removal", "Rules", "carry_out", "iter_tables", "plan"]

_DAY_S = 86_400.0


@dataclass(frozen=True)
class Rules:
    """For how many days things stay that nothing needs."""

    replaced_days: float = 1.0
    """Datasets and levels that were replaced: for those who have them open."""
    trash_days: float = 30.0
    """What was deleted by hand."""
    failed_run_days: float = 90.0
    """Notebooks of runs that failed."""
    repeated_run_days: float = 90.0
    """Notebooks of runs after which the same pipeline has succeeded with the same parameters."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ParameterError(f"rules of retention, {name}: expected 0 or more days; found {value}")


@dataclass(frozen=True)
class Removal:
    """Something that may go."""

    key: str
    why: str
    size_bytes: int


def plan(
    archive: Archive,
    rules: Rules,
    *,
    named: Iterable[str],
    runs: Iterable[Run] = (),
    now: datetime | None = None,
) -> list[Removal]:
    """What may be removed now.

    Parameters
    ----------
    archive
        Opened for writing: what is found to be named no more is noted with today's date, and goes when its time
        has come. Opened for reading: nothing is noted.
    rules
    named
        Keys of all datasets that the catalogue names, shown or hidden.
    runs
        All runs.
    now
        UTC; none: the clock's.

    Raises
    ------
    ArchiveError
        If a table of contents is damaged: nothing is known to be free to go then.
    """
    moment = now or datetime.now(UTC)
    found = [
        *_replaced(archive, rules, set(named)),
        *_old_trash(archive, rules, moment),
        *_old_runs(archive, rules, list(runs), moment),
        *_old_forms(archive),
    ]
    return sorted(found, key=lambda r: r.key)


def carry_out(archive: Archive, removals: Sequence[Removal]) -> int:
    """Remove what was planned; to be called while `Archive.writing` is held since the plan was made.

    Returns
    -------
    int
        Bytes that were freed.

    Raises
    ------
    ArchiveError
        If the disk does not allow it.
    """
    for each in removals:
        archive.remove(each.key)
    return sum(r.size_bytes for r in removals)


def iter_tables(archive: Archive) -> Iterator[tuple[str, str, str]]:
    """Level, product type and origin of each table of contents."""
    for path in sorted(archive.root.glob("zarr/*/*/contents_*.json")):
        yield path.parts[-3], path.parts[-2], path.stem.removeprefix("contents_")


def _replaced(archive: Archive, rules: Rules, named: set[str]) -> Iterator[Removal]:
    keep = named | {v.key for table in iter_tables(archive) for v in read_contents(archive, *table).levels}
    root = archive.root.resolve()
    for pattern in ("zarr/*/*/*/*/*.zarr", "zarr/*/*/levels/*/*.npz"):
        for path in root.glob(pattern):
            key = path.relative_to(root).as_posix()
            if key in keep or path.name.startswith("."):
                continue
            if archive.writable:
                archive.mark_replaced([key])
            noted = layout.replaced_mark(path).exists()
            if noted and archive.replaced_s(key) >= rules.replaced_days * _DAY_S:
                yield Removal(key, "replaced", _size(path))


def _old_trash(archive: Archive, rules: Rules, now: datetime) -> Iterator[Removal]:
    for path in archive.root.glob(f"{layout.TRASH}/*"):
        try:
            since = datetime.strptime(path.name.split("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
        except ValueError:
            continue  # nothing of ours
        if (now - since).total_seconds() >= rules.trash_days * _DAY_S:
            yield Removal(f"{layout.TRASH}/{path.name}", "deleted", _size(path))


def _old_runs(archive: Archive, rules: Rules, runs: list[Run], now: datetime) -> Iterator[Removal]:
    done = [r for r in runs if r.status in (RunStatus.FAILED, RunStatus.SUCCEEDED)]
    latest: dict[str, Run] = {}
    for run in sorted((r for r in done if r.status is RunStatus.SUCCEEDED), key=_ended):
        latest[_what(run)] = run
    for run in done:
        failed = run.status is RunStatus.FAILED
        newest = latest.get(_what(run))
        if not failed and (newest is None or newest.run_id == run.run_id):
            continue
        days = rules.failed_run_days if failed else rules.repeated_run_days
        path = archive.path(layout.run_key(run.run_id))
        if path.is_dir() and (now - _ended(run)).total_seconds() >= days * _DAY_S:
            yield Removal(layout.run_key(run.run_id), "run failed" if failed else "run repeated", _size(path))


def _what(run: Run) -> str:
    return f"{run.pipeline} {sorted(run.parameters.items(), key=str)}"


def _ended(run: Run) -> datetime:
    return run.finished or run.created


def _old_forms(archive: Archive) -> Iterator[Removal]:
    """Packets of a version 1 archive that are there in the new form, too."""
    for path in archive.root.glob("packets/*/*.npz"):
        if path.with_suffix(".packets").is_file():
            yield Removal(f"packets/{path.parent.name}/{path.name}", "old form", path.stat().st_size)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
