"""The command that tells where something comes from."""

from __future__ import annotations

import click

from stixlab.cli.output import json_option, print_json
from stixlab.settings import read_settings

__all__ = ["explain_command"]


@click.command("explain")
@click.argument("identity", metavar="ID")
@json_option
def explain_command(identity: str, *, as_json: bool) -> None:
    """Tell what a product, request, flare, packet or run was made from: raw packets, definitions, software, run.

    ID is as `stixlab products`, `requests`, `flares`, `packets` or `runs` list it; where a measured and a simulated flare
    have the same id, with the origin behind it, such as 2105071234_simulated.
    """
    from stixlab import factory

    with factory.open_lab(read_settings()) as lab:
        found = lab.explain(identity)
    if as_json:
        print_json(found.as_document())
    else:
        click.echo(str(found))
