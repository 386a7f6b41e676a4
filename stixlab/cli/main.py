"""The command `stixlab`: its subcommands are imported when they are called, so that it starts at once."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import NoReturn

import click

from stixlab import __version__
from stixlab.cli.output import fail
from stixlab.errors import StixlabError

__all__ = ["cli", "main"]

_COMMANDS = {
    "up": ("platform", "Start everything: database, hub, public apps, HTTP service, worker."),
    "down": ("platform", "Stop what `up` started."),
    "status": ("platform", "Freshness of the data, and what runs."),
    "doctor": ("platform", "Health of the installation."),
    "config": ("platform", "Every setting, its value and where it came from."),
    "accounts": ("platform", "List, add and remove accounts; give new passwords."),
    "demonstrate": ("platform", "Give an empty archive a simulated day and some real data; `up` calls it."),
    "worker": ("worker", "Execute queued pipeline runs, for ever or until none is left."),
    "api": ("platform", "The HTTP service; the hub starts it."),
    "runs-service": ("team", "The HTTP service that takes runs from the team; the hub starts it."),
    "team-pages": ("team", "Executed notebooks and the dask dashboard; the hub starts it."),
    "decode": ("data", "Show the packets of a telemetry file."),
    "ingest": ("data", "Take telemetry files into archive and catalogue."),
    "reprocess": ("reprocess", "Make products again of which an input has changed."),
    "watch": ("watch", "Take every telemetry file that arrives in a folder, for ever."),
    "arrivals": ("watch", "List files that arrived; try those again that were set aside."),
    "import": ("data", "Take existing FITS products into archive and catalogue."),
    "mirror": ("mirror", "Keep a local copy of a public archive of FITS files."),
    "simulate": ("data", "Write telemetry files with known flares."),
    "reencode": ("reencode", "Turn products back into telemetry packets, marked as re-encoded."),
    "idb": ("definitions", "Packet definitions: versions, import of mission databases, search."),
    "packets": ("packets", "Search for packets; show one as a tree."),
    "requests": ("requests", "List data requests; show what one consists of."),
    "telecommands": ("telecommands", "List telecommands; show one with its parameters."),
    "products": ("find", "List products."),
    "flares": ("find", "List flares."),
    "fetch": ("find", "Copy the FITS files of products, checksums verified."),
    "explain": ("explain", "What a product, request, flare or packet was made from, to the byte."),
    "convert-time": ("places", "Convert between on-board time and UTC."),
    "ephemeris": ("places", "Where the spacecraft is, how it is turned, and how that is known."),
    "elut": ("elut", "Energy look-up tables: which held when, what they say."),
    "pipelines": ("pipelines", "List the pipelines and their parameters."),
    "run": ("pipelines", "Run a pipeline and wait for it."),
    "runs": ("pipelines", "List the runs of pipelines."),
    "retry": ("pipelines", "Ask again for runs that failed."),
    "cancel": ("pipelines", "Stop runs that wait or run."),
    "backfill": ("backfill", "Run a pipeline over a long range of time, one run for each step."),
    "export-run": ("run_export", "Write the provenance of a run: W3C PROV or a research object (RO-Crate)."),
    "backup": ("archive", "Write catalogue and archive to one file."),
    "restore": ("archive", "Make catalogue and archive from a backup."),
    "trash": ("archive", "Hide and delete products; take both back."),
    "audit": ("archive", "What was hidden, deleted, restored by hand."),
    "clean": ("archive", "Remove for good what nothing needs any more."),
    "migrate": ("archive", "Bring an archive of an older version up to date."),
    "bench": ("bench", "Measure how fast things are; with --check fail on a missed goal."),
}


class LazyGroup(click.Group):
    """A group that knows the names of its commands and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names, in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or none."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"stixlab.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_") + "_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of `stixlab --help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stixlab")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens, to stderr.")
def cli(*, verbose: bool) -> None:
    """Data center for STIX, the X-ray telescope on Solar Orbiter."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command; the exit status is 0 good, 1 failed or refused, 2 wrong usage."""
    try:
        # Not standalone: errors are told below in our own way, and an early exit is a status that is returned.
        sys.exit(cli.main(args=arguments, prog_name="stixlab", standalone_mode=False))
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        fail("stopped")
    except StixlabError as error:
        fail(error.message)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
