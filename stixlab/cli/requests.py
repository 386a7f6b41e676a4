"""The command that looks up data requests."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from stixlab.cli.output import as_text, json_option, print_json, print_rows
from stixlab.settings import read_settings
from stixlab.vocabulary import ORIGINS

__all__ = ["requests_command"]

_COLUMNS = ("id", "start", "end", "n_packets", "n_missing", "complete", "why")


@click.command("requests")
@click.argument("request", required=False)
@click.option("--type", "product_type", help="Archive name, such as sci-xray-cpd.")
@click.option("--start", help="UTC; requests whose data end before are left out.")
@click.option("--end", help="UTC; requests whose data start later are left out.")
@click.option("--origin", type=click.Choice(ORIGINS), help="Only what is of this origin.")
@click.option("--incomplete", is_flag=True, help="Only those of which packets are missing.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a header line.")
@json_option
def requests_command(
    *,
    request: str | None,
    product_type: str | None,
    start: str | None,
    end: str | None,
    origin: str | None,
    incomplete: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List data requests, earliest data first; or show one REQUEST (its id or number): what is missing, what is in it."""
    from stixlab import factory
    from stixlab.client.requests import find_requests

    with factory.open_lab(read_settings()) as lab:
        if request is not None:
            if product_type or start or end or origin or incomplete or as_csv:
                raise click.UsageError("a REQUEST is shown whole: give it alone, or with --json")
            _show(_contents(lab, request), as_json=as_json)
            return
        complete = False if incomplete else None
        found = find_requests(
            lab.catalog, type=product_type, start=start, end=end, origin=origin, complete=complete
        )
    print_rows([asdict(r) for r in found], _COLUMNS, as_json=as_json, as_csv=as_csv)


def _contents(lab: Any, name: str) -> dict[str, Any]:
    """Record of a request and what its parameters hold."""
    from stixlab.client.requests import get_record, get_request
    from stixlab.idb import load_versions

    record = get_record(lab.catalog, name)
    document = asdict(record) | {"type": "request", "product_type": record.type, "parameters": []}
    if record.n_packets:
        versions = load_versions(lab.settings.idb)
        part = get_request(
            record.id, catalog=lab.catalog, archive=lab.archive, versions=versions, clock=lab.clock
        )
        era = int(part.columns.block.era[-1])
        for parameter, values in part.columns.values.items():
            known = versions[era].parameters.get(parameter)
            row = {"name": parameter, "title": known.title if known else "", "n": len(values)}
            numbers = values.ndim == 1 and len(values)
            row |= {"min": int(values.min()), "max": int(values.max())} if numbers else {}
            document["parameters"].append(row)
    return document


def _show(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    left_out = {"parameters", "gaps", "type", "keys", "sources", "content_sha256"}
    for name, value in document.items():
        if name not in left_out:
            click.echo(f"{name:<14} {as_text(value)}")
    for gap in document["gaps"]:
        click.echo(f"{'missing':<14} {gap}")
    for source in document["sources"]:
        click.echo(f"{'source':<14} {source}")
    if document["parameters"]:
        click.echo("")
        print_rows(document["parameters"], ("name", "n", "min", "max", "title"))
