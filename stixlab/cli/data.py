"""Commands that take or make data: decode, ingest, import, simulate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stixlab.cli.output import fail, json_option, print_json, progress_bar, say
from stixlab.errors import FormatError, ParameterError
from stixlab.settings import read_settings

if TYPE_CHECKING:
    from stixlab.telemetry.report import DecodeReport

__all__ = ["decode_command", "import_command", "ingest_command", "simulate_command"]

_SHOWN_PROBLEMS = 20
_DECODED_AT_ONCE = 1 << 24
"""Bytes of a file whose packets are in memory together."""


@click.command("decode")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--physical", is_flag=True, help="Add decompressed and engineering values.")
@json_option
def decode_command(file: Path, *, physical: bool, as_json: bool) -> None:
    """Show the packets of a telemetry FILE of any supported kind, or the telecommands of a report.

    Packets with a fault are shown with their status; the exit status is 1 only if the file itself is no telemetry.
    """
    from stixlab.engineering.packets import iter_packet_records
    from stixlab.ephemeris.clock import load_clock
    from stixlab.idb import IMPORTED, load_versions
    from stixlab.telemetry.report import DecodeReport
    from stixlab.telemetry.sources import Kind, iter_packets

    settings = read_settings()
    if file.is_dir():
        raise FormatError(f"{file}: expected a file, found a folder; `stixlab ingest` takes folders")
    versions = load_versions(settings.idb, settings.home / IMPORTED)
    clock = load_clock(settings.spice)
    report = DecodeReport(name=file.name)
    try:
        for block in iter_packets(file, file.name, versions, report, chunk_bytes=_DECODED_AT_ONCE):
            for record in iter_packet_records(block, versions, clock, physical=physical):
                _show(record, as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FormatError(f"{file}: cannot be read: {error.strerror or error}") from None
    if report.kind == Kind.EDDS_TC:
        report = _show_telecommands(file, as_json=as_json)
    for reason, remark in report.as_document()["remarks"].items():
        say(f"{file.name}: {remark['count']} x {reason}, first at byte {remark['first_offsets'][0]}")


def _show(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(record)
        return
    click.echo(_one_line(record))
    for kind in ("decompressed", "engineering"):
        for name, value in record.get(kind, {}).items():
            click.echo(f"    {name}: {json.dumps(value)}")


def _show_telecommands(file: Path, *, as_json: bool) -> DecodeReport:
    from stixlab.client.telecommands import telecommand_document
    from stixlab.telemetry.report import DecodeReport
    from stixlab.telemetry.telecommands import read_telecommands

    report = DecodeReport(name=file.name)
    for command in read_telecommands(file, file.name, report):
        if as_json:
            print_json(telecommand_document(command))
        else:
            time = f"{command.time:%Y-%m-%dT%H:%M:%S}" if command.time else "-"
            click.echo(f"{time:<27} {command.name:<10} {command.description}")
    return report


def _one_line(record: dict[str, Any]) -> str:
    ssid = f",{record['ssid']}" if record["ssid"] >= 0 else ""
    kind = f"({record['service']},{record['subtype']}{ssid})"
    return (
        f"{record['utc'] or '-':<27} {kind:<13} apid {record['apid']:<5} seq {record['sequence_count']:<6}"
        f"{len(record['parameters']):>4} parameters  {record['status']}"
    )


@click.command("ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--no-pipelines", is_flag=True, help="Make products only; queue and run nothing.")
@json_option
def ingest_command(paths: tuple[Path, ...], *, no_pipelines: bool, as_json: bool) -> None:
    """Take telemetry files, or folders of them, into archive and catalogue, and run what follows from them.

    Safe to repeat, safe to kill: the same command again finishes what was begun.
    """
    _take(paths, "ingest", pipelines=not no_pipelines, as_json=as_json)


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--no-pipelines", is_flag=True, help="Make products only; queue and run nothing.")
@json_option
def import_command(paths: tuple[Path, ...], *, no_pipelines: bool, as_json: bool) -> None:
    """Take existing FITS products into archive and catalogue (now: quicklook light curves, L1 and L1A)."""
    _take(paths, "import_files", pipelines=not no_pipelines, as_json=as_json)


def _take(paths: tuple[Path, ...], verb: str, *, pipelines: bool, as_json: bool) -> None:
    from stixlab import factory

    with factory.open_ingestor(read_settings(), pipelines=pipelines) as make, progress_bar() as show:
        report = getattr(make(show), verb)(paths)
    if as_json:
        print_json(report.as_document())
    else:
        _print_report(report)
    if report.failed:
        click.get_current_context().exit(1)


def _print_report(report: Any) -> None:
    for each in report.files:
        notes = "; ".join([*each.findings[:_SHOWN_PROBLEMS], *([each.error] if each.error else [])])
        click.echo(f"{each.status:<9} {each.path}" + (f": {notes}" if notes else ""))
    summary = report.as_document()
    for product in report.products:
        click.echo(f"product   {product['product_id']} V{product['version']:02d}, {product['n_times']} times")
    for request in report.requests:
        state = "complete" if request["complete"] else request["why"]
        click.echo(f"request   {request['request']}: {request['n_packets']} packets, {state}")
    for run in report.runs:
        click.echo(
            f"run       {run['pipeline']} {run['run_id']}: {run['status']}{': ' + run['error'] if run['error'] else ''}"
        )
    for problem in report.problems:
        say(f"stixlab: {problem}")
    counts = summary["files"]
    packets = ", ".join(f"{n} {s}" for s, n in summary["packets"].items()) or "none new"
    click.echo(
        f"{counts['total']} files ({counts['new']} new, {counts['repeated']} repeated, {counts['failed']} failed);"
        f" packets: {packets}; {len(report.products)} products made, {report.unchanged} unchanged;"
        f" {report.seconds:.2f} s"
    )


@click.command("simulate")
@click.option("--start", required=True, help="UTC, start of the time range.")
@click.option("--end", required=True, help="UTC, end of the time range.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same Sun.")
@click.option("--truth", type=click.Path(path_type=Path), help="Also write what is true (JSON) to this file.")
@click.option(
    "--what", multiple=True, help="Only these, each by an option of its own; see below. Default: everything."
)
@click.option("--request", "requests", multiple=True, help="Ask these data of each larger flare; see below.")
@json_option
def simulate_command(
    start: str,
    end: str,
    out: Path,
    *,
    seed: int,
    truth: Path | None,
    what: tuple[str, ...],
    requests: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write telemetry files (EDDS XML and binary) with flares of known times and sizes.

    Every packet is marked as simulated, and everything made from it says so.

    What there is: lightcurve, quicklook (all types), housekeeping, calibration, science (data asked for of larger
    flares). What can be asked for: raw-pixel-data, pixel-data, summed-pixel-data, visibilities, spectrogram, aspect;
    by default pixel-data and spectrogram.
    """
    from stixlab import files
    from stixlab.ephemeris.clock import load_clock
    from stixlab.idb import IMPORTED, load_versions
    from stixlab.simulation import DEFAULT_REQUESTS, DEFAULT_WHAT, simulate
    from stixlab.timing import parse_utc

    settings = read_settings()
    low, high = parse_utc(start), parse_utc(end)
    if low >= high:
        raise ParameterError(f"simulate: expected --start before --end; found {start} and {end}")
    with progress_bar() as show:
        made = simulate(
            low,
            high,
            out=out,
            seed=seed,
            what=what or DEFAULT_WHAT,
            requests=requests or DEFAULT_REQUESTS,
            versions=load_versions(settings.idb, settings.home / IMPORTED),
            clock=load_clock(settings.spice),
            progress=show,
        )
    document = made.as_document()
    if truth is not None:
        files.write_bytes(truth, json.dumps(document, indent=1).encode())
    if as_json:
        print_json(document)
        return
    for path in made.files:
        click.echo(str(path))
    if not made.files:
        fail("no files were made: the range holds no whole packet")
    say(f"{len(made.files)} files, {len(made.flares)} flares, {len(made.requests)} requests, all SIMULATED")
