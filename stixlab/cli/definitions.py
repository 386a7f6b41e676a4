"""Commands about packet definitions: which there are, where they come from, what they hold."""

from __future__ import annotations

from pathlib import Path

import click

from stixlab.cli.output import json_option, print_rows, say
from stixlab.settings import read_settings

__all__ = ["idb_command"]


@click.group("idb", invoke_without_command=True)
@json_option
@click.pass_context
def idb_command(context: click.Context, *, as_json: bool) -> None:
    """List the eras of the flight database and where the definitions of each come from."""
    if context.invoked_subcommand is None:
        from stixlab.idb import IMPORTED, load_versions

        settings = read_settings()
        versions = load_versions(settings.idb, settings.home / IMPORTED)
        rows = [
            {
                "start_scet": era.start_scet,
                "asw_version": era.asw_version,
                "idb_version": era.idb_version,
                "definitions": versions[era.index].version,
                "structures": len(versions[era.index].structures),
                "source": versions[era.index].source,
                "note": versions[era.index].note,
            }
            for era in versions.eras
        ]
        print_rows(rows, list(rows[0]), as_json=as_json)


@idb_command.command("import")
@click.argument(
    "databases", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@json_option
def import_command(databases: tuple[Path, ...], *, as_json: bool) -> None:
    """Compile mission databases (SQLite); used from then on for the eras of their versions."""
    from stixlab.idb import IMPORTED, import_database

    imported = read_settings().home / IMPORTED
    rows = []
    for database in databases:
        definitions = import_database(database, imported)
        rows.append(
            {
                "version": definitions.version,
                "packet_types": len(definitions.packet_types),
                "structures": len(definitions.structures),
                "parameters": len(definitions.parameters),
                "source": definitions.source,
                "note": definitions.note,
            }
        )
    print_rows(rows, list(rows[0]), as_json=as_json)
    say("stixlab: services that run keep what they have loaded; restart them")


@idb_command.command("remove")
@click.argument("version")
def remove_command(version: str) -> None:
    """Remove what was imported for VERSION; the definitions shipped serve again."""
    from stixlab.idb import IMPORTED, remove_imported

    remove_imported(version, read_settings().home / IMPORTED)
    say(f"stixlab: {version} removed")


@idb_command.command("patches")
@json_option
def patches_command(*, as_json: bool) -> None:
    """List the named patches: differences between versions and corrections of databases."""
    from stixlab.idb import shipped_patches

    rows = [
        {
            "patch": patch.name,
            "kind": "correction" if patch.is_correction else "difference",
            "first": patch.first,
            "last": patch.last,
            "changes": len(patch.changes),
            "why": patch.why,
        }
        for patch in shipped_patches()
    ]
    print_rows(rows, list(rows[0]), as_json=as_json)


@idb_command.command("find")
@click.argument("words", nargs=-1, required=True)
@json_option
def find_command(words: tuple[str, ...], *, as_json: bool) -> None:
    """List the packet types that WORDS describe: their titles, and names and titles of their parameters."""
    from stixlab.idb import IMPORTED, load_versions

    settings = read_settings()
    definitions = load_versions(settings.idb, settings.home / IMPORTED).latest
    rows = [
        {
            "spid": kind.spid,
            "service": kind.service,
            "subtype": kind.subtype,
            "pi1": kind.pi1,
            "apid": kind.apid,
            "title": kind.title,
            "parameters": len({f.parameter for f in definitions.structures.get(kind.spid, ())}),
        }
        for kind in sorted(
            (definitions.packet_types[spid] for spid in definitions.find(" ".join(words))),
            key=lambda k: (k.service, k.subtype, k.pi1),
        )
    ]
    print_rows(rows, ("spid", "service", "subtype", "pi1", "apid", "parameters", "title"), as_json=as_json)
