"""Runs and a lab without a server, for the tests of what people see of pipelines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stixlab.archive import Archive
from stixlab.catalog import MemoryCatalog
from stixlab.client import Lab
from stixlab.client.runs import QueueDesk, RunDesk, open_desk
from stixlab.model import Product, Run, RunStatus
from stixlab.settings import Settings
from tests.support.pipelines import write_notebook

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
GIVEN = {"start": "2022-03-01", "end": "2022-03-02", "origin": ""}


def make_run(number: int = 1, status: RunStatus = RunStatus.SUCCEEDED, **facts: Any) -> Run:
    """A run that was asked for `number` hours before `NOW`."""
    created = NOW - timedelta(hours=number)
    begun = status is not RunStatus.QUEUED
    ended = begun and status is not RunStatus.RUNNING
    known = {
        "run_id": f"trial-{number:016x}",
        "pipeline": "trial",
        "parameters": {"start": "2022-03-01T00:00:00", "end": "2022-03-02T00:00:00", "origin": ""},
        "status": status,
        "created": created,
        "started": created + timedelta(minutes=1) if begun else None,
        "finished": created + timedelta(minutes=1, seconds=30) if ended else None,
    }
    return Run(**(known | facts))


def make_product(type: str = "ql-lightcurve", hours: float = 5.0, **facts: Any) -> Product:
    """A product whose data end so many hours before `NOW`."""
    end = NOW - timedelta(hours=hours)
    known = {
        "product_id": f"L1_{type}_{end:%Y%m%d}_simulated",
        "type": type,
        "level": "L1",
        "origin": "simulated",
        "start": end - timedelta(hours=4),
        "end": end,
        "version": 1,
        "content_sha256": "ab" * 32,
        "n_times": 10,
        "created": end + timedelta(minutes=20),
    }
    return Product(**(known | facts))


def make_desk(catalog: Any, folder: Path, *, user: str = "ada", operator: bool = False) -> QueueDesk:
    """The desk of somebody, with the one pipeline ``trial``."""
    if not (folder / "trial.ipynb").exists():
        write_notebook(folder)
    return open_desk(catalog, folder, user=user, operator=operator)


def make_lab(home: Path, *, catalog: Any = None, desk: RunDesk | None = None, access: str = "team") -> Lab:
    """A lab in memory; its runs are asked for at the desk and done by nobody."""
    stores = catalog or MemoryCatalog()
    chosen = desk or make_desk(stores, home / "pipelines")
    return Lab(
        settings=Settings(home=home, access=access),
        catalog=stores,
        archive=Archive(home / "archive", writable=True),
        clock=None,
        run_pipeline=chosen.submit,
        desk=chosen,
    )
