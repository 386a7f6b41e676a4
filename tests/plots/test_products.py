"""The figure of what a run has made."""

from datetime import UTC, datetime, timedelta

from stixlab.model import Product
from stixlab.plots.products import draw_products

START = datetime(2026, 2, 3, tzinfo=UTC)


def product(kind, hours, origin="flight"):
    return Product(f"L1_{kind}", kind, "L1", origin, START, START + timedelta(hours=hours), 1, "ab", 3)


def texts(figure):
    legend = figure.axes[0].get_legend()
    return [t.get_text() for t in (*legend.get_texts(), *figure.axes[0].get_yticklabels())]


def test_each_type_has_a_row_and_each_state_its_number():
    made = [
        (product("hk-maxi", 24), "new"),
        (product("ql-lightcurve", 24), "new"),
        (product("hk-maxi", 1), "changed"),
    ]
    figure = draw_products(made)
    assert texts(figure) == ["2 new", "1 changed", "ql-lightcurve", "hk-maxi"]
    assert len(figure.axes[0].patches) == 3
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_what_is_not_measured_is_said():
    figure = draw_products([(product("hk-maxi", 24, "simulated"), "new")])
    assert "SIMULATED" in figure.get_suptitle()


def test_nothing_made_is_said():
    (text,) = draw_products([]).axes[0].texts
    assert text.get_text() == "nothing was to be made"
