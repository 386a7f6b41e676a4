"""Commands of the notebook pipelines: pipelines, run, runs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from stixlab.cli.output import fail, json_option, print_json, print_rows, say
from stixlab.settings import project_folder, read_settings

__all__ = ["pipelines_command", "run_command", "runs_command"]


@click.command("pipelines")
@json_option
def pipelines_command(*, as_json: bool) -> None:
    """List the pipelines, what they need and make, and their parameters."""
    from stixlab.pipeline.discovery import find_pipelines
    from stixlab.pipeline.spec import json_schema

    found = find_pipelines(project_folder("pipelines"))
    if as_json:
        for spec in found.good.values():
            print_json(json_schema(spec))
        for error in found.wrong.values():
            say(f"stixlab: {error}")
        return
    for spec in found.good.values():
        click.echo(f"{spec.name}: {spec.title}")
        click.echo(f"  {spec.summary}")
        for parameter in spec.parameters:
            click.echo(f"  -p {parameter.name}={parameter.default!r}  ({parameter.type}) {parameter.help}")
    for error in found.wrong.values():
        say(f"stixlab: {error}")


def _parse_parameters(pairs: tuple[str, ...]) -> dict[str, str]:
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
    given = parameters_from_text(spec, _parse_parameters(pairs))
    with factory.open_lab(read_settings(access="operator")) as lab:
        run = lab.run(name, **given)
    if as_json:
        print_json(asdict(run))
    else:
        click.echo(f"{run.pipeline} {run.run_id}: {run.status}; {run.outputs or 'nothing saved'}")
        say(f"executed notebook: {run.notebook}")
    if run.status != "succeeded":
        fail(run.error)


@click.command("runs")
@click.option("--pipeline", help="Only runs of this pipeline.")
@click.option("--status", type=click.Choice(["queued", "running", "succeeded", "failed"]), help="Only these.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many, newest first."
)
@json_option
def runs_command(*, pipeline: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """List runs, newest first."""
    from stixlab import factory

    with factory.open_lab(read_settings()) as lab:
        found = lab.catalog.runs.find(pipeline=pipeline, status=status, limit=limit)
    rows: list[dict[str, Any]] = [{**asdict(r), "seconds": _seconds(r.started, r.finished)} for r in found]
    print_rows(
        rows,
        ("run_id", "pipeline", "status", "created", "seconds", "parameters", "outputs", "error"),
        as_json=as_json,
    )


def _seconds(started: datetime | None, finished: datetime | None) -> float | None:
    return (finished - started).total_seconds() if started and finished else None
