"""Commands of the notebook pipelines: pipelines, run, runs, retry, cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stixlab.cli.output import fail, json_option, print_json, print_rows, say
from stixlab.errors import AccessError, ConflictError, NotInCatalogError
from stixlab.settings import project_folder, read_settings

if TYPE_CHECKING:
    from stixlab.model import Run

__all__ = [
    "cancel_command",
    "parse_parameters",
    "pipelines_command",
    "retry_command",
    "run_command",
    "runs_command",
]


@click.command("pipelines")
@click.argument("name", required=False)
@click.option(
    "--page",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Write the section of all pipelines into this page of the documentation.",
)
@json_option
def pipelines_command(*, name: str | None, page: Path | None, as_json: bool) -> None:
    """List the pipelines, what they need and make, and their parameters; of NAME the documentation page.

    The exit status is 1 if one is declared wrongly.
    """
    from stixlab.pipeline.dependencies import overlaps_of
    from stixlab.pipeline.discovery import find_pipelines, get_pipeline
    from stixlab.pipeline.reference import reference_page, with_reference
    from stixlab.pipeline.spec import json_schema

    folder = project_folder("pipelines")
    found = find_pipelines(folder)
    specs = list(found.good.values())
    if name is not None:
        spec = get_pipeline(folder, name)
        if as_json:
            print_json(json_schema(spec))
        else:
            click.echo(reference_page(spec, specs), nl=False)
        return
    if page is not None and not found.wrong:
        page.write_text(with_reference(page.read_text("utf-8"), specs), "utf-8")
        return
    for spec in () if page is not None else specs:
        if as_json:
            print_json(json_schema(spec))
            continue
        click.echo(f"{spec.name}: {spec.title}")
        click.echo(f"  {spec.summary}")
        for parameter in spec.parameters:
            click.echo(f"  -p {parameter.name}={parameter.default!r}  ({parameter.type}) {parameter.help}")
    for (one, other), names in overlaps_of(specs).items():
        say(
            f"stixlab: warning: {one} and {other} may both deliver {', '.join(names)}; "
            "of the same range the one that ends last stands"
        )
    for message in dict.fromkeys(str(error) for error in found.wrong.values()):
        say(f"stixlab: {message}")
    if found.wrong:
        click.get_current_context().exit(1)


def parse_parameters(pairs: tuple[str, ...]) -> dict[str, str]:
    """Values as typed, by the name of the parameter."""
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"-p: expected NAME=VALUE; found {pair!r}")
        given[name] = value
    return given


@click.command("run")
@click.argument("name")
@click.option(
    "-p", "--parameter", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated."
)
@json_option
def run_command(name: str, pairs: tuple[str, ...], *, as_json: bool) -> None:
    """Run pipeline NAME and wait for it."""
    from stixlab import factory
    from stixlab.pipeline.discovery import get_pipeline
    from stixlab.pipeline.parameters import parameters_from_text

    spec = get_pipeline(project_folder("pipelines"), name)
    given = parameters_from_text(spec, parse_parameters(pairs))
    with factory.open_lab(read_settings(access="operator")) as lab:
        run = lab.run(name, **given)
    if as_json:
        print_json(asdict(run))
    else:
        click.echo(f"{run.pipeline} {run.run_id}: {run.status}{'' if run.outputs else '; nothing saved'}")
        for line in _saved(run):
            click.echo(line)
        say(f"executed notebook: {run.notebook}")
    if run.status != "succeeded":
        fail(run.error)


def _saved(run: Run) -> list[str]:
    """A line for each output of a run, and for each product that it delivered."""
    lines = []
    for name, output in sorted(run.outputs.items()):
        n, looked_at = output.get("records", 0), output.get("looked_at")
        origin = f" ({output['origin']})" if output.get("origin") else ""
        if output.get("kind") == "products":
            days = f", {looked_at} days looked at" if looked_at else ""
            lines.append(f"  {name}{origin}: {n} products delivered{days}")
        else:
            lines.append(f"  {name}{origin}: {n} {output.get('kind', 'records')}")
        lines += [f"    {identity}" for identity in sorted(output.get("products", ()))]
        lines += [f"    removed {identity}" for identity in output.get("removed", ())]
    return lines


_STATUSES = ("queued", "running", "succeeded", "failed", "cancelled")


@click.command("runs")
@click.option("--pipeline", help="Only runs of this pipeline.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only these.")
@click.option("--batch", metavar="ID", help="Only those of this back-fill.")
@click.option("--count", is_flag=True, help="Tell how many there are of each status, no more.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, newest first."
)
@json_option
def runs_command(
    *, pipeline: str | None, status: str | None, batch: str | None, count: bool, limit: int, as_json: bool
) -> None:
    """List runs, newest first."""
    from stixlab import factory

    with factory.open_lab(read_settings()) as lab:
        if count:
            numbers = lab.catalog.runs.count_by_status(batch=batch, pipeline=pipeline)
            counted = [{"status": str(k), "runs": n} for k, n in numbers.items() if status in (None, str(k))]
            print_rows(counted, ("status", "runs"), as_json=as_json)
            return
        found = lab.catalog.runs.find(pipeline=pipeline, status=status, batch=batch, limit=limit)
    rows: list[dict[str, Any]] = [
        {
            **asdict(r),
            "seconds": _seconds(r.started, r.finished),
            "progress": _progress(r.cells_done, r.cells),
        }
        for r in found
    ]
    print_rows(
        rows,
        ("run_id", "pipeline", "status", "created", "progress", "seconds", "parameters", "outputs", "error"),
        as_json=as_json,
    )


def _seconds(started: datetime | None, finished: datetime | None) -> float | None:
    return (finished - started).total_seconds() if started and finished else None


def _progress(done: int, cells: int) -> str:
    return f"{done}/{cells}" if cells else ""


@click.command("retry")
@click.argument("run_ids", nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="All that failed, of --pipeline or --batch if given.")
@click.option("--pipeline", help="With --failed: only runs of this pipeline.")
@click.option("--batch", metavar="ID", help="With --failed: only those of this back-fill.")
@json_option
def retry_command(
    run_ids: tuple[str, ...], *, failed: bool, pipeline: str | None, batch: str | None, as_json: bool
) -> None:
    """Ask again for runs that failed or were cancelled, and for those that were not begun because of them.

    One that waits for its next attempt begins at once. Names of runs are those of `stixlab runs`.
    """
    from stixlab import factory

    if failed == bool(run_ids):
        raise click.UsageError("retry: expected names of runs, or --failed")
    if not failed and (pipeline or batch):
        raise click.UsageError("retry: --pipeline and --batch go with --failed")
    with factory.open_lab(read_settings()) as lab:
        found = lab.catalog.runs.find(status="failed", pipeline=pipeline, batch=batch) if failed else []
        # Those not begun because of another one follow it.
        names = [r.run_id for r in found if r.attempts or not r.after] or list(run_ids)
        _change(names, lab.desk.retry, as_json=as_json)


@click.command("cancel")
@click.argument("run_ids", nargs=-1, metavar="[ID]...")
@click.option("--batch", metavar="ID", help="All of this back-fill that wait or run.")
@json_option
def cancel_command(run_ids: tuple[str, ...], *, batch: str | None, as_json: bool) -> None:
    """Stop runs: one that waits at once, one that runs within seconds."""
    from stixlab import factory

    if bool(batch) == bool(run_ids):
        raise click.UsageError("cancel: expected names of runs, or --batch")
    with factory.open_lab(read_settings()) as lab:
        store = lab.catalog.runs
        # Those that wait first, so that none of them begins in place of one that was stopped.
        found = [r for s in ("queued", "running") for r in store.find(status=s, batch=batch)] if batch else []
        _change([r.run_id for r in found] or list(run_ids), lab.desk.cancel, as_json=as_json)


def _change(names: list[str], change: Callable[[str], Run], *, as_json: bool) -> None:
    """Change runs one by one; each that cannot be is told, and the status is 1 then."""
    refused = 0
    if not names:
        say("stixlab: there is none")
    for name in names:
        try:
            run = change(name)
        except (ConflictError, NotInCatalogError, AccessError) as error:
            refused += 1
            say(f"stixlab: {error}")
            continue
        if as_json:
            print_json(asdict(run))
        else:
            asked = " (asked to stop)" if run.status == "running" else ""
            click.echo(f"{run.run_id}: {run.status}{asked}")
    if refused:
        click.get_current_context().exit(1)
