"""The command that runs a pipeline over a long range of time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stixlab.cli.output import fail, json_option, print_json, progress_bar, say
from stixlab.settings import project_folder, read_settings

if TYPE_CHECKING:
    from stixlab.pipeline.backfill import BackFill, Progress

__all__ = ["backfill_command"]

_POLL_S = 1.0
_SHOWN = 5


@click.command("backfill")
@click.argument("name")
@click.option("--start", required=True, metavar="UTC", help="Start of the range.")
@click.option("--end", required=True, metavar="UTC", help="End of the range, itself not included.")
@click.option("--step", default="1d", show_default=True, help="Length of each run: 1d, 6h, 30min.")
@click.option(
    "-p",
    "--parameter",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another parameter; may be repeated.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 64),
    default=1,
    show_default=True,
    help="Worker processes to start for it; 0: queue the runs and leave them to the workers there are.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@json_option
def backfill_command(
    *, name: str, start: str, end: str, step: str, pairs: tuple[str, ...], workers: int, dry_run: bool, as_json: bool
) -> None:  # fmt: skip
    """Run pipeline NAME over a range of time, one run for each step, behind all else in the queue.

    Given again it goes on: what has succeeded on the same inputs is not run again, what failed is.
    """
    from stixlab import factory
    from stixlab.cli.pipelines import parse_parameters
    from stixlab.pipeline.backfill import plan_backfill, queue_backfill, read_step
    from stixlab.pipeline.discovery import get_pipeline
    from stixlab.pipeline.parameters import values_from_text
    from stixlab.timing import parse_utc, to_datetime

    spec = get_pipeline(project_folder("pipelines"), name)
    given = values_from_text(spec, parse_parameters(pairs))
    low, high = to_datetime(parse_utc(start)), to_datetime(parse_utc(end))
    settings = read_settings(access="operator")
    with factory.open_catalog(settings) as catalog:
        plan = plan_backfill(
            catalog, spec, low, high, step=read_step(step), given=given, asked_by=os.environ.get("USER", "")
        )
        say(
            f"{plan.batch}: {plan.steps} steps, {len(plan.runs)} to be run, {len(plan.done)} done before, "
            f"{len(plan.empty)} without data"
        )
        progress = None
        if not dry_run:
            queue_backfill(catalog, plan)
            progress = _follow(catalog, plan, settings.home, workers)
    _tell(plan, progress, as_json=as_json)


def _follow(catalog: Any, plan: BackFill, home: Path, workers: int) -> Progress | None:
    """Wait for the runs, with a line of progress; None if nobody waits."""
    from stixlab.pipeline.backfill import progress_of

    if not workers or not plan.runs:
        return progress_of(catalog, plan) if not plan.runs else None
    name = plan.runs[0].pipeline
    with _workers(name, workers, home / "log" / "backfill.log") as alive, progress_bar() as show:
        while True:
            at_work = alive()
            progress = progress_of(catalog, plan)
            show(plan.batch, progress.ended, progress.total)
            if progress.ended == progress.total or not (at_work or progress.running):
                return progress
            time.sleep(_POLL_S)


@contextmanager
def _workers(name: str, count: int, log: Path) -> Iterator[Callable[[], bool]]:
    """Workers that end when nothing of a pipeline is queued any more; whether any is at work."""
    command = [
        sys.executable,
        "-m",
        "stixlab.cli",
        "worker",
        "--drain",
        "--pipeline",
        name,
        "--processes",
        str(count),
    ]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            yield lambda: process.poll() is None
        finally:
            process.terminate()
            process.wait()


def _tell(plan: BackFill, progress: Progress | None, *, as_json: bool) -> None:
    failed = progress.failed if progress is not None else ()
    left = progress.waiting + progress.running if progress is not None else len(plan.runs)
    if as_json:
        print_json(
            {
                "batch": plan.batch,
                "steps": plan.steps,
                "runs": [r.run_id for r in plan.runs],
                "done_before": [r.run_id for r in plan.done],
                "empty": list(plan.empty),
                "left": left,
                "failed": {r.run_id: r.error for r in failed},
            }
        )
    else:
        click.echo(
            f"{plan.batch}: {len(plan.runs) - left - len(failed)} succeeded, {len(failed)} failed, {left} left"
        )
        for run in failed[:_SHOWN]:
            say(f"  {run.run_id} {run.parameters['start']}: {run.status}: {run.error}")
        if len(failed) > _SHOWN:
            say(f"  and {len(failed) - _SHOWN} more: `stixlab runs --batch {plan.batch} --status failed`")
    if failed or (progress is not None and left):
        # What the workers said is in log/backfill.log of the installation.
        fail(f"{plan.batch}: not complete; give the command again when the reason is removed")
