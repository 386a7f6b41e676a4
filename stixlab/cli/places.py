"""Commands about time and place: on-board time and UTC, where the spacecraft is and how it is turned."""

from __future__ import annotations

from typing import Any

import click

from stixlab.cli.output import json_option, print_rows, say
from stixlab.settings import read_settings

__all__ = ["convert_time_command", "ephemeris_command"]


@click.command("convert-time")
@click.argument("times", nargs=-1, required=True)
@json_option
def convert_time_command(times: tuple[str, ...], *, as_json: bool) -> None:
    """Convert TIMES: on-board time (``coarse:fine`` or seconds) to UTC, UTC to on-board time.

    The clock is that of the products made here: the kernel of STIXLAB_SPICE, or the table shipped. Where another clock is
    the better one for a time, because the kernel ends long before it, that is told too.
    """
    from stixlab.client.onboard_times import NOT_SYNCHRONISED
    from stixlab.client.times import convert_time
    from stixlab.ephemeris.clock import load_clock

    clock = load_clock(read_settings().spice)
    found = [convert_time(text, clock) for text in times]
    if as_json:
        print_rows([each.as_document() for each in found], (), as_json=True)
        return
    for each in found:
        click.echo(each.converted)
    for each in found:
        which = f"{each.input}: " if len(found) > 1 else ""
        how_good = f"accurate to {each.accuracy_s:.3g} s" if each.synchronised else NOT_SYNCHRONISED
        say(f"{which}clock: {each.clock} ({each.kind}), {how_good}")
        if each.better is not None:
            say(f"to be trusted more: {each.better}")


@click.command("ephemeris")
@click.argument("times", nargs=-1, required=True)
@click.option(
    "--kind", type=click.Choice(["kernel", "product", "table"]), help="Ask this kind of source only."
)
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a header line.")
@json_option
def ephemeris_command(times: tuple[str, ...], *, kind: str | None, as_csv: bool, as_json: bool) -> None:
    """Tell where the spacecraft is and how it is turned at TIMES (UTC), from which source, and how accurately.

    Asked are, in this order: kernels of the orbit as flown (STIXLAB_SPICE), auxiliary products that were imported, kernels
    that predict, the orbit table shipped. Attitude is known from kernels and products only.
    """
    from stixlab import factory

    with factory.open_lab(read_settings()) as lab:
        rows = [_row(lab, text, kind) for text in times]
    columns = list(rows[0]) if as_csv else [n for n in rows[0] if n in _SHOWN]
    print_rows(rows, columns, as_json=as_json, as_csv=as_csv)
    if not as_json:
        for row in rows:
            turned = row["attitude_source"] if row["attitude_valid"] else "no source says how it is turned"
            say(f"{row['time']}: orbit from {row['source']} ({row['kind']}); attitude: {turned}")
            if row["remark"]:
                say(f"  {row['remark']}")


_SHOWN = (
    "time",
    "distance_au",
    "stonyhurst_longitude_deg",
    "stonyhurst_latitude_deg",
    "carrington_longitude_deg",
    "light_time_difference_s",
    "sun_radius_arcsec",
    "roll_deg",
    "accuracy_km",
    "kind",
)


def _row(lab: Any, text: str, kind: str | None) -> dict[str, Any]:
    """Everything that is known of a time, as numbers and texts."""
    from stixlab.timing import parse_utc

    time = parse_utc(text)
    place, turned = lab.ephemeris(time, kind=kind), lab.attitude(time)
    about = turned.as_document()
    valid = bool(turned.valid)
    single = {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in place.as_document().items()
    }
    return single | {
        "attitude_valid": valid,
        "roll_deg": float(turned.roll) if valid else None,
        "pitch_deg": float(turned.pitch) if valid else None,
        "yaw_deg": float(turned.yaw) if valid else None,
        "attitude_source": about["source"],
    }
