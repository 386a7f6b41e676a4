"""Commands about files that arrive: watch, arrivals."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stixlab.cli.output import json_option, print_json, print_rows, say
from stixlab.settings import read_settings

if TYPE_CHECKING:
    from stixlab.model import Arrival

__all__ = ["arrivals_command", "watch_command"]

_STATUSES = ("waiting", "taken", "repeated", "set aside", "superseded", "gone")
_COLUMNS = ("arrival_id", "status", "first_seen", "seconds", "size_bytes", "path", "reason")


@click.command("watch")
@click.argument("folders", nargs=-1, metavar="FOLDER...", type=click.Path(path_type=Path))
@click.option("--no-pipelines", is_flag=True, help="Make products only; queue and run nothing.")
@json_option
def watch_command(folders: tuple[Path, ...], *, no_pipelines: bool, as_json: bool) -> None:
    """Take every telemetry file that arrives in FOLDER, or below it, until stopped by Ctrl-C or SIGTERM.

    Without FOLDER: those of STIXLAB_WATCH, as `up` does. What arrived before is taken, too, and nothing
    twice. Files stay where they are. A file that fails is set aside: see `stixlab arrivals`.
    """
    from stixlab import factory

    settings = read_settings()
    asked = threading.Event()

    def ask(number: int, _frame: Any) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    chosen = folders or settings.watched_folders
    if not chosen:
        raise click.UsageError("watch: expected a folder; STIXLAB_WATCH is none; name one")
    if (settings.home / "incoming") in chosen:
        (settings.home / "incoming").mkdir(parents=True, exist_ok=True)
    say(f"stixlab: watching {', '.join(str(f) for f in chosen)}")
    factory.watch(
        settings,
        chosen,
        stop=asked,
        tell=lambda arrival: _tell(arrival, as_json=as_json),
        say=lambda text: say(f"stixlab: {text}"),
        insist=bool(folders),
        pipelines=not no_pipelines,
    )
    say("stixlab: watching is ended")


def _tell(arrival: Arrival, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(arrival))
        return
    took = f" ({arrival.seconds:.1f} s after it arrived)" if arrival.seconds is not None else ""
    click.echo(
        f"{arrival.status:<10} {arrival.path}{took}" + (f": {arrival.reason}" if arrival.reason else "")
    )


@click.command("arrivals")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--retry", is_flag=True, help="Try again what was set aside: all of it, or NAME.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only these.")
@click.option("--start", help="UTC; files first seen before are left out.")
@click.option("--end", help="UTC; files first seen then or later are left out.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many, newest first."
)
@json_option
def arrivals_command(
    names: tuple[str, ...],
    *,
    retry: bool,
    status: str | None,
    start: str | None,
    end: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List files that arrived in watched folders, newest first, or those that NAME means.

    NAME is a file's name or path, a pattern of one (quoted), or the beginning of an id or a hash.
    """
    from stixlab import factory
    from stixlab.ingest.second_try import choose
    from stixlab.timing import parse_utc, to_datetime

    settings = read_settings()
    if retry:
        _retry(settings, names, as_json=as_json)
        return
    low, high = (None if t is None else to_datetime(parse_utc(t)) for t in (start, end))
    with factory.open_lab(settings) as lab:
        found = lab.catalog.arrivals.find(status=status, start=low, end=high)
    print_rows([asdict(a) for a in choose(found, names)[:limit]], _COLUMNS, as_json=as_json)


def _retry(settings: Any, names: tuple[str, ...], *, as_json: bool) -> None:
    from stixlab import factory
    from stixlab.ingest.second_try import choose, take_again

    failed = 0
    with factory.open_ingestor(settings) as make:
        ingestor = make()
        aside = ingestor.catalog.arrivals.find(status="set aside")
        if not aside:
            say("stixlab: nothing is set aside")
        for arrival in take_again(ingestor, choose(aside, names), settings.home / "work" / "watch"):
            failed += arrival.status == "set aside"
            _tell(arrival, as_json=as_json)
    if failed:
        click.get_current_context().exit(1)
