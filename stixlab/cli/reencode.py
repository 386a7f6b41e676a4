"""The command that turns products back into telemetry."""

from __future__ import annotations

from pathlib import Path

import click

from stixlab.cli.output import json_option, print_json, say
from stixlab.settings import read_settings

__all__ = ["reencode_command"]


@click.command("reencode")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the telemetry files.")
@click.option(
    "--kind", type=click.Choice(("xml", "bin", "hex")), default="bin", show_default=True, help="Kind of file."
)
@json_option
def reencode_command(files: tuple[Path, ...], *, out: Path, kind: str, as_json: bool) -> None:
    """Turn L1 FITS FILES (quicklook, pixel data, spectrograms) back into telemetry packets that hold their counts.

    Every packet is marked as re-encoded, and everything made from it says so. A file that cannot be turned back is
    told, the others are done; the exit status is then 1.
    """
    from stixlab.ephemeris.clock import load_clock
    from stixlab.errors import StixlabError
    from stixlab.idb import IMPORTED, load_versions
    from stixlab.simulation.reencode import reencode

    settings = read_settings()
    versions, clock = load_versions(settings.idb, settings.home / IMPORTED), load_clock(settings.spice)
    done, failed = [], []
    for file in files:
        try:
            made = reencode(file, out=out, kind=kind, versions=versions, clock=clock)
        except StixlabError as error:
            failed.append({"source": file.name, "error": str(error)})
            say(f"stixlab: {error}")
            continue
        done.append(made.as_document())
        if not as_json:
            click.echo(str(made.file))
    if as_json:
        print_json({"files": done, "failed": failed})
    else:
        packets = sum(int(made["n_packets"]) for made in done)
        say(f"{len(done)} of {len(files)} files, {packets} packets, all RE-ENCODED")
    if failed:
        click.get_current_context().exit(1)
