"""Commands about the energy look-up tables: which held when, what they say, where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stixlab.cli.output import json_option, print_json, print_rows, say
from stixlab.errors import ParameterError
from stixlab.settings import read_settings

__all__ = ["elut_command"]


@click.group("elut", invoke_without_command=True)
@json_option
@click.pass_context
def elut_command(context: click.Context, *, as_json: bool) -> None:
    """List the energy look-up tables (ELUT): when each held, and where it comes from."""
    if context.invoked_subcommand is not None:
        return
    from stixlab.instrument.elut import elut_history

    rows = [_row(span) for span in elut_history(read_settings().home)]
    print_rows(rows, list(rows[0]), as_json=as_json)


@elut_command.command("show")
@click.argument("time")
@click.option("--detector", type=click.IntRange(1, 32), help="Only this detector.")
@click.option("--pixel", type=click.IntRange(0, 11), help="Only this pixel.")
@click.option(
    "--calibration",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CAL product; of several the nearest is taken.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a header line.")
@json_option
def show_command(
    time: str,
    *,
    detector: int | None,
    pixel: int | None,
    calibration: tuple[Path, ...],
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show the table in force at TIME: the edges of every pixel in converter steps and in keV."""
    from stixlab.client.elut import get_elut

    ds = get_elut(time, home=read_settings().home, calibration=calibration or None)
    chosen = ds.isel(
        detector=slice(None) if detector is None else [detector - 1],
        pixel=slice(None) if pixel is None else [pixel],
    )
    about = {k: v for k, v in ds.attrs.items() if k not in {"Conventions", "title", "software_version"}}
    if as_json:
        print_json({"type": "elut", **about})
    table = chosen.to_dataframe().reset_index().round({"true_energy_edge": 4})
    columns = ["detector", "pixel", "edge", "energy_edge", "adc_edge", "true_energy_edge"]
    rows: list[dict[str, Any]] = [
        {str(name): value for name, value in row.items()} for row in table[columns].to_dict("records")
    ]
    print_rows(rows, list(rows[0]), as_json=as_json, as_csv=as_csv)
    for name, value in about.items():
        if value:
            say(f"{name}: {value}")


@elut_command.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--from", "start", help="UTC from which a single table held.")
@json_option
def import_command(path: Path, *, start: str | None, as_json: bool) -> None:
    """Take tables: a folder of the instrument team's configuration files, or one table with --from."""
    from stixlab.instrument.table_import import import_elut, import_tables
    from stixlab.timing import parse_utc

    home = read_settings().home
    if path.is_dir():
        rows: list[dict[str, Any]] = [{"file": name} for name in import_tables(path, home)]
    elif start is None:
        raise ParameterError(f"{path.name}: expected --from, the time of its upload; found none")
    else:
        rows = [_row(import_elut(path, parse_utc(start), home))]
    print_rows(rows, list(rows[0]), as_json=as_json)


def _row(span: Any) -> dict[str, Any]:
    start, end = (None if t is None else f"{str(t)[:19]}Z" for t in (span.start, span.end))
    return {"name": span.name, "start": start, "end": end, "source": span.source, "note": span.note}
