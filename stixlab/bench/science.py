"""The flare list on simulated days: how long a day takes, and how much of the truth is found."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stixlab.analysis.flares import identify_flares
from stixlab.bench.measurement import Measurement, best_of
from stixlab.datasets.registry import BUILDERS
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.products.level1 import make_level1, merge
from stixlab.simulation import simulate
from stixlab.telemetry.decode import decode
from stixlab.telemetry.sources import read_packets
from stixlab.vocabulary import SIMULATED

__all__ = ["measure"]

GOAL_MS = 60.0
_NAME = "flares"
_DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
_NEAR = np.timedelta64(90, "s")


def measure() -> Iterator[Measurement]:
    """Milliseconds a day, recall of true flares above five sigma, and precision."""
    versions, clock = load_versions(), load_clock()
    found_of_true = n_true = true_of_found = n_found = 0
    seconds = 0.0
    for day in _DAYS:
        with tempfile.TemporaryDirectory() as folder:
            end = np.datetime64(day) + np.timedelta64(1, "D")
            truth = simulate(
                day, str(end), out=Path(folder), kinds=("bin",), what=("lightcurve", "housekeeping")
            )
            content = b"".join(Path(p).read_bytes() for p in truth.files)
        block, _ = read_packets(content, "bench", versions)
        service, subtype, ssid = next(k for k, b in BUILDERS.items() if b.product == "ql-lightcurve")
        chosen = (block.service == service) & (block.subtype == subtype) & (block.ssid == ssid)
        part = block.select(chosen)
        columns, _ = decode(part, int(part.spid[0]), versions)
        ds = merge(make_level1(columns, clock, versions, origin=SIMULATED))
        seconds += best_of(lambda ds=ds: identify_flares(ds), repeats=3)  # type: ignore[misc]
        peaks = np.array(
            [np.datetime64(f.peak.replace(tzinfo=None)) for f in identify_flares(ds)], dtype="datetime64[ns]"
        )
        every = np.array([f.peak for f in truth.flares], dtype="datetime64[ns]")
        strong = np.array([f.peak for f in truth.flares if f.significance > 5], dtype="datetime64[ns]")
        found_of_true += sum(bool((abs(peaks - t) < _NEAR).any()) for t in strong)
        n_true += len(strong)
        true_of_found += sum(bool((abs(every - p) < _NEAR).any()) for p in peaks)
        n_found += len(peaks)
    yield Measurement(
        _NAME, "identification of a day", 1e3 * seconds / len(_DAYS), "ms", GOAL_MS, smaller_is_better=True
    )
    yield Measurement(
        _NAME, f"recall, {n_true} flares above 5 sigma in {len(_DAYS)} days", found_of_true / n_true, ""
    )
    yield Measurement(_NAME, f"precision, {n_found} flares listed", true_of_found / n_found, "")
