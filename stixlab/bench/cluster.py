"""Days made again on a dask cluster of one worker and of two, as pipelines do it: how it scales, whether all is equal."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stixlab import factory
from stixlab.bench.measurement import Measurement
from stixlab.settings import read_settings

__all__ = ["make_on_cluster", "measure_cluster"]

GOAL_SCALING = 1.3
"""Days a minute of two workers, in those of one, at least; on two cores that nobody else wants."""
_WORKERS = (1, 2)
_NAME = "reprocessing"
_MAKE = """
import sys
from pathlib import Path
from stixlab.bench.cluster import make_on_cluster
if __name__ == "__main__":
    make_on_cluster(Path(sys.argv[1]), int(sys.argv[2]))
"""


def measure_cluster(home: Path, n_days: int) -> Iterator[Measurement]:
    """Days of quicklook, housekeeping and calibration, by one worker and by two.

    Parameters
    ----------
    home
        With an archive; nothing of it is changed.
    n_days
        How many days it has.
    """
    rates = []
    script = home / "on_cluster.py"
    script.write_text(_MAKE)
    for workers in _WORKERS:
        done = subprocess.run(
            [sys.executable, script, str(home), str(workers)], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"bench reprocessing: {done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        rates.append(n_days / found["seconds"] * 60)
        what = f"{n_days} days by {workers} dask worker{'s' if workers > 1 else ''}"
        yield Measurement(_NAME, f"{what}: days a minute", rates[-1], "days/min")
        yield Measurement(_NAME, f"{what}: CPU for a day", found["cpu"] / n_days, "s")
        handing = found["cpu_handing_out"] / n_days
        yield Measurement(_NAME, f"{what}: CPU of scheduler and client for a day", handing, "s")
    scaling = rates[1] / rates[0]
    yield Measurement(_NAME, "two dask workers, in one", scaling, "", GOAL_SCALING, smaller_is_better=False)


def make_on_cluster(home: Path, workers: int) -> None:
    """Make all days of a home again, on a stage, and write what it took as JSON to the standard output.

    Parameters
    ----------
    home
    workers
        Number of processes of the cluster, a thread each.

    Raises
    ------
    RuntimeError
        If a product comes out otherwise than the ingest has made it.
    """
    from distributed import LocalCluster

    from stixlab.archive.staged import StagedArchive
    from stixlab.ingest.formal import DayMaker
    from stixlab.ingest.reprocess import plan_stale
    from stixlab.pipeline.tasks import open_tasks

    settings = read_settings(home=home, mongo_uri="", access="operator")
    cluster: Any = LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, factory.open_ingestor(settings, pipelines=False) as make:
        ingestor = make()
        days = plan_stale(ingestor, again=True, requests=False).days
        staged = StagedArchive(ingestor.archive, home / f"stage{workers}")
        maker = DayMaker(staged, ingestor.versions, ingestor.clock)
        tasks = open_tasks(cluster.scheduler_address)
        with cluster.get_client() as client:
            client.run(maker, days[0])  # loads what a worker needs; it is not counted
            before, began = sum(client.run(time.process_time).values()), time.monotonic()
            here = time.process_time()
            changed = [p.product_id for made in tasks.each(maker, days) for p in made.changed]
            seconds, here = time.monotonic() - began, time.process_time() - here
            spent = sum(client.run(time.process_time).values()) - before
        tasks.close()
    if changed or not days:
        raise RuntimeError(f"bench reprocessing: expected the same products; found other ones: {changed[:9]}")
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": spent, "cpu_handing_out": here}) + "\n")
