"""The command that keeps a local copy of a public archive."""

from __future__ import annotations

from pathlib import Path

import click

from stixlab.cli.output import json_option, print_json, say
from stixlab.errors import ParameterError

__all__ = ["mirror_command"]


@click.command("mirror")
@click.argument("url", required=False)
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the copy.",
)
@click.option("--start", help="UTC; days before are left out.")
@click.option("--end", help="UTC; days from then on are left out.")
@click.option(
    "--type",
    "types",
    multiple=True,
    help="Archive name, such as ql-lightcurve; may be repeated. Default: all.",
)
@click.option("--level", "levels", multiple=True, help="L1, CAL, ...; may be repeated. Default: all.")
@click.option(
    "--delay", "delay_s", type=float, default=0.5, show_default=True, help="Pause between requests, seconds."
)
@click.option(
    "--most-bytes",
    type=click.IntRange(min=1),
    default=2_000_000_000,
    show_default=True,
    help="Size of the largest file to get; larger ones are left out and told.",
)
@click.option(
    "--ask-all", is_flag=True, help="Ask for every file whether it changed, whatever the index says."
)
@click.option(
    "--verify", is_flag=True, help="Check every file that is there; with an URL, get the damaged ones anew."
)
@json_option
def mirror_command(
    url: str | None,
    folder: Path,
    *,
    start: str | None,
    end: str | None,
    types: tuple[str, ...],
    levels: tuple[str, ...],
    delay_s: float,
    most_bytes: int,
    ask_all: bool,
    verify: bool,
    as_json: bool,
) -> None:
    """Keep a local copy of the archive of FITS files whose index is at URL. `stixlab import` takes it from there.

    URL is the address of a folder, such as https://host/data/fits/L1/2021/06/. Safe to repeat, safe to kill: the same
    command again gets what is missing or changed. One request at a time, with pauses, as robots.txt allows. Without
    URL and with --verify the copy is only checked.
    """
    from stixlab.ingest.mirror import Selection, mirror
    from stixlab.timing import parse_utc

    if url is None:
        if not verify:
            raise ParameterError("mirror: expected an URL, or --verify to check the copy that is there")
        _verify_only(folder, as_json=as_json)
        return
    low, high = (None if t is None else parse_utc(t) for t in (start, end))
    selection = Selection(levels=levels, types=types, start=low, end=high)

    def tell(what: str, path: str) -> None:
        if not as_json:
            click.echo(f"{what:<9} {path}")

    report = mirror(
        url,
        folder,
        selection,
        delay_s=delay_s,
        most_bytes=most_bytes,
        ask_all=ask_all,
        verify=verify,
        tell=tell,
    )
    if as_json:
        print_json(report.as_document())
    else:
        say(
            f"{len(report.new)} new, {len(report.changed)} changed, {report.unchanged} unchanged, {len(report.gone)} no longer"
            f" in the archive (kept), {len(report.problems)} failed; {report.n_bytes / 1e6:.1f} MB in"
            f" {report.n_requests} requests, {report.seconds:.0f} s"
        )
        if report.new or report.changed:
            say(f"stixlab: `stixlab import {folder}` takes them into archive and catalogue")
    if report.problems:
        click.get_current_context().exit(1)


def _verify_only(folder: Path, *, as_json: bool) -> None:
    from stixlab.ingest.mirror import verify_mirror

    wrong = verify_mirror(folder)
    if as_json:
        print_json({"type": "verification", "folder": folder, "wrong": wrong})
    else:
        for path, what in wrong.items():
            click.echo(f"{what:<9} {path}")
        say(f"{len(wrong)} files are missing or damaged" if wrong else "every file is as it was got")
    if wrong:
        click.get_current_context().exit(1)
