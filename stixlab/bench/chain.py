"""A day of light curves from its file to archive and catalogue, through the real database."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stixlab import factory
from stixlab.bench.measurement import Measurement
from stixlab.bench.telemetry import light_curves
from stixlab.idb import load_versions
from stixlab.settings import read_settings
from stixlab.telemetry.writers import write_binary

__all__ = ["measure"]

N_PACKETS = 36
"""As many as the real file of 2021-01-16/17 has; 580 bins of 4 s each, over two UTC days."""
GOAL_S = 1.0
_REPEATS = 3
_NAME = "chain"


def measure() -> Iterator[Measurement]:
    """Seconds from the file to Zarr, FITS and catalogue, after start-up; pipelines are not counted."""
    versions = load_versions()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        block = light_curves(N_PACKETS, versions)
        write_binary(block, root / "warm.bin")
        files = []
        for seed in range(_REPEATS):
            files.append(root / f"day{seed}.bin")
            write_binary(light_curves(N_PACKETS, versions, seed=seed + 1), files[-1])
        taken = []
        for number, path in enumerate([root / "warm.bin", *files]):
            settings = read_settings(home=root / f"home{number}", mongo_uri="", access="operator")
            with factory.open_ingestor(settings, pipelines=False) as make:
                ingestor = make()
                before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
                report = ingestor.ingest([path])
                spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
            if report.failed or not report.products:
                raise RuntimeError(f"bench chain: ingest failed: {report.as_document()}")
            taken.append((report.seconds, spent))
        quickest, cpu = min(taken[1:])
        yield Measurement(
            _NAME,
            "36 packets, file to Zarr + FITS + catalogue",
            quickest,
            "s",
            GOAL_S,
            smaller_is_better=True,
        )
        yield Measurement(_NAME, "of it CPU of the process", cpu, "s")
        yield Measurement(
            _NAME, "the first in a new process, imports and compiled code loaded in it", taken[0][0], "s"
        )
