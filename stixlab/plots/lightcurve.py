"""Quicklook light curves with their flares, as a Bokeh figure that can be moved and zoomed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
from stixlab.plots.style import BAND_COLOURS, FLARE_COLOUR, INK, band_labels, origin_banner, origin_title

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure  # noqa: N812

__all__ = ["BandTrace", "band_traces", "light_curve_figure"]

MAX_POINTS = 4000
"""Points of a band in a figure; longer curves keep the smallest and largest of each stretch."""
MAX_LABELS = 30
"""Flares that get their time written at the peak, the largest first."""
_LEAST = 0.5
"""Counts drawn for an empty bin, where a logarithm has none."""
_CLEARANCE = 1.18
"""How far above a peak its mark stands, as a factor."""


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
        kept = np.union1d(reduce_min_max(counts[:, n], max_points), np.concatenate([first, last])).astype(
            np.intp
        )
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
    curve = to_light_curve(ds)
    traces = _traces(curve, band_labels(ds), max_points)
    banner = origin_banner([str(ds.attrs.get("origin")), *(f.origin for f in flares)])
    figure = _empty_figure(height, banner)
    _shade_attenuator(figure, curve)
    _mark_spans(figure, flares)
    reduced = len(curve) > max_points
    for n, trace in reversed(list(enumerate(traces))):
        _draw_band(figure, n, trace, width=1.1 if reduced else 1.5)
    _mark_peaks(figure, flares)
    _finish(figure, traces, reduced=reduced, n_bins=len(curve), banner=banner)
    return figure


def _draw_band(figure: Figure, number: int, trace: BandTrace, *, width: float) -> None:
    """Line of a band, and the tool that tells its values; that of the first band is the one to be seen."""
    from bokeh.models import HoverTool

    line = figure.line(
        "time",
        "shown",
        source=_source(
            f"band-{number}",
            time=_milliseconds(trace.time),
            counts=trace.counts.astype(np.float32),
            shown=np.maximum(trace.counts, _LEAST).astype(np.float32),
        ),
        color=trace.colour,
        line_width=width,
        line_alpha=0.9,
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
            visible=number == 0,
            description="Show values",
        )
    )


def _source(name: str, **columns: Any) -> Any:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(columns, name=name)


def _milliseconds(time: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Milliseconds since 1970, as Bokeh counts them."""
    return time.astype("datetime64[us]").astype(np.int64) / 1e3


def _moment(time: datetime) -> float:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.timestamp() * 1e3


def _empty_figure(height: int, banner: str) -> Figure:
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
    if banner:
        figure.title = Title(text=origin_title(banner), text_color="#B42318")
        watermark = Label(
            x=24,
            y=height * 0.36,
            x_units="screen",
            y_units="screen",
            text=banner,
            text_color="#B42318",
            text_alpha=0.22,
            text_font_size="44px",
            text_font_style="bold",
            level="underlay",
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
        counts=[f.peak_counts for f in flares],
        mark=[max(f.peak_counts, *f.peak_counts_by_band[:1], _LEAST) * _CLEARANCE for f in flares],
        significance=[f.significance for f in flares],
        minutes=[f.duration / 60 for f in flares],
        label=[f"{f.peak:%H:%M}" if id(f) in named else "" for f in flares],
        origin=[f.origin for f in flares],
    )
    marks = figure.scatter(
        "time",
        "mark",
        source=source,
        marker="inverted_triangle",
        size=11,
        color=FLARE_COLOUR,
        line_color=INK,
        line_width=0.8,
    )
    figure.add_layout(
        LabelSet(
            x="time",
            y="mark",
            text="label",
            source=source,
            y_offset=9,
            text_align="center",
            text_font_size="12px",
            text_color=INK,
            background_fill_color="#FFFFFF",
            background_fill_alpha=0.75,
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


def _finish(figure: Figure, traces: Sequence[BandTrace], *, reduced: bool, n_bins: int, banner: str) -> None:
    """Axes, legend and notes."""
    from bokeh.models import DatetimeTickFormatter, Title, WheelZoomTool

    figure.xaxis.axis_label = "UTC at the spacecraft"
    figure.yaxis.axis_label = "counts in 4 s"
    figure.xaxis.formatter = DatetimeTickFormatter(
        milliseconds="%H:%M:%S.%3N",
        seconds="%H:%M:%S",
        minsec="%H:%M:%S",
        minutes="%H:%M",
        hourmin="%H:%M",
        hours="%H:%M",
        days="%d %b",
        months="%b %Y",
        context=DatetimeTickFormatter(
            milliseconds="%d %b %Y",
            seconds="%d %b %Y",
            minsec="%d %b %Y",
            minutes="%d %b %Y",
            hourmin="%d %b %Y",
            hours="%d %b %Y",
            days="%Y",
        ),
        context_which="start",
    )
    figure.axis.axis_label_text_font_style = "normal"
    figure.axis.axis_label_text_color = INK
    figure.axis.major_label_text_font_size = "12px"
    figure.axis.axis_line_color = figure.axis.major_tick_line_color = "#9AA5B1"
    figure.axis.minor_tick_line_color = None
    figure.grid.grid_line_color = "#E4E7EB"
    figure.y_range.start, figure.y_range.end = _limits(traces)
    figure.x_range.range_padding = 0.005
    for tool in figure.tools:
        if isinstance(tool, WheelZoomTool):
            tool.zoom_on_axis = True
    if figure.legend:
        legend = figure.legend[0]
        order = [t.label for t in traces]
        legend.items = sorted(legend.items, key=lambda item: _position(item.label["value"], order))
        figure.add_layout(legend, "above")
        legend.glyph_height = 14
        legend.orientation = "horizontal"
        legend.click_policy = "mute"
        legend.border_line_color = None
        legend.padding = 2
        legend.spacing = 14
        legend.label_text_color = INK
    notes = ["Click a band in the legend to fade it."]
    if reduced:
        notes.insert(0, f"{n_bins:,} bins: each band shows the smallest and the largest of every stretch.")
    if banner:
        notes.insert(0, f"{banner}.")
    note = Title(text=" ".join(notes), text_font_size="11px", text_font_style="normal", text_color="#616E7C")
    figure.add_layout(note, "below")


def _position(label: str, order: Sequence[str]) -> int:
    """Place of an entry in the legend: the bands, then the rest."""
    return order.index(label) if label in order else len(order)


def _limits(traces: Sequence[BandTrace]) -> tuple[float, float]:
    """Lowest and highest counts to show, with room for the marks of flares."""
    values = np.concatenate([t.counts[np.isfinite(t.counts)] for t in traces])
    if not len(values):
        return 1.0, 1000.0
    low, high = max(float(values.min()), _LEAST), max(float(values.max()), 10.0)
    return low / 1.3, high * max(2.0, (high / low) ** 0.14)
