"""Which products there are, or were made, against time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stixlab.model.product import Product
from stixlab.plots.still import StillFigure, finish_still, still_axes
from stixlab.plots.style import INK, origin_banner

__all__ = ["draw_products"]

_COLOURS = {"new": "#1F7A8C", "changed": "#E07A1F", "unchanged": "#9AA5B1"}
_ROW_IN = 0.34
_LEAST_SHARE = 0.004
"""Of the width of the figure: what is shorter is drawn so long."""


def draw_products(products: Iterable[tuple[Product, str]]) -> StillFigure:
    """A row for each product type, a bar for each product over the time of its data.

    Parameters
    ----------
    products
        Each with what became of it: ``new``, ``changed`` or ``unchanged``; may be empty.

    Returns
    -------
    StillFigure
    """
    found = sorted(products, key=lambda item: (item[0].type, item[0].start))
    types = sorted({p.type for p, _ in found}, reverse=True)
    figure, axes = still_axes((11, 1.4 + _ROW_IN * max(len(types), 1)))
    times = np.array(
        [(p.start.replace(tzinfo=None), p.end.replace(tzinfo=None)) for p, _ in found], dtype="datetime64[us]"
    ).reshape(-1, 2)
    least = (times.max() - times.min()) * _LEAST_SHARE if found else np.timedelta64(0, "us")
    states = np.array([state for _, state in found], dtype=str)
    rows = np.array([types.index(p.type) for p, _ in found], dtype=float)
    for state, colour in _COLOURS.items():
        chosen = states == state if found else np.zeros(0, dtype=bool)
        if chosen.any():
            width = np.maximum(times[chosen, 1] - times[chosen, 0], least)
            look = {"color": colour, "edgecolor": "white", "lw": 0.4, "label": f"{chosen.sum()} {state}"}
            axes.barh(rows[chosen], width, left=times[chosen, 0], height=0.62, **look)
    if found:
        axes.set_yticks(range(len(types)), types)
        axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=9)
    else:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "nothing was to be made", transform=axes.transAxes, ha="center", color=INK)
    axes.set(xlabel="UTC at the spacecraft")
    finish_still(figure, axes, banner=origin_banner({p.origin for p, _ in found}))
    return figure
