"""Commands of the keeper of an archive: backup, restore, trash, audit, clean, migrate."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stixlab.cli.output import fail, json_option, print_json, print_rows, progress_bar, say
from stixlab.errors import AccessError
from stixlab.settings import Settings, project_folder, read_settings

if TYPE_CHECKING:
    from stixlab.archive import Archive
    from stixlab.model import Product

__all__ = [
    "audit_command",
    "backup_command",
    "clean_command",
    "migrate_command",
    "restore_command",
    "trash_command",
]


@contextmanager
def _open(settings: Settings) -> Iterator[tuple[Any, Archive]]:
    """Catalogue and archive, for the operator."""
    from stixlab import factory
    from stixlab.archive import Archive

    if settings.access != "operator":
        raise AccessError(f"archive: needs the role of an operator; STIXLAB_ACCESS is {settings.access}")
    with factory.open_catalog(settings) as catalog:
        yield catalog, Archive(factory.archive_folder(settings), writable=True)


def _folders(settings: Settings) -> dict[str, Path]:
    """What else a backup holds: without the imported definitions the same packets would mean other things."""
    from stixlab.idb import IMPORTED

    return {"definitions": settings.home / IMPORTED}


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def backup_command(file: Path, *, as_json: bool) -> None:
    """Write catalogue and archive to FILE (a tar; compressed if its name ends in .gz or .tgz).

    May be done at any time: files that arrive meanwhile are in the next backup.
    """
    from stixlab.archive.backup import write_backup
    from stixlab.catalog.dump import dump_collection

    settings = read_settings()
    with _open(settings) as (catalog, archive), progress_bar() as show:
        made = write_backup(
            file,
            archive,
            {name: partial(dump_collection, catalog, name) for name in catalog.collections},
            catalog_version=catalog.schema_version,
            folders=_folders(settings),
            progress=show,
        )
    _tell_backup("written", file, made, as_json=as_json)


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--check", is_flag=True, help="Only read the backup and verify its checksums.")
@json_option
def restore_command(file: Path, *, check: bool, as_json: bool) -> None:
    """Make catalogue and archive from the backup FILE; both must be empty (a new STIXLAB_HOME)."""
    from stixlab import factory
    from stixlab.archive.backup import read_backup, restore_backup
    from stixlab.archive.trash import make_entry
    from stixlab.catalog.dump import begin_restore, end_restore, load_collection
    from stixlab.model import Action

    if check:
        _tell_backup("good", file, read_backup(file), as_json=as_json)
        return
    settings = read_settings()
    with _open(settings) as (catalog, _):
        made = restore_backup(
            file,
            factory.archive_folder(settings),
            begin=partial(begin_restore, catalog),
            load=partial(load_collection, catalog),
            folders=_folders(settings),
        )
        end_restore(catalog, made.catalog_version)
        why = f"made from a backup of {made.created}"
        catalog.audit.add(make_entry(Action.RESTORE, file.name, who=getpass.getuser(), reason=why))
    _tell_backup("restored", file, made, as_json=as_json)


def _tell_backup(what: str, file: Path, made: Any, *, as_json: bool) -> None:
    if as_json:
        print_json({"type": "backup", "what": what, "file": str(file), **asdict(made)})
        return
    records = sum(made.documents.values())
    click.echo(f"{what}: {file}, {made.n_files} files, {made.size_bytes / 1e6:.1f} MB, {records} records")


@click.group("trash")
def trash_command() -> None:
    """Hide products, delete them, take both back; every step with a reason, kept in the audit trail."""


_reason = click.option("--reason", required=True, help="Why; kept in the audit trail.")


def _follow(catalog: Any) -> Callable[[Product], None]:
    """What queues the runs that read a product, and tells which there are."""
    from stixlab.ingest.consequences import queue_dependants

    def follow(product: Product) -> None:
        found = queue_dependants(catalog, project_folder("pipelines"), product)
        for run in found.queued:
            say(f"queued: {run.run_id}, {run.parameters.get('start', '')}")
        for run in found.without_data:
            start = run.parameters.get("start", "")
            say(f"{run.pipeline} of {start}: nothing is left that it reads; what it made before stays")

    return follow


@trash_command.command("list")
@json_option
def trash_list(*, as_json: bool) -> None:
    """What is hidden, and what was deleted and can be brought back."""
    from stixlab.archive import layout
    from stixlab.model import Action

    with _open(read_settings()) as (catalog, archive):
        rows = [
            {"state": "hidden", "id": p.product_id, "product": p.product_id, "reason": p.hidden}
            for p in catalog.products.find(hidden=True)
        ]
        rows += [
            {"state": "deleted", "id": e.entry_id, "product": e.subject, "reason": e.reason}
            for e in catalog.audit.find(action=Action.DELETE)
            if archive.path(f"{layout.TRASH}/{e.entry_id}").is_dir()
        ]
    print_rows(rows, ("state", "id", "product", "reason"), as_json=as_json)


@trash_command.command("hide")
@click.argument("product_id")
@_reason
def trash_hide(product_id: str, reason: str) -> None:
    """Show a product no more; its files stay, and it stays hidden when it is made again."""
    from stixlab.archive.trash import hide

    with _open(read_settings()) as (catalog, archive):
        done = hide(
            catalog, archive, product_id, who=getpass.getuser(), reason=reason, changed=_follow(catalog)
        )
    click.echo(f"{product_id}: hidden" if done else f"{product_id}: was hidden already")


@trash_command.command("delete")
@click.argument("product_id")
@_reason
def trash_delete(product_id: str, reason: str) -> None:
    """Take a product out of the catalogue, its files to the trash; it is made again when its raw files are read again."""
    from stixlab.archive.trash import delete

    with _open(read_settings()) as (catalog, archive):
        entry = delete(
            catalog, archive, product_id, who=getpass.getuser(), reason=reason, changed=_follow(catalog)
        )
    click.echo(f"{product_id}: deleted; `stixlab trash restore {entry.entry_id} --reason WHY` brings it back")


@trash_command.command("restore")
@click.argument("identity", metavar="ID")
@_reason
def trash_restore(identity: str, reason: str) -> None:
    """Show a hidden product again, or bring a deleted one back; ID as `stixlab trash list` shows it."""
    from stixlab.archive.trash import bring_back, show

    with _open(read_settings()) as (catalog, archive):
        if catalog.products.get(identity) is None:
            product = bring_back(
                catalog, archive, identity, who=getpass.getuser(), reason=reason, changed=_follow(catalog)
            )
            click.echo(f"{product.product_id}: back")
            return
        done = show(
            catalog, archive, identity, who=getpass.getuser(), reason=reason, changed=_follow(catalog)
        )
    click.echo(f"{identity}: shown again" if done else f"{identity}: was not hidden")


@click.command("audit")
@click.option("--subject", help="Only entries about this product or file.")
@click.option("--start", help="UTC, earliest entry.")
@click.option("--end", help="UTC, past the latest entry.")
@json_option
def audit_command(*, subject: str | None, start: str | None, end: str | None, as_json: bool) -> None:
    """What was hidden, deleted, brought back, cleaned, restored and migrated by hand; newest first."""
    from stixlab.timing import parse_utc, to_datetime

    low, high = (None if t is None else to_datetime(parse_utc(t)) for t in (start, end))
    with _open(read_settings()) as (catalog, _):
        found = catalog.audit.find(subject=subject, start=low, end=high)
    rows = [asdict(e) for e in found]
    print_rows(rows, ("time", "who", "action", "subject", "reason"), as_json=as_json)


@click.command("clean")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option(
    "--replaced-days", type=float, default=1.0, show_default=True, help="Datasets that were replaced."
)
@click.option("--trash-days", type=float, default=30.0, show_default=True, help="What was deleted by hand.")
@click.option(
    "--run-days", type=float, default=90.0, show_default=True, help="Runs that failed or were repeated."
)
@json_option
def clean_command(
    *, dry_run: bool, replaced_days: float, trash_days: float, run_days: float, as_json: bool
) -> None:
    """Remove for good what nothing needs and is older than so many days; `stixlab worker` does it daily.

    Raw files, packets, products and records are never removed.
    """
    from stixlab.archive.cleaning import clean
    from stixlab.archive.retention import Rules

    rules = Rules(replaced_days, trash_days, run_days, run_days)
    with _open(read_settings()) as (catalog, archive):
        found = clean(catalog, archive, rules, who=getpass.getuser(), dry_run=dry_run)
    print_rows([asdict(r) for r in found], ("key", "why", "size_bytes"), as_json=as_json)
    said = "would be removed" if dry_run else "removed"
    say(f"{len(found)} {said}, {sum(r.size_bytes for r in found) / 1e6:.1f} MB")


@click.command("migrate")
def migrate_command() -> None:
    """Bring archive and catalogue of an older version up to date; safe to repeat, safe to kill."""
    from stixlab import factory
    from stixlab.archive import Archive
    from stixlab.archive.trash import make_entry
    from stixlab.ingest.migration import bring_up_to_date
    from stixlab.model import Action

    settings = read_settings()
    with factory.open_ingestor(settings, pipelines=False) as make, progress_bar() as show:
        ingestor = make(show)
        report = bring_up_to_date(ingestor, Archive(factory.archive_folder(settings), writable=True))
        steps = ", ".join(f"{n} to {n + 1}" for n in report.steps)
        if report.did_something:
            details = {"n_files": report.n_files, "problems": report.problems}
            why = (
                f"archive and catalogue of version {steps}"
                if steps
                else "begun; some raw files cannot be read"
            )
            entry = make_entry(Action.MIGRATE, "archive", who=getpass.getuser(), reason=why, details=details)
            ingestor.catalog.audit.add(entry)
    for problem in report.problems:
        say(f"stixlab: {problem}")
    steps = steps or "nothing to do"
    click.echo(f"{steps}; {report.n_files} raw files read again")
    if report.problems:
        fail("some raw files could not be read again; the archive stays in its old form until they can")
