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
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = ["latest_data", "router"]

log = logging.getLogger(__name__)
router = APIRouter()

_KEPT_S = 2.0


@router.get("/health", tags=["health"], summary="State of the parts, answer time of the database, age of the data")
def health(source: TheSource) -> JSONResponse:
    """Status 200 when visitors can be served, 503 when they cannot."""
    report = source.kept("health", lambda: _report(source), for_s=_KEPT_S)
    return JSONResponse(report, 503 if report["status"] == "down" else 200, {"Cache-Control": "no-store"})


def _report(source: Source) -> dict[str, Any]:
    parts: dict[str, dict[str, Any]] = {"database": {"ok": False}, "archive": {"ok": False}}
    data: dict[str, Any] = {}
    begin = time.perf_counter()
    try:
        data = latest_data(source)
        parts["database"] = {"ok": True, "answer_ms": round(1e3 * (time.perf_counter() - begin), 1)}
        root = source.lab.archive.root
        parts["archive"] = {"ok": root.is_dir(), "free_gb": round(psutil.disk_usage(str(_existing(root))).free / 1e9, 1)}
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


def latest_data(source: Source) -> dict[str, dict[str, Any]]:
    """For each product type that has data: latest time, its age in seconds, origin, number of products."""
    now = datetime.now(UTC)
    found: dict[str, dict[str, Any]] = {}
    for product in source.lab.products(level="L1"):
        entry = found.setdefault(product.type, {"latest": product.end, "origin": product.origin, "products": 0})
        entry["products"] += 1
        if product.end >= entry["latest"]:
            entry |= {"latest": product.end, "origin": product.origin}
    return {
        name: found[name] | {
            "latest": f"{found[name]['latest'].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "age_s": round((now - found[name]["latest"].astimezone(UTC)).total_seconds()),
        }
        for name in PRODUCT_TYPES
        if name in found
    }


def _existing(path: Any) -> Any:
    return next(each for each in (path, *path.parents) if each.is_dir())


def _services(source: Source) -> dict[str, dict[str, Any]]:
    """The processes that the hub watches, from what it wrote when it started them."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((source.settings.home / "run" / "services").glob("*.json")):
        try:
            entry = json.loads(path.read_text())
            alive = psutil.pid_exists(entry["pid"]) and psutil.Process(entry["pid"]).status() != psutil.STATUS_ZOMBIE
            found[path.stem] = {"ok": alive, "since": entry["started"], "restarts": entry["restarts"]}
        except (OSError, ValueError, KeyError, psutil.Error):
            found[path.stem] = {"ok": False}
    return found
