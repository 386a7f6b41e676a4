"""The command that writes down where the result of a run comes from."""

from __future__ import annotations

from pathlib import Path

import click

from stixlab.cli.output import say
from stixlab.settings import project_folder, read_settings

__all__ = ["export_run_command"]


@click.command("export-run")
@click.argument("run_id", metavar="RUN")
@click.option("--prov", type=click.Path(path_type=Path), help="A JSON file: W3C PROV. '-' is stdout.")
@click.option(
    "--crate", type=click.Path(path_type=Path), help="A folder or a .zip file: Workflow Run RO-Crate."
)
@click.option("--data-license", default="", metavar="URL", help="With --crate: licence of the results.")
def export_run_command(run_id: str, prov: Path | None, crate: Path | None, data_license: str) -> None:
    """Write the provenance of RUN: inputs, parameters, notebook, software, results.

    The crate contains the pipeline, the executed notebook, the results and the log; what is not there any more
    is told. Its licence is that of the code; none is claimed for the results unless it is given.
    """
    from stixlab import factory
    from stixlab.archive import Archive
    from stixlab.files import write_bytes
    from stixlab.pipeline.crate import left_out, write_crate
    from stixlab.pipeline.facts import gather_facts
    from stixlab.pipeline.provenance import prov_json

    if prov is None and crate is None:
        raise click.UsageError("export-run: expected --prov FILE or --crate FOLDER_OR_ZIP, or both")
    if data_license and crate is None:
        raise click.UsageError("export-run: --data-license goes with --crate")
    settings = read_settings()
    with factory.open_catalog(settings) as catalog:
        archive = Archive(factory.archive_folder(settings))
        facts = gather_facts(catalog, archive, project_folder("pipelines"), run_id)
    if prov is not None and str(prov) == "-":
        click.echo(prov_json(facts).decode(), nl=False)
    elif prov is not None:
        write_bytes(prov, prov_json(facts))
        say(f"written: {prov}")
    if crate is not None:
        write_crate(facts, crate, data_license=data_license)
        for line in left_out(facts):
            say(f"stixlab: not in the crate: {line}")
        say(f"written: {crate}")
