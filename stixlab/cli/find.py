"""Commands that look things up: products, flares, fetch, convert-time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stixlab.cli.output import json_option, print_json, print_rows, say
from stixlab.settings import read_settings

if TYPE_CHECKING:
    from stixlab.ephemeris.correlation import Clocks
    from stixlab.timing import ClockTable

__all__ = ["convert_time_command", "fetch_command", "flares_command", "products_command"]


@click.command("products")
@click.option("--type", "product_type", help="Archive name, such as ql-lightcurve.")
@click.option("--level", help="L1, ...")
@click.option("--start", help="UTC; products that end before are left out.")
@click.option("--end", help="UTC; products that start later are left out.")
@click.option("--origin", type=click.Choice(["flight", "simulated"]), help="Only what is of this origin.")
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
    columns = ("product_id", "version", "start", "end", "n_times", "origin", "fits")
    print_rows([asdict(p) for p in found], columns, as_json=as_json, as_csv=as_csv)


@click.command("flares")
@click.option("--start", help="UTC; flares that peak before are left out.")
@click.option("--end", help="UTC; flares that peak then or later are left out.")
@click.option("--min-counts", type=float, default=0.0, help="Smallest peak, 4-10 keV counts per 4 s.")
@click.option("--origin", type=click.Choice(["flight", "simulated"]), help="Only what is of this origin.")
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


@click.command("convert-time")
@click.argument("times", nargs=-1, required=True)
@json_option
def convert_time_command(times: tuple[str, ...], *, as_json: bool) -> None:
    """Convert TIMES: on-board time (``coarse:fine`` or seconds) to UTC, UTC to on-board time.

    The clock is that of the products made here: the kernel of STIXLAB_SPICE, or the table shipped. Where another clock is
    the better one for a time, because the kernel ends long before it, that is told too.
    """
    from stixlab.ephemeris.clock import load_clock
    from stixlab.ephemeris.correlation import Clocks

    clock = load_clock(read_settings().spice)
    clocks = Clocks.of(clock)
    rows = [_converted(text, clock, clocks) for text in times]
    if as_json:
        print_rows(rows, (), as_json=True)
        return
    for row in rows:
        click.echo(row["scet"] if row["given"] == "utc" else row["utc"])
    worst = max(row["accuracy_s"] for row in rows)
    say(f"clock: {clock.source}, accurate to {worst:.3g} s")
    for row in rows:
        if row["better"] is not None:
            better = row["better"]
            found = better["scet"] if row["given"] == "utc" else better["utc"]
            say(f"{row['input']}: {found} by {better['clock']}, accurate to {better['accuracy_s']:.3g} s")


def _converted(text: str, clock: ClockTable, clocks: Clocks) -> dict[str, Any]:
    """One time by the clock in use, and by the best one where that is another."""
    import numpy as np

    from stixlab.errors import TimeError
    from stixlab.timing import FINE_PER_SECOND, format_scet, format_utc, parse_time, parse_utc

    utc = parse_time(text, clock)
    try:
        parse_utc(text)
        given = "utc"
    except TimeError:
        given = "scet"
    coarse, fine = clock.to_scet(utc)
    ticks = np.asarray(int(coarse) * FINE_PER_SECOND + int(fine))
    first = clocks.sources[0]
    best = clocks.to_scet(utc) if given == "utc" else clocks.to_utc(coarse, fine)
    better = None
    if str(best.source) != clock.source:
        better = {
            "scet": format_scet(int(best.coarse), int(best.fine)),
            "utc": format_utc(np.datetime64(int(best.utc.astype(np.int64)), "ns")),
            "clock": str(best.source),
            "kind": str(best.kind),
            "accuracy_s": float(best.accuracy_s),
        }
    return {
        "input": text,
        "given": given,
        "scet": format_scet(int(coarse), int(fine)),
        "utc": format_utc(utc),
        "clock": clock.source,
        "kind": first.kind,
        "accuracy_s": float(first.accuracy_s(ticks)),
        "better": better,
    }
