"""Whether everything works, for people and for monitoring."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

import psutil
from fastapi import APIRouter
from starlette.responses import JSONResponse

from stixlab import __version__
from stixlab.api.source import Source, TheSource
from stixlab.errors import StixlabError
from stixlab.model import Product
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = ["latest_data", "router"]

log = logging.getLogger(__name__)
router = APIRouter()

_KEPT_S = 2.0
_DATA_KEPT_S = 15.0


@router.get(
    "/health", tags=["health"], summary="State of the parts, answer time of the database, age of the data"
)
def health(source: TheSource) -> JSONResponse:
    """Status 200 when visitors can be served, 503 when they cannot."""
    report = source.kept("health", lambda: _report(source), for_s=_KEPT_S)
    return JSONResponse(report, 503 if report["status"] == "down" else 200, {"Cache-Control": "no-store"})


def _report(source: Source) -> dict[str, Any]:
    parts: dict[str, dict[str, Any]] = {"database": {"ok": False}, "archive": {"ok": False}}
    data: dict[str, Any] = {}
    try:
        products = source.lab.catalog.products
        begin = time.perf_counter()
        products.latest(type="ql-lightcurve")
        parts["database"] = {"ok": True, "answer_ms": round(1e3 * (time.perf_counter() - begin), 1)}
        data = source.kept("latest", lambda: latest_data(source), for_s=_DATA_KEPT_S)
        root = source.lab.archive.root
        parts["archive"] = {
            "ok": root.is_dir(),
            "free_gb": round(psutil.disk_usage(str(_existing(root))).free / 1e9, 1),
        }
    except StixlabError as error:
        log.warning("health: a part is away", extra={"error": error.message})
    parts |= _services(source)
    needed = parts["database"]["ok"] and parts["archive"]["ok"]
    everything = all(part["ok"] for part in parts.values())
    return {
        "status": "ok" if everything else "degraded" if needed else "down",
        "version": __version__,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "parts": parts,
        "data": data,
    }


def latest_data(source: Source, origin: str | None = None) -> dict[str, dict[str, Any]]:
    """For each product type that has data (of an origin): end of the latest, its age in seconds, its origin."""
    now = datetime.now(UTC)
    found: dict[str, dict[str, Any]] = {}
    for name in PRODUCT_TYPES:
        latest: Product | None = source.lab.catalog.products.latest(type=name, origin=origin)
        if latest is not None:
            end = latest.end.astimezone(UTC)
            age_s = round((now - end).total_seconds())
            found[name] = {"latest": f"{end:%Y-%m-%dT%H:%M:%SZ}", "age_s": age_s, "origin": latest.origin}
    return found


def _existing(path: Any) -> Any:
    return next(each for each in (path, *path.parents) if each.is_dir())


def _services(source: Source) -> dict[str, dict[str, Any]]:
    """The processes that the hub watches, from what it wrote when it started them."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((source.settings.home / "run" / "services").glob("*.json")):
        try:
            entry = json.loads(path.read_text())
            alive = (
                psutil.pid_exists(entry["pid"])
                and psutil.Process(entry["pid"]).status() != psutil.STATUS_ZOMBIE
            )
            found[path.stem] = {"ok": alive, "since": entry["started"], "restarts": entry["restarts"]}
        except (OSError, ValueError, KeyError, psutil.Error):
            found[path.stem] = {"ok": False}
    return found
