"""The command that searches for packets and shows one."""

from __future__ import annotations

from typing import Any

import click

from stixlab.cli.output import json_option, print_json, print_rows, say
from stixlab.settings import read_settings

__all__ = ["packets_command"]

_COLUMNS = (
    "id",
    "time",
    "service",
    "subtype",
    "ssid",
    "spid",
    "apid",
    "sequence_count",
    "length",
    "status",
    "title",
)
_LAST = 10_000
_SHOWN_VALUES = 12


@click.command("packets")
@click.argument("packet", required=False)
@click.option("--start", help="UTC or on-board time; packets before are left out.")
@click.option("--end", help="UTC or on-board time; packets then or later are left out.")
@click.option(
    "--spid", type=int, multiple=True, help="Number of the structure; -1: unknown. Several: any of them."
)
@click.option("--service", type=int, multiple=True, help="Service type.")
@click.option("--subtype", type=int, multiple=True, help="Service subtype.")
@click.option("--ssid", type=int, multiple=True, help="SSID, SID or event number.")
@click.option("--apid", type=int, multiple=True, help="Application process.")
@click.option("--request", type=int, multiple=True, help="Number of the science request.")
@click.option("--status", multiple=True, help="ok, truncated, unknown, corrupt, duplicate, ...")
@click.option("--file", default="", help="Name of the file or part of it, or first digits of its hash.")
@click.option("--text", default="", help="Words in the title of the packet or of one of its parameters.")
@click.option(
    "--origin", type=click.Choice(["flight", "simulated", "reencoded"]), help="Only what is of this origin."
)
@click.option(
    "--limit", type=click.IntRange(1, _LAST), default=50, show_default=True, help="Packets of a page."
)
@click.option("--after", help="Id of the last packet of the page before.")
@click.option("--oldest", is_flag=True, help="Earliest first.")
@click.option("--distinct", is_flag=True, help="List copies that came in several files once.")
@click.option("--all-values", is_flag=True, help="With PACKET: show every value of a field, however many.")
@json_option
def packets_command(
    *,
    packet: str | None,
    limit: int,
    after: str | None,
    oldest: bool,
    distinct: bool,
    all_values: bool,
    as_json: bool,
    **conditions: Any,
) -> None:
    """Search for packets, latest first; with PACKET (an id) show that one, field by field, with its bytes."""
    from stixlab import factory
    from stixlab.client.packets import find_packets, get_packet

    given = {name: value for name, value in conditions.items() if value}
    if packet is not None and (given or after or oldest or distinct):
        raise click.UsageError("a packet is shown by its id alone; leave the conditions out, or the id")
    with factory.open_lab(read_settings()) as lab:
        if packet is not None:
            tree = get_packet(lab, packet)
            if as_json:
                print_json(tree.as_document())
            else:
                click.echo("\n".join(tree.lines(most=None if all_values else _SHOWN_VALUES)))
            return
        found = find_packets(
            lab, limit=limit, after=after, newest_first=not oldest, distinct=distinct, **given
        )
    print_rows(list(found.rows()), _COLUMNS, as_json=as_json)
    for name in found.missing:
        say(f"{name}: its packets are not in the archive as this version keeps them; ingest the file again")
    say(f"{len(found)} of {found.total} packets, from {found.n_files} files")
    if found.next:
        say(f"more: --after {found.next}")
