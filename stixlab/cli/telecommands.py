"""The command that lists telecommands and shows one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stixlab.cli.output import json_option, print_json, print_rows, say
from stixlab.settings import read_settings

if TYPE_CHECKING:
    from stixlab.catalog import Catalog
    from stixlab.model import Telecommand
    from stixlab.telemetry.commands import DecodedCommand

__all__ = ["telecommands_command"]

_COLUMNS = ("time", "name", "outcome", "initials", "sequence_count", "description", "identity")


@click.command("telecommands")
@click.argument("identity", required=False)
@click.option("--start", help="UTC; commands executed (or sent, or released) before are left out.")
@click.option("--end", help="UTC; commands executed then or later are left out.")
@click.option("--name", default="", help="Mnemonic, such as ZIX38001; ZIX38* for all that begin so.")
@click.option("--service", type=int, help="Only commands of this service.")
@click.option("--text", default="", help="Words in the description.")
@click.option("--outcome", default="", help="executed, failed, released, ...")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A value as reported.")
@click.option("--sequence-control", type=int, help="As telemetry names its command: NIX00002.")
@click.option("--request", help="Only those that asked for the data of this request (its id).")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a header line.")
@json_option
def telecommands_command(
    *,
    identity: str | None,
    start: str | None,
    end: str | None,
    name: str,
    service: int | None,
    text: str,
    outcome: str,
    parameters: tuple[str, ...],
    sequence_control: int | None,
    request: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List telecommands, earliest first; or show the one called IDENTITY with all that is known of it."""
    from stixlab import factory
    from stixlab.client.telecommands import find_telecommands, telecommand_document

    wrong = next((p for p in parameters if "=" not in p), None)
    if wrong is not None:
        raise click.UsageError(f"--parameter: expected NAME=VALUE; found {wrong!r}")
    settings = read_settings()
    with factory.open_lab(settings) as lab:
        if identity is not None:
            _show(lab.catalog, identity, as_json=as_json)
            return
        asked = None if request is None else _of_request(lab.catalog, request)
        found = find_telecommands(
            lab.catalog,
            start,
            end,
            name=name,
            service=service,
            text=text,
            outcome=outcome,
            parameters=dict(p.split("=", 1) for p in parameters),
            sequence_control=sequence_control,
            brief=not as_json,
        )
    rows = [telecommand_document(c) for c in found if asked is None or c.identity in asked]
    print_rows(rows, _COLUMNS, as_json=as_json, as_csv=as_csv)


def _of_request(catalog: Catalog, name: str) -> set[str]:
    from stixlab.client.telecommands import find_telecommands_of_request
    from stixlab.errors import NotInCatalogError

    request = catalog.requests.get(name)
    if request is None:
        raise NotInCatalogError(f"request {name!r}: not in the catalogue; `stixlab requests` lists them")
    return {c.identity for c in find_telecommands_of_request(catalog, request)}


def _show(catalog: Catalog, identity: str, *, as_json: bool) -> None:
    from stixlab.client.telecommands import decode_telecommand, get_telecommand, telecommand_document

    command = get_telecommand(catalog, identity)
    decoded = decode_telecommand(command, read_settings())
    if as_json:
        print_json(telecommand_document(command, decoded))
        return
    facts = {
        "identity": command.identity,
        "name": command.name,
        "description": command.description,
        "sequence": command.sequence,
        "release": command.release,
        "uplink": command.uplink,
        "execution": command.execution,
        "service": command.service,
        "subtype": command.subtype,
        "apid": command.apid,
        "sequence_count": command.sequence_count,
        "outcome": command.outcome,
        **command.states,
        **command.custom,
        **command.details,
        "files": command.sources,
    }
    print_rows([{"field": k, "value": v} for k, v in facts.items() if v is not None], ("field", "value"))
    click.echo()
    _show_parameters(command, decoded)


def _show_parameters(command: Telecommand, decoded: DecodedCommand | None) -> None:
    if decoded is None:
        print_rows(list(command.parameters), ("name", "value", "unit", "title"))
    else:
        rows = [
            {
                "name": v.name,
                "value": v.value.hex() if isinstance(v.value, bytes) else v.value,
                "raw": v.raw.hex() if isinstance(v.raw, bytes) else v.raw,
                "unit": v.unit,
                "repeat": ".".join(str(n + 1) for n in v.repeat),
                "title": v.title,
            }
            for v in decoded.parameters
        ]
        print_rows(rows, ("name", "value", "raw", "unit", "repeat", "title"))
        say(f"decoded from the packet with database {decoded.database_version}")
        for problem in decoded.problems:
            say(f"its packet is not as it should be: {problem}")
    if command.raw:
        click.echo(f"\n{command.raw}")
