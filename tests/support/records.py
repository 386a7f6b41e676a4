"""Records to store."""

from datetime import UTC, datetime, timedelta
from typing import Any

from stixlab.model import Flare, Product, RawFile, Run, RunStatus

T0 = datetime(2021, 6, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def raw_file(sha256: str = "a1", **fields: Any) -> RawFile:
    values: dict[str, Any] = {
        "names": ("tm.xml", "tm2.xml"),
        "kind": "edds-tm",
        "size_bytes": 145_000,
        "origin": "flight",
        "received": T0,
        "start": T0,
        "end": T0 + HOUR,
        "packets": {"ok": 36},
        "structures": {"21,6,30": 36},
        "report": {"remarks": {"no.such$key": {"count": 1, "first_offsets": [12]}}},
    }
    return RawFile(sha256, **(values | fields))


def product(day: int = 0, *, type: str = "ql-lightcurve", origin: str = "flight", **fields: Any) -> Product:
    start = T0 + day * DAY
    values: dict[str, Any] = {
        "product_id": f"L1_{type}_{start:%Y%m%d}_{origin}",
        "type": type,
        "level": "L1",
        "origin": origin,
        "start": start,
        "end": start + DAY,
        "version": 1,
        "content_sha256": "c0",
        "n_times": 21_600,
        "sources": ("a1", "b2"),
        "provenance": {"idb_version": "2.26.34"},
        "created": T0,
    }
    return Product(**(values | fields))


def flare(minute: int = 0, *, origin: str = "flight", **fields: Any) -> Flare:
    peak = T0 + timedelta(minutes=minute)
    values: dict[str, Any] = {
        "flare_id": f"{peak:%y%m%d%H%M}",
        "origin": origin,
        "start": peak - timedelta(minutes=1),
        "peak": peak,
        "end": peak + timedelta(minutes=3),
        "duration": 240.0,
        "peak_counts": 1000.0 + minute,
        "background_counts": 300.0,
        "significance": 12.5,
        "total_counts": 4e4,
        "signal_counts": 2e4,
        "peak_counts_by_band": (1000.0, 200.0, 30.0, 4.0, 5.0),
        "upper_band": 1,
        "attenuator": False,
    }
    return Flare(**(values | fields))


def run(run_id: str = "r1", minute: int = 0, **fields: Any) -> Run:
    values: dict[str, Any] = {
        "pipeline": "flare_list",
        "parameters": {"start": "2021-06-06T00:00:00", "threshold": 3.0},
        "status": RunStatus.QUEUED,
        "created": T0 + timedelta(minutes=minute),
    }
    return Run(run_id, **(values | fields))
