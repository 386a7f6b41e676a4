"""The front page."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stixlab.api.health import latest_data
from stixlab.api.sketch import latest_curve
from stixlab.api.source import Source, TheSource
from stixlab.api.templates import render
from stixlab.errors import StixlabError
from stixlab.model import Product
from stixlab.vocabulary import FLIGHT, ORIGIN_LABELS, PRODUCT_TYPES

__all__ = ["router"]

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)

_KEPT_S = 20.0


@router.get("/")
def front(source: TheSource) -> Response:
    """What this is, what is new, where to go."""
    try:
        facts = source.kept("front", lambda: _facts(source), for_s=_KEPT_S)
    except StixlabError as error:
        log.error("front page without data", extra={"error": error.message})  # noqa: TRY400
        facts = {
            "rows": [],
            "simulated": False,
            "mixed": False,
            "measured": None,
            "away": True,
            "recent": [],
            "curve": None,
        }
        return HTMLResponse(
            render("front.html.j2", **facts), 503, {"Retry-After": "30", "Cache-Control": "no-store"}
        )
    return HTMLResponse(render("front.html.j2", **facts), headers={"Cache-Control": "max-age=20"})


@router.get("/login")
def login() -> Response:
    """Where people look for it."""
    return RedirectResponse("/hub/login")


@router.get("/favicon.ico")
def icon() -> Response:
    """The icon where browsers ask for it."""
    return RedirectResponse("/static/icon.svg")


def _facts(source: Source) -> dict[str, Any]:
    rows = [_row(name, entry) for name, entry in latest_data(source).items()]
    made = {row["type"] for row in rows if row["label"]}
    measured = [_row(name, entry) for name, entry in latest_data(source, FLIGHT).items() if name in made]
    if made:
        rows += measured
        for row in rows:
            row["label"] = row["label"] or "measured"
    rows.sort(key=lambda row: list(PRODUCT_TYPES).index(row["type"]))
    return {
        "rows": rows,
        "simulated": bool(rows) and all(row["label"] not in {"", "measured"} for row in rows),
        "mixed": bool(made) and any(row["label"] == "measured" for row in rows),
        "measured": _measured_day(source) if made else None,
        "away": False,
        "curve": latest_curve(source),
        "recent": _recent_flares(source),
    }


def _measured_day(source: Source) -> dict[str, str] | None:
    """The latest UTC day with a light curve that was measured, for those who would see no more than a simulation."""
    latest: Product | None = source.lab.catalog.products.latest(type="ql-lightcurve", origin=FLIGHT)
    if latest is None:
        return None
    day = latest.start + (latest.end - latest.start) / 2
    return {"start": f"{day:%Y-%m-%d}", "end": f"{day + timedelta(days=1):%Y-%m-%d}"}


def _row(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": name,
        "title": PRODUCT_TYPES[name].title,
        "latest": entry["latest"],
        "age": _age(entry["age_s"]),
        "label": ORIGIN_LABELS[entry["origin"]],
    }


def _recent_flares(source: Source) -> list[dict[str, Any]]:
    """The latest flares within a month of the latest light curve."""
    latest: Product | None = source.lab.catalog.products.latest(type="ql-lightcurve")
    if latest is None:
        return []
    last = latest.end
    found = source.lab.catalog.flares.find(start=last - timedelta(days=31), end=last)
    recent = sorted(found, key=lambda flare: flare.peak)[-6:][::-1]
    margin = timedelta(minutes=20)
    return [
        {
            "peak": f"{flare.peak:%Y-%m-%d %H:%M:%S}",
            "counts": f"{flare.peak_counts:,.0f}",
            "duration": f"{flare.duration / 60:.0f} min",
            "label": ORIGIN_LABELS[flare.origin],
            "link": f"?start={flare.peak - margin:%Y-%m-%dT%H:%M:%S}&end={flare.peak + margin:%Y-%m-%dT%H:%M:%S}",
        }
        for flare in recent
    ]


def _age(seconds: float) -> str:
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length):,} {unit}"
    return "a minute" if seconds < 120 else "an hour"
