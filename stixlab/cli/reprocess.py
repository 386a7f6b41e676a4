"""The command that makes products again."""

from __future__ import annotations

from datetime import datetime

import click

from stixlab.cli.output import json_option, print_json, progress_bar, say
from stixlab.errors import ParameterError
from stixlab.settings import read_settings
from stixlab.vocabulary import ORIGINS

__all__ = ["reprocess_command"]


@click.command("reprocess")
@click.option("--type", "product_type", help="Archive name, such as ql-lightcurve; by default all types.")
@click.option("--start", help="UTC; days and requests that end before are left out.")
@click.option("--end", help="UTC; days and requests that start later are left out.")
@click.option("--origin", type=click.Choice(ORIGINS), help="Only what is of this origin.")
@click.option("--again", is_flag=True, help="Make also what has not changed; damaged files are written anew.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be made.")
@click.option("--no-pipelines", is_flag=True, help="Make products only; queue and run nothing.")
@json_option
def reprocess_command(
    *,
    product_type: str | None,
    start: str | None,
    end: str | None,
    origin: str | None,
    again: bool,
    dry_run: bool,
    no_pipelines: bool,
    as_json: bool,
) -> None:
    """Make products again from the stored packets, where packets, definitions, clock or software have changed.

    The same inputs give the same data, bit by bit, and no new version. Safe to repeat, safe to kill.
    """
    from stixlab import factory
    from stixlab.ingest.reprocess import reprocess
    from stixlab.vocabulary import product_type as check_type

    if product_type is not None:
        check_type(product_type)
    low, high = _time(start), _time(end)
    if low is not None and high is not None and low >= high:
        raise ParameterError(f"reprocess: expected --start before --end; found {start} and {end}")
    with (
        factory.open_ingestor(read_settings(), pipelines=not no_pipelines) as make,
        progress_bar() as show,
    ):
        report = reprocess(
            make(show), type=product_type, start=low, end=high, origin=origin, again=again, dry_run=dry_run
        )
    if as_json:
        print_json(report.as_document())
    else:
        for identity in report.changed:
            click.echo(f"product   {identity}")
        for problem in report.problems:
            say(f"stixlab: {problem}")
        why = ", ".join(f"{n} {name}" for name, n in sorted(report.why.items())) or "nothing changed"
        verb = "to be made again" if dry_run else "made again"
        click.echo(
            f"{report.days} days and {report.requests} requests {verb} ({why}), {report.up_to_date} up to date;"
            f" {len(report.changed)} products new or changed, {report.unchanged} unchanged; {report.seconds:.2f} s"
        )
    if report.problems or any(r["status"] == "failed" for r in report.runs):
        click.get_current_context().exit(1)


def _time(text: str | None) -> datetime | None:
    from stixlab.timing import parse_utc, to_datetime

    return None if text is None else to_datetime(parse_utc(text))
