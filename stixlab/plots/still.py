"""Still figures: pictures that stay in an executed notebook or go into a report."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from astropy.table import QTable
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from stixlab.analysis.lightcurves import attenuator_spans, to_light_curve
from stixlab.model.flare import Flare
from stixlab.plots.lightcurve import band_traces
from stixlab.plots.style import FLARE_COLOUR, INK, origin_banner, origin_title

__all__ = ["StillFigure", "draw_light_curve", "finish_still", "plot_flares", "still_axes"]


class StillFigure(Figure):
    """A Matplotlib figure that a notebook shows when it is the last value of a cell."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def draw_light_curve(ds: xr.Dataset, flares: Sequence[Flare] = ()) -> StillFigure:
    """Counts of all energy bands against time, flares shaded.

    Parameters
    ----------
    ds : quicklook light curve
    flares
        Those to mark.

    Raises
    ------
    SchemaError
        If the dataset is no light curve or has no energies.
    """
    figure, axes = still_axes((11, 4.6))
    for trace in band_traces(ds):
        axes.plot(trace.time, np.maximum(trace.counts, 0.5), color=trace.colour, lw=0.8, label=trace.label)
    for n, flare in enumerate(flares):
        axes.axvspan(
            _naive(flare.start),
            _naive(flare.end),
            color=FLARE_COLOUR,
            alpha=0.25,
            lw=0,
            label="flare" if n == 0 else None,
        )
    curve = to_light_curve(ds)
    for n, (first, last) in enumerate(attenuator_spans(curve)):
        axes.axvspan(
            curve.start[first],
            curve.end[last - 1],
            facecolor="none",
            edgecolor="#7B8794",
            hatch="//",
            alpha=0.4,
            lw=0,
            label="attenuator in" if n == 0 else None,
        )
    axes.set(yscale="log", ylabel="counts in 4 s", xlabel="UTC at the spacecraft")
    axes.legend(ncols=7, loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=9, handlelength=1.2)
    finish_still(figure, axes, banner=origin_banner([str(ds.attrs.get("origin"))]))
    return figure


def plot_flares(flares: QTable) -> StillFigure:
    """Sizes of flares against time.

    Parameters
    ----------
    flares : from `stixlab.Lab.flares` or `flares_to_table`
        A row each; may be empty.

    Returns
    -------
    StillFigure
        Peak counts in 4-10 keV over the background; a flare with the attenuator in is a lower limit and
        drawn as a triangle.
    """
    figure, axes = still_axes((11, 4.2))
    if len(flares):
        time = flares["peak"].datetime64
        over = np.maximum((flares["peak_counts"] - flares["background_counts"]).value, 0.5)
        inside = np.asarray(flares["attenuator"], dtype=bool)
        axes.vlines(time, over.min() / 2, over, color="#CBD2D9", lw=0.8, zorder=1)
        for which, marker, label in ((~inside, "o", "flare"), (inside, "^", "attenuator in: lower limit")):
            if which.any():
                axes.scatter(
                    time[which],
                    over[which],
                    s=34,
                    marker=marker,
                    color=FLARE_COLOUR,
                    edgecolor=INK,
                    lw=0.7,
                    label=label,
                    zorder=2,
                )
        axes.set_yscale("log")
        axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    else:
        axes.text(0.5, 0.5, "no flares", transform=axes.transAxes, ha="center", color="#616E7C")
    axes.set(
        ylabel="4\N{EN DASH}10 keV counts in 4 s over background", xlabel="UTC of the peak, at the spacecraft"
    )
    finish_still(figure, axes, banner=origin_banner(map(str, flares["origin"]) if len(flares) else ()))
    return figure


def still_axes(size: tuple[float, float]) -> tuple[StillFigure, Any]:
    """A figure of a width and height in inches, with axes in the style of all still figures."""
    figure = StillFigure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E4E7EB", lw=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def finish_still(figure: StillFigure, axes: Any, *, banner: str) -> None:
    """Label the axis of times, and say above the figure what is not measured."""
    if axes.has_data():
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    if banner:
        figure.suptitle(origin_title(banner), color="#B42318", fontsize=11, ha="center")


def _naive(time: Any) -> np.datetime64:
    return np.datetime64(int(time.timestamp() * 1e6), "us")
