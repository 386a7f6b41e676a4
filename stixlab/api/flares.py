"""Flares over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from stixlab.api.interval import as_datetimes
from stixlab.api.source import TheSource
from stixlab.timing.intervals import read_interval
from stixlab.vocabulary import ORIGINS

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["flares"])

LONGEST_DAYS = 400.0
"""Longest interval of one answer."""


@router.get("/flares", summary="Flares by the time of their peak")
def flares(
    source: TheSource,
    start: Annotated[str, Query(description="UTC, such as 2021-06-06")],
    end: Annotated[str, Query(description="UTC; empty: one day after the start")] = "",
    min_counts: Annotated[float, Query(ge=0, description="Least counts of the peak per bin of 4 s")] = 0.0,
    origin: Annotated[str | None, Query(pattern=f"^({'|'.join(ORIGINS)})$")] = None,
) -> dict[str, Any]:
    """Flares found in the 4-10 keV quicklook light curve, sorted by the time of their peak."""
    interval = read_interval(start, end, longest_days=LONGEST_DAYS)
    first, last = as_datetimes(interval)
    found = source.lab.catalog.flares.find(start=first, end=last, min_counts=min_counts, origin=origin)
    return {
        "units": {"duration": "s", "peak_counts": "ct", "background_counts": "ct", "signal_counts": "ct"},
        "time": "UTC at the spacecraft",
        "flares": [asdict(flare) for flare in found],
    }
