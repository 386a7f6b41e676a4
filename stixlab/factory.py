"""Builds what a process needs from the settings: database, stores, archive, client, ingest, runs.

The only module that knows concrete stores and the runner together.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.errors import AccessError, CatalogError, NotInCatalogError, ServiceError
from stixlab.settings import Settings, project_folder, read_settings

if TYPE_CHECKING:
    from stixlab.archive import Archive
    from stixlab.catalog import MongoCatalog
    from stixlab.client import Lab
    from stixlab.client.runs import RunDesk
    from stixlab.ingest import Ingestor
    from stixlab.model import Arrival, Run
    from stixlab.pipeline.session import RunSession
    from stixlab.pipeline.warm import KernelPool
    from stixlab.services.helper import Helper

__all__ = [
    "archive_folder",
    "connect",
    "open_catalog",
    "open_ingestor",
    "open_lab",
    "start_run",
    "watch",
    "work",
]

_OPERATOR = "operator"


def archive_folder(settings: Settings) -> Path:
    """Where the files of an installation are."""
    return settings.home / "archive"


@contextmanager
def open_catalog(settings: Settings) -> Iterator[MongoCatalog]:
    """The catalogue with the rights of the settings' access; the embedded server is started if need be.

    Raises
    ------
    ServiceError
        If the embedded server does not start.
    CatalogError
        If the database does not answer.
    """
    from stixlab.catalog import MongoCatalog, connect_database
    from stixlab.services.database import open_database

    with open_database(settings) as server:
        database = connect_database(server.uri(settings.access))
        with MongoCatalog(database, writable=settings.access == _OPERATOR) as catalog:
            yield catalog


@contextmanager
def open_lab(settings: Settings) -> Iterator[Lab]:
    """The client with the rights of the settings' access.

    Raises
    ------
    ServiceError, CatalogError
        As `open_catalog`.
    """
    from stixlab.archive import Archive
    from stixlab.client import Lab
    from stixlab.ephemeris.clock import load_clock

    with open_catalog(settings) as catalog:
        archive = Archive(archive_folder(settings), writable=settings.access == _OPERATOR)
        lab = Lab(
            settings=settings,
            catalog=catalog,
            archive=archive,
            clock=load_clock(settings.spice),
            run_pipeline=lambda name, given: _run_pipeline(lab, name, given),
            desk=_desk(settings, catalog),
        )
        yield lab


def connect(settings: Settings | None = None) -> Lab:
    """Connect to the data center of this machine, until the process ends.

    Returns
    -------
    Lab
        ``lab.open(type, start, end)``, ``lab.flares(start, end)``, ``lab.products(...)``, ...

    Raises
    ------
    SettingsError
        If a setting cannot be used.
    ServiceError, CatalogError
        If the database does not start or answer.
    """
    opened = open_lab(settings or read_settings())
    lab = opened.__enter__()
    atexit.register(opened.__exit__, None, None, None)
    return lab


def start_run(pipeline: str, /, **parameters: Any) -> RunSession:
    """Begin a run in a pipeline notebook: ``run.fetch(...)`` gives data, ``run.save(...)`` delivers results.

    Raises
    ------
    PipelineError
        If the notebook runs under other parameters than were asked for.
    """
    from stixlab.ingest.run_products import write_datasets
    from stixlab.pipeline.session import start_run as begin

    return begin(connect(), pipeline, write_datasets, **parameters)


@contextmanager
def open_ingestor(settings: Settings, *, pipelines: bool = True) -> Iterator[Callable[..., Ingestor]]:
    """What makes an ingestor, given a function that is told the progress.

    Parameters
    ----------
    pipelines
        Whether pipelines follow when products change.

    Raises
    ------
    AccessError
        If the role may only read.
    ServiceError, CatalogError
        As `open_catalog`.
    """
    from stixlab.archive import Archive
    from stixlab.ephemeris.clock import load_clock
    from stixlab.idb import IMPORTED, load_versions
    from stixlab.ingest import Ingestor

    if settings.access != _OPERATOR:
        raise AccessError(f"ingest: needs the role of an operator; STIXLAB_ACCESS is {settings.access}")
    with open_catalog(settings) as catalog:
        archive = Archive(archive_folder(settings), writable=True)

        def make(progress: Callable[[str, int, int], None] | None = None) -> Ingestor:
            follow = (lambda days: _follow(settings, catalog, archive, days, progress)) if pipelines else None
            ingestor = Ingestor(
                catalog=catalog,
                archive=archive,
                versions=load_versions(settings.idb, settings.home / IMPORTED),
                clock=load_clock(settings.spice),
                trigger=follow,
                spice=settings.spice,
            )
            return replace(ingestor, progress=progress) if progress else ingestor

        yield make


def watch(
    settings: Settings,
    folders: Iterable[Path],
    *,
    stop: threading.Event,
    tell: Callable[[Arrival], None],
    say: Callable[[str], None],
    insist: bool = False,
    pipelines: bool = True,
) -> None:
    """Take every file that arrives in folders, until told to stop; a database that is away is waited for.

    Pipelines are queued for a worker: that of `stixlab up` if it runs, else one that is started here.

    Parameters
    ----------
    tell
        Called with the record of each file that was dealt with.
    say
        Called with what else a person should know.
    insist
        Whether a folder that another process watches is an error; otherwise it is waited for.
    pipelines
        Whether pipelines follow when products change.

    Raises
    ------
    AccessError
        If the role may only read.
    SettingsError
        If a folder cannot be watched.
    ConflictError
        If another process watches a folder, and `insist`.
    ArchiveError
        If the home cannot be written.
    """
    import importlib

    from stixlab.ingest.watch import Watcher
    from stixlab.services.helper import Helper

    n_failures = 0
    worker = Helper("worker", settings.home)
    for name in ("products.level1", "products.formats.fits", "products.formats.zarr", "pipeline.discovery"):
        importlib.import_module(f"stixlab.{name}")  # now, not while the first file waits

    with worker, Watcher(folders, settings.home, tell=tell, say=say, insist=insist) as watcher:
        while not stop.is_set():
            try:
                with open_ingestor(settings, pipelines=False) as make:
                    ingestor = make()
                    if pipelines:
                        ingestor = replace(ingestor, trigger=partial(_queue_for, worker, ingestor.catalog))
                    n_failures = 0
                    watcher.run(ingestor, stop)
            except (CatalogError, ServiceError) as error:
                watcher.wait_for_database(error, n_failures, stop)
                n_failures += 1


def _queue_for(worker: Helper, catalog: Any, days: list[Any]) -> list[dict[str, Any]]:
    """Queue what should have run on these days, and see to it that a worker is there; there are no results yet."""
    from stixlab.ingest.triggers import queue_runs, runs_for_days

    if queue_runs(catalog, runs_for_days(catalog, project_folder("pipelines"), days)):
        worker.ensure()
    return []


def work(
    settings: Settings,
    *,
    stop: Callable[[], bool],
    drain: bool = False,
    only: tuple[str, ...] = (),
    memory_bytes: int | None = None,
    grace_s: float = 3.0,
) -> None:
    """Execute queued runs until told to stop.

    Parameters
    ----------
    stop
        Asked all the time.
    drain
        End when nothing is queued any more.
    only
        Pipelines of which runs are taken; empty: all.
    memory_bytes
        Most memory of a run whose pipeline declares none.
    grace_s
        What the run in hand gets to end by itself when told to stop.

    Raises
    ------
    ServiceError, CatalogError
        As `open_catalog`.
    """
    from stixlab.archive import Archive
    from stixlab.pipeline import queue
    from stixlab.pipeline.warm import KernelPool

    with open_catalog(settings) as catalog:
        how = _how(settings, Archive(archive_folder(settings), writable=True))
        with KernelPool(how["environment"], idle_s=settings.warm_s) as pool:
            how |= {
                "only": only,
                "memory_bytes": memory_bytes,
                "grace_s": grace_s,
                "pool": pool,
                "stop": stop,
            }
            if drain:
                queue.drain(catalog, **how)
            else:
                queue.work(
                    catalog,
                    **how,
                    between=partial(_between_runs, catalog, how["archive"], settings.home / "cleaned", pool),
                )


def _between_runs(catalog: MongoCatalog, archive: Archive, cleaned: Path, pool: KernelPool) -> None:
    """Let warm kernels go that nobody uses; queue the runs that the clock asks for; once a day remove what nothing needs."""
    from datetime import UTC, datetime

    from stixlab.archive.cleaning import clean_daily
    from stixlab.pipeline.discovery import find_pipelines
    from stixlab.pipeline.schedule import due_runs

    pool.rest()
    specs = find_pipelines(project_folder("pipelines")).good.values()
    catalog.runs.enqueue_many(due_runs(catalog, specs, datetime.now(UTC)))
    clean_daily(catalog, archive, cleaned)


def _how(settings: Settings, archive: Archive) -> dict[str, Any]:
    """What the queue needs to execute runs. Notebooks read only; the worker takes their results over."""
    from stixlab.pipeline.runner import kernel_environment

    given = {
        "STIXLAB_HOME": str(settings.home),
        "STIXLAB_ACCESS": "team",
        "STIXLAB_SPICE": str(settings.spice or ""),
        "STIXLAB_IDB": str(settings.idb or ""),
        "STIXLAB_DASK": settings.dask,
        "STIXLAB_MONGO_URI": "",
        "STIXLAB_MONGO_READ_URI": (
            settings.mongo_read_uri.get_secret_value() or settings.mongo_uri.get_secret_value()
        ),
    }
    return {
        "pipelines": project_folder("pipelines"),
        "archive": archive,
        "environment": kernel_environment(os.environ, **given),
    }


def _follow(
    settings: Settings,
    catalog: MongoCatalog,
    archive: Archive,
    days: list[Any],
    progress: Callable[[str, int, int], None] | None,
) -> list[dict[str, Any]]:
    """Queue what should have run on these days and see it done."""
    from stixlab.ingest.triggers import queue_runs, runs_for_days
    from stixlab.pipeline import queue
    from stixlab.pipeline.dependencies import follow_ups

    folder = project_folder("pipelines")
    waiting = queue_runs(catalog, runs_for_days(catalog, folder, days))
    found: list[Run] = []
    while waiting:
        done = []
        for name in waiting:
            # One that is gone has given way to a newer one, of whoever took in newer products.
            with suppress(NotInCatalogError):
                done += queue.drain(catalog, [name], **_how(settings, archive), progress=progress)
        found += done
        seen = {run.run_id for run in found}
        follow = [r.run_id for run in done if run.outputs for r in follow_ups(catalog, folder, run)]
        waiting = [name for name in dict.fromkeys(follow) if name not in seen]
    return [
        {
            "type": "run",
            "run_id": run.run_id,
            "pipeline": run.pipeline,
            "parameters": run.parameters,
            "status": str(run.status),
            "outputs": run.outputs,
            "error": run.error,
        }
        for run in found
    ]


def _desk(settings: Settings, catalog: Any) -> RunDesk:
    """The desk of this process: operators stand at the queue, members of the hub ask over HTTP, others may not."""
    from stixlab.client.runs import HttpDesk, NoDesk, open_desk

    user, token = os.environ.get("JUPYTERHUB_USER", ""), os.environ.get("JUPYTERHUB_API_TOKEN", "")
    if settings.access == _OPERATOR:
        name = user or os.environ.get("USER", "") or _OPERATOR
        return open_desk(catalog, project_folder("pipelines"), user=name, operator=True)
    if settings.access == "team" and user and token:
        return HttpDesk(settings.local_url, token, user)
    return NoDesk(settings.access, user)


def _run_pipeline(lab: Lab, name: str, given: dict[str, Any]) -> Run:
    """Queue one run by hand and see it done, with a bar; a failed run is returned as such."""
    from stixlab.dashboards.progress import run_with_bar
    from stixlab.pipeline import queue

    if lab.settings.access != _OPERATOR:
        return run_with_bar(lab, name, given)
    how = _how(lab.settings, lab.archive)
    return run_with_bar(lab, name, given, execute=lambda run_id: queue.drain(lab.catalog, [run_id], **how)[0])
