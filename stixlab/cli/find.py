"""Commands that look things up: products, flares, fetch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from stixlab.cli.output import json_option, print_json, print_rows, say
from stixlab.settings import read_settings
from stixlab.vocabulary import ORIGINS

__all__ = ["fetch_command", "flares_command", "products_command"]


@click.command("products")
@click.option("--type", "product_type", help="Archive name, such as ql-lightcurve.")
@click.option("--level", help="L1, ...; level 0 is not stored.")
@click.option("--start", help="UTC; products that end before are left out.")
@click.option("--end", help="UTC; products that start later are left out.")
@click.option("--origin", type=click.Choice(ORIGINS), help="Only what is of this origin.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a header line.")
@json_option
def products_command(
    *,
    product_type: str | None,
    level: str | None,
    start: str | None,
    end: str | None,
    origin: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List products, earliest first."""
    from stixlab import factory

    with factory.open_lab(read_settings()) as lab:
        found = lab.products(type=product_type, level=level, start=start, end=end, origin=origin)
    if level == "L0":
        say("level 0 is not stored: lab.open(TYPE, start, end, level='L0') makes it from the packets")
    columns = ("product_id", "version", "start", "end", "n_times", "origin", "fits")
    print_rows([asdict(p) for p in found], columns, as_json=as_json, as_csv=as_csv)


@click.command("flares")
@click.option("--start", help="UTC; flares that peak before are left out.")
@click.option("--end", help="UTC; flares that peak then or later are left out.")
@click.option("--min-counts", type=float, default=0.0, help="Smallest peak, 4-10 keV counts per 4 s.")
@click.option("--origin", type=click.Choice(ORIGINS), help="Only what is of this origin.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a header line.")
@json_option
def flares_command(
    *, start: str | None, end: str | None, min_counts: float, origin: str | None, as_csv: bool, as_json: bool
) -> None:
    """List flares, earliest first."""
    from stixlab import factory
    from stixlab.timing import parse_utc

    for time in (start, end):
        if time is not None:
            parse_utc(time)
    with factory.open_lab(read_settings()) as lab:
        found = lab.find_flares(start, end, min_counts=min_counts, origin=origin)
    columns = (
        "flare_id",
        "start",
        "peak",
        "end",
        "peak_counts",
        "background_counts",
        "significance",
        "origin",
    )
    print_rows([asdict(f) for f in found], columns, as_json=as_json, as_csv=as_csv)


@click.command("fetch")
@click.argument("products", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="Folder for the files.")
@json_option
def fetch_command(products: tuple[str, ...], *, out: Path, as_json: bool) -> None:
    """Copy the FITS files of PRODUCTS (their ids), checksums verified."""
    from stixlab import factory

    out.mkdir(parents=True, exist_ok=True)
    with factory.open_lab(read_settings()) as lab:
        for product in products:
            path = lab.fetch(product, out)
            if as_json:
                print_json({"product_id": product, "path": str(path)})
            else:
                click.echo(str(path))
