"""The command that executes queued runs: worker."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading

import click

from stixlab.settings import read_settings

__all__ = ["worker_command"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]I?)?B?", re.IGNORECASE)


def _size(_ctx: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    """A number of bytes such as 500M or 2GiB."""
    if value is None:
        return None
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise click.BadParameter(f"expected a size such as 500M or 2GiB; found {value!r}")
    return round(float(match[1]) * _UNITS[(match[2] or "").upper()])


@click.command("worker")
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="So many at once, each with one run.",
)
@click.option("--drain", is_flag=True, help="End when nothing is queued any more.")
@click.option(
    "--pipeline", "only", multiple=True, metavar="NAME", help="Only runs of this pipeline; may be repeated."
)
@click.option(
    "--memory",
    callback=_size,
    metavar="SIZE",
    help="Most memory of a run whose pipeline declares none, such as 2GiB.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="What the run in hand gets to end by itself after SIGTERM; then it goes back into the queue.",
)
def worker_command(
    *, processes: int, drain: bool, only: tuple[str, ...], memory: int | None, grace: float
) -> None:
    """Execute queued pipeline runs, for ever; what happens is told on stderr, a JSON object a line.

    Any number of workers may run, on any machines that share the archive and the database. SIGTERM or Ctrl-C
    ends one: no new run is begun. A worker that is killed loses nothing: its run is taken over by another.
    """
    from stixlab import factory
    from stixlab.cli.json_lines import log_as_json

    log_as_json()
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    settings = read_settings()
    if processes == 1:
        factory.work(settings, stop=asked.is_set, drain=drain, only=only, memory_bytes=memory, grace_s=grace)
        return
    from stixlab.services.crew import Crew

    options = [
        *(["--drain"] if drain else []),
        "--grace",
        str(grace),
        *(f"--pipeline={name}" for name in only),
    ]
    options += [] if memory is None else ["--memory", str(memory)]
    command = [sys.executable, "-m", "stixlab.cli", "worker", *options]
    crew = Crew(command, processes, env=dict(os.environ), grace_s=grace + 5, until_done=drain)
    failed = crew.run(asked.is_set)
    if failed:
        logging.getLogger(__name__).error("workers had to be killed", extra={"count": failed})
        click.get_current_context().exit(1)
