"""The latest light curves as a small drawing for the front page."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.api.source import Source
from stixlab.errors import NotInCatalogError
from stixlab.plots.style import BAND_COLOURS
from stixlab.vocabulary import FLIGHT, ORIGIN_LABELS

__all__ = ["latest_curve", "polylines"]

_WIDTH, _HEIGHT = 560, 220
_COLUMNS = 280
_GAP_COLUMNS = 2


def latest_curve(source: Source) -> dict[str, Any] | None:
    """Points of each band of the latest day; none if there is no data.

    Raises
    ------
    CatalogError
        If the database is away.
    """
    try:
        ds = source.lab.open("ql-lightcurve")
    except NotInCatalogError:
        return None
    counts = np.asarray(ds["counts"].transpose("energy", "time").values, dtype=np.float64)
    times = np.asarray(ds["time"].values).astype("datetime64[ms]").astype(np.int64)
    low, high = np.log10(max(counts.min(), 1.0)), np.log10(max(counts.max(), 10.0))
    bands = [
        {"points": points, "colour": BAND_COLOURS[n % len(BAND_COLOURS)]}
        for n, band in enumerate(counts)
        for points in polylines(times, band, low=low, high=high)
    ]
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "bands": bands,
        "day": str(np.asarray(ds["time"].values)[-1])[:10],
        "label": ORIGIN_LABELS[str(ds.attrs.get("origin", FLIGHT))],
    }


def polylines(times: NDArray[np.int64], counts: NDArray[np.float64], *, low: float, high: float) -> list[str]:
    """Points of SVG polylines, broken at gaps: for each column of the drawing the largest value in it.

    Parameters
    ----------
    times : (n,), ms, in order
    counts : (n,), count
    low, high
        Decimal logarithms of the counts at the lower and the upper edge.
    """
    span = max(int(times[-1] - times[0]), 1)
    column = ((times - times[0]) * (_COLUMNS - 1)) // span
    first = np.flatnonzero(np.diff(column, prepend=-1))
    largest = np.maximum.reduceat(counts, first)
    x = column[first] * (_WIDTH / (_COLUMNS - 1))
    y = (_HEIGHT - 6) * (1 - (np.log10(np.maximum(largest, 1.0)) - low) / max(high - low, 1e-9)) + 3
    points = np.char.add(np.char.add(np.round(x, 1).astype(str), ","), np.round(y, 1).astype(str))
    breaks = np.flatnonzero(np.diff(column[first]) > _GAP_COLUMNS) + 1
    return [" ".join(piece) for piece in np.split(points, breaks)]
