"""Quicklook light curves with their flares: a Bokeh figure for pages and notebooks, a still one for records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from stixlab.analysis.lightcurves import (
    BIN_S,
    LightCurve,
    attenuator_spans,
    iter_segments,
    reduce_min_max,
    to_light_curve,
)
from stixlab.model.flare import Flare
from stixlab.plots.style import (
    BAND_COLOURS,
    FLARE_COLOUR,
    INK,
    SIMULATED_LABEL,
    band_labels,
    is_simulated,
)
from stixlab.vocabulary import SIMULATED

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

    from stixlab.plots.still import StillFigure

__all__ = ["BandTrace", "band_traces", "draw_light_curve", "light_curve_figure"]

MAX_POINTS = 4000
"""Points of a band in a figure; longer curves keep the smallest and largest of each stretch."""
MAX_LABELS = 30
"""Flares that get their time written at the peak, the largest first."""
_LEAST = 0.5
"""Counts drawn for an empty bin, where a logarithm has none."""


@dataclass(frozen=True)
class BandTrace:
    """What is drawn of one band: NaN counts where data are missing."""

    label: str
    colour: str
    time: NDArray[np.datetime64]
    """(n,), UTC."""
    counts: NDArray[np.float64]
    """(n,), counts per bin of 4 s."""


def band_traces(ds: xr.Dataset, *, max_points: int = MAX_POINTS) -> list[BandTrace]:
    """The curves of a figure, one for each energy band, broken at gaps and reduced where long.

    Parameters
    ----------
    ds : quicklook light curve
    max_points
        About how many points a band may have.

    Raises
    ------
    SchemaError
        If the dataset is no light curve or has no energies.
    """
    return _traces(to_light_curve(ds), band_labels(ds), max_points)


def _traces(curve: LightCurve, labels: list[str], max_points: int) -> list[BandTrace]:
    width_s = (curve.end - curve.start).astype(np.int64) * 1e-9
    counts = curve.counts * (BIN_S / np.maximum(width_s, 1e-9))[:, None]
    time = curve.middle
    lengths = [len(s) for s in iter_segments(curve)]
    first = np.cumsum([0, *lengths[:-1]]).astype(np.intp) if lengths else np.zeros(0, np.intp)
    last = first + np.array(lengths, dtype=np.intp) - 1
    traces = []
    for n, label in enumerate(labels):
        kept = np.union1d(reduce_min_max(counts[:, n], max_points), np.concatenate([first, last])).astype(np.intp)
        breaks = np.searchsorted(kept, first[1:])
        traces.append(
            BandTrace(
                label,
                BAND_COLOURS[n % len(BAND_COLOURS)],
                np.insert(time[kept], breaks, time[first[1:]]),
                np.insert(counts[kept, n], breaks, np.nan),
            )
        )
    return traces


def light_curve_figure(
    ds: xr.Dataset, flares: Sequence[Flare] = (), *, height: int = 520, max_points: int = MAX_POINTS
) -> Figure:
    """Counts of all energy bands against time, flares marked.

    Parameters
    ----------
    ds : quicklook light curve
    flares
        Those to mark; spans shaded, peaks with their time.
    height
        Pixels; the width is that of the page.
    max_points
        About how many points a band may have.

    Returns
    -------
    bokeh.plotting.figure
        Its data sources are named ``band-0`` ... and ``flares``.

    Raises
    ------
    SchemaError
        If the dataset is no light curve or has no energies.
    """
    from bokeh.models import HoverTool

    curve = to_light_curve(ds)
    traces = _traces(curve, band_labels(ds), max_points)
    simulated = is_simulated(ds) or any(f.origin == SIMULATED for f in flares)
    figure = _empty_figure(height, simulated=simulated)
    _shade_attenuator(figure, curve)
    _mark_spans(figure, flares)
    for n, trace in enumerate(traces):
        line = figure.line(
            "time",
            "shown",
            source=_source(
                f"band-{n}",
                time=_milliseconds(trace.time),
                counts=trace.counts.astype(np.float32),
                shown=np.maximum(trace.counts, _LEAST).astype(np.float32),
            ),
            color=trace.colour,
            line_width=1.4,
            line_join="round",
            muted_alpha=0.12,
            legend_label=trace.label,
            name=trace.label,
        )
        figure.add_tools(
            HoverTool(
                renderers=[line],
                tooltips=[("", trace.label), ("UTC", "@time{%F %T}"), ("counts in 4 s", "@counts{0,0}")],
                formatters={"@time": "datetime"},
                line_policy="nearest",
                visible=n == 0,
                description="Show values",
            )
        )
    _mark_peaks(figure, flares)
    _finish(figure, traces, reduced=len(curve) > max_points, n_bins=len(curve), simulated=simulated)
    return figure


def _source(name: str, **columns: Any) -> Any:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(columns, name=name)


def _milliseconds(time: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Milliseconds since 1970, as Bokeh counts them."""
    return time.astype("datetime64[us]").astype(np.int64) / 1e3


