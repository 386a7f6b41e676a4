"""The figures of light curves and flares: what they hold, from the data in their artists."""

import json

import numpy as np
import pytest
from bokeh.embed import json_item
from bokeh.models import Label, LogScale, Title

from stixlab.analysis.flares import flares_to_table, identify_flares
from stixlab.errors import SchemaError
from stixlab.plots.lightcurve import MAX_LABELS, band_traces, light_curve_figure
from stixlab.plots.still import draw_light_curve, plot_flares
from tests.support.flare_curves import curve, minute, moment, without

DATA = curve([(90, 500), (180, 5000)])
FLARES = identify_flares(DATA)
LABELS = ["4–10 keV", "10–15 keV", "15–25 keV", "25–50 keV", "50–84 keV"]  # noqa: RUF001


def source(figure, name):
    return next(
        r.data_source
        for r in figure.renderers
        if getattr(r, "data_source", None) and r.data_source.name == name
    )


def texts(figure):
    return [t.text for t in figure.select({"type": Title})] + [t.text for t in figure.select({"type": Label})]


def test_a_short_curve_is_shown_bin_by_bin():
    ds = DATA.isel(time=slice(0, 1000))
    figure = light_curve_figure(ds)
    for n in range(5):
        data = source(figure, f"band-{n}").data
        assert np.array_equal(data["counts"], ds["counts"].values[:, n])
        assert np.array_equal(np.asarray(data["time"]), ds["time"].values.astype(np.int64) / 1e6)


def test_a_long_curve_keeps_what_the_eye_sees_and_says_so():
    ds = curve([(90, 500), (180, 5000)], minutes=2880)
    figure = light_curve_figure(ds)
    for n in range(5):
        data = source(figure, f"band-{n}").data
        counts = ds["counts"].values[:, n]
        assert len(data["counts"]) <= 4010
        assert (data["counts"].max(), data["counts"].min()) == (counts.max(), counts.min())
        at = np.searchsorted(ds["time"].values.astype(np.int64) / 1e6, data["time"])
        assert np.array_equal(data["counts"], counts[at])
    assert any("43,200 bins" in t for t in texts(figure))
    assert len(json.dumps(json_item(figure))) < 1_000_000


def test_gaps_are_breaks():
    ds = without(DATA, 100, 130)
    for trace in band_traces(ds):
        broken = np.flatnonzero(np.isnan(trace.counts))
        assert len(broken) == 1
        assert trace.time[broken[0] - 1] < minute(100) <= trace.time[broken[0] + 1] - np.timedelta64(30, "m")


def test_counts_of_other_bins_are_those_of_four_seconds():
    ds = curve(bin_s=8.0, minutes=60)
    trace = band_traces(ds)[0]
    assert np.nanmedian(trace.counts) == pytest.approx(271, rel=0.06)


def test_the_legend_names_the_bands_in_order_and_the_axis_is_logarithmic():
    figure = light_curve_figure(DATA, FLARES)
    assert [i.label["value"] for i in figure.legend[0].items] == [*LABELS, "flare"]
    assert isinstance(figure.y_scale, LogScale)
    assert figure.sizing_mode == "stretch_width"
    assert len({r.glyph.line_color for r in figure.renderers if r.name in LABELS}) == 5


def test_flares_are_marked_at_their_times():
    figure = light_curve_figure(DATA, FLARES)
    spans, peaks = source(figure, "flare-spans").data, source(figure, "flares").data
    assert spans["start"] == [f.start.timestamp() * 1e3 for f in FLARES]
    assert spans["end"] == [f.end.timestamp() * 1e3 for f in FLARES]
    assert peaks["time"] == [f.peak.timestamp() * 1e3 for f in FLARES]
    assert peaks["counts"] == [f.peak_counts for f in FLARES]
    assert peaks["label"] == [f"{f.peak:%H:%M}" for f in FLARES]


def test_only_the_largest_of_many_flares_are_labelled():
    import dataclasses

    many = [dataclasses.replace(FLARES[0], peak_counts=float(n)) for n in range(100)]
    labels = source(light_curve_figure(DATA, many), "flares").data["label"]
    assert [bool(t) for t in labels] == [False] * (100 - MAX_LABELS) + [True] * MAX_LABELS


def test_the_attenuator_is_shaded():
    ds = curve([(180, 400_000)])
    figure = light_curve_figure(ds)
    inside = ds["time_bounds"].values[ds["rate_control_state"].values > 0]
    data = source(figure, "attenuator").data
    assert list(data["start"]) == [moment(inside[0, 0]).timestamp() * 1e3]
    assert list(data["end"]) == [moment(inside[-1, 1]).timestamp() * 1e3]


def test_simulated_data_say_so_prominently_and_measured_data_do_not():
    simulated = light_curve_figure(curve(minutes=60, origin="simulated"))
    assert sum("SIMULATED" in t for t in texts(simulated)) == 3, "title, watermark and note"
    assert not any("SIMULATED" in t for t in texts(light_curve_figure(curve(minutes=60))))


def test_a_simulated_flare_on_measured_data_is_told_too():
    import dataclasses

    flare = dataclasses.replace(FLARES[0], origin="simulated")
    assert any("SIMULATED" in t for t in texts(light_curve_figure(DATA, [flare])))


def test_bins_without_counts_are_drawn_on_the_logarithm():
    ds = DATA.isel(time=slice(0, 100))
    ds["counts"] = ds["counts"] * 0
    figure = light_curve_figure(ds)
    assert np.all(source(figure, "band-0").data["shown"] == 0.5)
    assert np.all(source(figure, "band-0").data["counts"] == 0)
    assert figure.y_range.start > 0


def test_a_dataset_without_energies_is_refused():
    with pytest.raises(SchemaError, match="energy_bounds"):
        light_curve_figure(DATA.drop_vars("energy_bounds"))


def test_the_still_figure_shows_the_same_curves():
    figure = draw_light_curve(DATA, FLARES)
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == LABELS
    for trace in band_traces(DATA):
        assert np.array_equal(lines[trace.label].get_ydata(), trace.counts)
    assert axes.get_yscale() == "log"
    assert "flare" in [t.get_text() for t in axes.get_legend().get_texts()]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_still_figure_says_when_it_is_simulated():
    assert "SIMULATED" in draw_light_curve(curve(minutes=30, origin="simulated")).get_suptitle()
    assert draw_light_curve(DATA).get_suptitle() == ""


def test_the_flare_list_is_plotted_over_its_background():
    figure = plot_flares(flares_to_table(FLARES))
    (points,) = [
        c for c in figure.axes[0].collections if len(c.get_offsets()) == 2 and c.get_label() == "flare"
    ]
    heights = points.get_offsets()[:, 1]
    assert np.allclose(heights, [f.peak_counts - f.background_counts for f in FLARES])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_an_empty_flare_list_is_plotted_as_such():
    figure = plot_flares(flares_to_table([]))
    assert [t.get_text() for t in figure.axes[0].texts] == ["no flares"]
    assert figure._repr_png_().startswith(b"\x89PNG")
