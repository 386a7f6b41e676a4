"""Products of simulated days made again from stored packets: days a minute, growth, memory.

Each figure is that of a process of its own, with nothing before it but the start; compiled code is in the cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from stixlab import factory
from stixlab.bench.cluster import measure_cluster
from stixlab.bench.measurement import Measurement
from stixlab.ingest.reprocess import reprocess
from stixlab.settings import read_settings
from stixlab.simulation import simulate

__all__ = ["fill", "make_again", "measure", "measure_month", "measure_year"]

GOAL_MB = {30: 2000.0, 365: 1000.0}
"""Largest memory by number of days; fewer days are held against the first."""
GOAL_GROWTH = 1.3
"""Largest time for a day of many days, in times for a day of few days: 1 is linear growth."""
_FEW, _FIRST = 2, np.datetime64("2026-01-01", "D")
_CORES = (1, 2)
_NAME = "reprocessing"
_AGAIN = """
import sys
from pathlib import Path
from stixlab.bench.reprocessing import make_again
make_again(Path(sys.argv[1]), int(sys.argv[2]))
"""


def measure() -> Iterator[Measurement]:
    """Days of all products: quicklook, housekeeping, calibration, data requests."""
    yield from _measure((_FEW, 8))


def measure_month() -> Iterator[Measurement]:
    """The same of a month."""
    yield from _measure((_FEW, 30))


def measure_year() -> Iterator[Measurement]:
    """The same of a month and of a year."""
    yield from _measure((_FEW, 30, 365))


def _measure(sizes: tuple[int, ...]) -> Iterator[Measurement]:
    by_day: dict[int, float] = {}
    for n_days in sizes:
        with tempfile.TemporaryDirectory() as name:
            home = Path(name)
            fill(home, n_days)
            for cores in _CORES:
                found = _in_own_process(home, cores)
                minutes = found["seconds"] / 60
                what = f"{n_days} days on {cores} core{'s' if cores > 1 else ''}"
                yield Measurement(_NAME, f"{what}: days a minute", n_days / minutes, "days/min")
                yield Measurement(_NAME, f"{what}: CPU for a day", found["cpu"] / n_days, "s")
                goal = next((g for n, g in GOAL_MB.items() if n_days <= n), None)
                megabytes = found["peak_bytes"] / 1e6
                yield Measurement(_NAME, f"{what}: memory", megabytes, "MB", goal, smaller_is_better=True)
                if cores == 1:
                    by_day[n_days] = found["cpu"] / n_days
            if n_days == sizes[1]:
                yield from measure_cluster(home, n_days)
    for few, many in pairwise(sizes):
        growth = by_day[many] / by_day[few]
        yield Measurement(
            _NAME, f"CPU for a day, of {many} days, in that of {few} days", growth, "", GOAL_GROWTH,
            smaller_is_better=True,
        )  # fmt: skip


def fill(
    home: Path,
    n_days: int,
    *,
    what: tuple[str, ...] = ("quicklook", "housekeeping", "calibration", "science"),
) -> None:
    """Simulate days and take them in, a file a day.

    Parameters
    ----------
    home
        Gets the archive.
    n_days
    what
        As `stixlab.simulation.simulate` has it.
    """
    made = simulate(str(_FIRST), str(_FIRST + n_days), out=home / "made", seed=1, kinds=("bin",), what=what)
    settings = read_settings(home=home, mongo_uri="", access="operator")
    with factory.open_ingestor(settings, pipelines=False) as make:
        report = make().ingest([Path(f) for f in made.files])
    if report.failed or not report.products:
        raise RuntimeError(f"bench reprocessing: ingest failed: {report.as_document()}")


def _in_own_process(home: Path, cores: int) -> dict[str, float]:
    command = [sys.executable, "-c", _AGAIN, str(home), str(cores)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"bench reprocessing: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def make_again(home: Path, cores: int) -> None:
    """Make all products of a home again, and write what it took as JSON to the standard output.

    Parameters
    ----------
    home
    cores
        Number of processes.
    """
    import resource
    from multiprocessing import forkserver

    settings = read_settings(home=home, mongo_uri="", access="operator")
    with factory.open_ingestor(settings, pipelines=False) as make:
        ingestor, before = replace(make(), processes=cores), time.process_time()
        report = reprocess(ingestor, again=True)
    if report.problems or report.changed or not report.unchanged:
        raise RuntimeError(f"bench reprocessing: expected the same products; found {report.as_document()}")
    if cores > 1:
        # What the others took is told when the process that they are copies of has ended.
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001  (otherwise it ends with this one)
    here, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    status = Path("/proc/self/status")
    peak = here.ru_maxrss * unit
    if status.exists():  # what getrusage says begins with the memory of the parent
        peak = next(int(x.split()[1]) for x in status.open() if x.startswith("VmHWM")) * 1024
    if cores > 1:
        peak += cores * others.ru_maxrss * unit
    # Of this process since its start; of the others all, for they are started to do this.
    cpu = here.ru_utime + here.ru_stime - before + others.ru_utime + others.ru_stime
    sys.stdout.write(json.dumps({"seconds": report.seconds, "peak_bytes": peak, "cpu": cpu}) + "\n")