def _moment(time: datetime) -> float:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.timestamp() * 1e3


def _empty_figure(height: int, *, simulated: bool) -> Figure:
    from bokeh.models import Label, Title
    from bokeh.plotting import figure as make_figure

    figure = make_figure(
        height=height,
        sizing_mode="stretch_width",
        x_axis_type="datetime",
        y_axis_type="log",
        tools="xpan,xwheel_zoom,box_zoom,undo,redo,reset,save",
        active_drag="box_zoom",
        active_scroll="xwheel_zoom",
        background_fill_color="#FFFFFF",
        border_fill_color="#FFFFFF",
        outline_line_color=None,
        name="lightcurve",
    )
    if simulated:
        figure.title = Title(text=f"{SIMULATED_LABEL}: not measured by the instrument", text_color="#B42318")
        watermark = Label(
            x=24,
            y=18,
            x_units="screen",
            y_units="screen",
            text=SIMULATED_LABEL,
            text_color="#B42318",
            text_alpha=0.22,
            text_font_size="44px",
            text_font_style="bold",
            name="simulated",
        )
        figure.add_layout(watermark)
    return figure


def _shade_attenuator(figure: Figure, curve: LightCurve) -> None:
    """Shade the times at which the attenuator was in."""
    spans = attenuator_spans(curve)
    if not spans:
        return
    figure.vstrip(
        x0="start",
        x1="end",
        source=_source(
            "attenuator",
            start=_milliseconds(curve.start[[a for a, _ in spans]]),
            end=_milliseconds(curve.end[[b - 1 for _, b in spans]]),
        ),
        fill_color="#9AA5B1",
        fill_alpha=0.18,
        hatch_pattern="right_diagonal_line",
        hatch_color="#7B8794",
        hatch_alpha=0.35,
        line_color=None,
        legend_label="attenuator in",
    )


def _mark_spans(figure: Figure, flares: Sequence[Flare]) -> None:
    if not flares:
        return
    figure.vstrip(
        x0="start",
        x1="end",
        source=_source(
            "flare-spans",
            start=[_moment(f.start) for f in flares],
            end=[_moment(f.end) for f in flares],
        ),
        fill_color=FLARE_COLOUR,
        fill_alpha=0.22,
        line_color=None,
        legend_label="flare",
    )


def _mark_peaks(figure: Figure, flares: Sequence[Flare]) -> None:
    """A triangle over each peak, with its time beside the largest."""
    from bokeh.models import HoverTool, LabelSet

    if not flares:
        return
    named = {id(f) for f in sorted(flares, key=lambda f: -f.peak_counts)[:MAX_LABELS]}
    source = _source(
        "flares",
        flare_id=[f.flare_id for f in flares],
        time=[_moment(f.peak) for f in flares],
        counts=[max(f.peak_counts, _LEAST) for f in flares],
        significance=[f.significance for f in flares],
        minutes=[f.duration / 60 for f in flares],
        label=[f"{f.peak:%H:%M}" if id(f) in named else "" for f in flares],
        origin=[f.origin for f in flares],
    )
    marks = figure.scatter(
        "time",
        "counts",
        source=source,
        marker="inverted_triangle",
        size=11,
        y_offset=-9,
        color=FLARE_COLOUR,
        line_color=INK,
        line_width=0.8,
    ) if _has_offset() else figure.scatter(
        "time", "counts", source=source, marker="inverted_triangle", size=11, color=FLARE_COLOUR, line_color=INK
    )
    figure.add_layout(
        LabelSet(
            x="time",
            y="counts",
            text="label",
            source=source,
            y_offset=9,
            text_align="center",
            text_font_size="12px",
            text_color=INK,
        )
    )
    figure.add_tools(
        HoverTool(
            renderers=[marks],
            tooltips=[
                ("flare", "@flare_id"),
                ("peak UTC", "@time{%F %T}"),
                ("4\N{EN DASH}10 keV", "@counts{0,0} counts in 4 s"),
                ("over background", "@significance{0.0} \N{GREEK SMALL LETTER SIGMA}"),
                ("duration", "@minutes{0.0} min"),
                ("origin", "@origin"),
            ],
            formatters={"@time": "datetime"},
            visible=False,
        )
    )
