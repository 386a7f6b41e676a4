"""A day of light curves from the packets of its file to level 1 FITS, by the functions themselves."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from stixlab.bench.measurement import Measurement
from stixlab.bench.samples import light_curves
from stixlab.datasets.report import BuildReport
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.ingest.headers import place_keywords
from stixlab.ingest.receive import decode_once, level1_by_day
from stixlab.products.formats.fits import write_fits
from stixlab.products.formats.zarr import write_zarr
from stixlab.telemetry.sources import read_packets
from stixlab.telemetry.writers import write_binary

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["measure"]

N_PACKETS = 36
"""As many as the real file of 2021-01-16/17 has; 580 bins of 4 s each, over two UTC days: two files."""
GOAL_S = 0.15
_REPEATS = 7
_NAME = "products"

Result = TypeVar("Result")


def measure() -> Iterator[Measurement]:
    """CPU of the process, the quickest of several files; the first of all loads what is needed and does not count."""
    versions, clock = load_versions(), load_clock()
    created = datetime.now(UTC).replace(microsecond=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        best: dict[str, float] = {}
        for seed in range(_REPEATS + 1):
            path = folder / f"day{seed}.bin"
            write_binary(light_curves(N_PACKETS, versions, seed=seed), path)
            spent: dict[str, float] = {}

            def decode(path: Path = path) -> list[xr.Dataset]:
                block, _ = read_packets(path.read_bytes(), path.name, versions)
                decoded, _ = decode_once(block, versions)
                days = level1_by_day(decoded, clock, versions, BuildReport())
                return [part for parts in days.values() for part in parts]

            made = _cpu(decode, spent, "file to level 1 datasets")

            def fits(made: list[xr.Dataset] = made, seed: int = seed) -> None:
                for number, ds in enumerate(made):
                    target = folder / f"{seed}-{number}.fits"
                    write_fits(ds, target, version=1, created=created, keywords=place_keywords(ds))

            def zarr(made: list[xr.Dataset] = made, seed: int = seed) -> None:
                for number, ds in enumerate(made):
                    write_zarr(ds, folder / f"{seed}-{number}.zarr")

            _cpu(fits, spent, "FITS with full headers")
            spent["all"] = sum(spent.values())
            _cpu(zarr, spent, "for comparison: the same datasets as Zarr")
            if seed:
                best = {what: min(s, best.get(what, s)) for what, s in spent.items()}
    yield Measurement(
        _NAME, "36 packets, file to level 1 FITS, CPU", best.pop("all"), "s", GOAL_S, smaller_is_better=True
    )
    for what, seconds in best.items():
        yield Measurement(_NAME, what, seconds, "s")


def _cpu(function: Callable[[], Result], spent: dict[str, float], what: str) -> Result:
    began = time.process_time()
    result = function()
    spent[what] = time.process_time() - began
    return result
