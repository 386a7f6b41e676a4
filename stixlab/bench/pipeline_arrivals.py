"""From the arrival of a telemetry file to its flares in the catalogue, with the real commands and the real database."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stixlab import factory
from stixlab.bench.arrivals import pieces, plain_environment
from stixlab.bench.measurement import Measurement
from stixlab.files import sha256_of
from stixlab.settings import Settings

__all__ = ["measure"]

GOAL_S = 15.0
_NAME = "pipelines"
_WAIT_S = 120.0
_POLL_S = 0.1
_PIPELINE = "flare_list"
_TYPE = "ql-lightcurve"


def measure() -> Iterator[Measurement]:
    """Seconds from the rename into the folder to a run that has read the new product and delivered its flares."""
    with tempfile.TemporaryDirectory() as folder:
        taken = sorted(_deliver(Path(folder)))
    p95 = taken[int(np.ceil(0.95 * len(taken))) - 1]
    what = "telemetry file to its flares in the catalogue"
    yield Measurement(_NAME, f"p95, {what}", p95, "s", GOAL_S, smaller_is_better=True)
    yield Measurement(_NAME, f"median, {what}", taken[len(taken) // 2], "s")


def _deliver(root: Path) -> list[float]:
    """Seconds of each file, one after the other."""
    home, arriving = root / "home", root / "in"
    arriving.mkdir(parents=True)
    home.mkdir()
    made = pieces(root / "made")
    settings = Settings(home=home)
    with (
        factory.open_catalog(settings) as catalog,
        _running(home, "worker"),
        _running(home, "watch", str(arriving)),
    ):
        # The first one waits for the processes to start and to load what they need.
        return [_seconds(catalog, piece, arriving) for piece in made][1:]


@contextmanager
def _running(home: Path, *command: str) -> Iterator[None]:
    environment = plain_environment() | {"STIXLAB_HOME": str(home)}
    with (
        (home / f"{command[0]}.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "stixlab.cli", *command], env=environment, stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _seconds(catalog: Any, piece: Path, folder: Path) -> float:
    """Seconds from a file's rename to its end name until a run has delivered the flares of what it changed."""
    sha256 = sha256_of(piece)
    part = folder / f"{piece.name}.part"
    part.write_bytes(piece.read_bytes())
    began = time.monotonic()
    part.rename(folder / piece.name)
    while time.monotonic() - began < _WAIT_S:
        if _delivered(catalog, sha256):
            return time.monotonic() - began
        time.sleep(_POLL_S)
    raise RuntimeError(f"bench pipelines: the flares of {piece.name} were not there within {_WAIT_S:.0f} s")


def _delivered(catalog: Any, sha256: str) -> bool:
    raw = catalog.raw_files.get(sha256)
    if raw is None or not raw.processed:
        return False
    products = [p for p in catalog.products.find(type=_TYPE, level="L1") if sha256 in p.sources]
    runs = catalog.runs.find(pipeline=_PIPELINE, status="succeeded")
    return bool(products) and all(
        any(run.inputs.get(p.product_id) == p.content_sha256 for run in runs) for p in products
    )
