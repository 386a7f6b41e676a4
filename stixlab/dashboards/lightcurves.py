"""The app of the quicklook light curves: what is asked for, what is shown, and how to get it.

Nothing here needs a browser: `ViewState` reads and writes the link, `View` gathers what the page
says, and the page is HTML that lives on without the kernel that made it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import numpy as np

from stixlab.dashboards.pages import AppPage, render
from stixlab.dashboards.request import is_public_app, query_string
from stixlab.datasets.energy_axis import band_ranges
from stixlab.errors import CatalogError, NotInCatalogError, ParameterError, StixlabError, TimeError
from stixlab.model import Product
from stixlab.timing.intervals import Interval, as_text, read_interval
from stixlab.vocabulary import FLIGHT, ORIGIN_LABELS, ORIGINS, product_type

if TYPE_CHECKING:
    import xarray as xr
    from bokeh.models import LayoutDOM

    from stixlab.client.lab import Lab
    from stixlab.model import Flare

__all__ = ["LONGEST_DAYS", "PRODUCT", "View", "ViewState"]

PRODUCT = "ql-lightcurve"
LONGEST_DAYS = 31.0
"""Longest interval one page shows."""
_EXAMPLE = "?start=2021-06-06&end=2021-06-07"
_WARM: list[str] = []
_MARGIN = np.timedelta64(20, "m")
"""What is shown on both sides of a flare that is opened from the table."""


@dataclass(frozen=True)
class ViewState:
    """What a link asks for; the same link always shows the same view."""

    interval: Interval | None = None
    """What to show; none: the latest day that has data."""
    origin: str | None = None
    """``flight``, ``simulated`` or ``reencoded``; none: what there is."""

    @classmethod
    def from_query(cls, query: str) -> ViewState:
        """The state that a query string asks for.

        Parameters
        ----------
        query
            Such as ``start=2021-06-06&end=2021-06-07``; a leading ``?`` is welcome.

        Raises
        ------
        TimeError
            If a time is mistyped, the end is not after the start, or they are too far apart.
        ParameterError
            If a name is unknown, comes twice, or the origin is none of ours.
        """
        pairs = parse_qsl(query.lstrip("?"), keep_blank_values=True)
        given = dict(pairs)
        unknown = sorted(set(given) - {"start", "end", "origin"})
        if unknown:
            raise ParameterError(f"link: expected start, end and origin; found {', '.join(unknown)[:80]}")
        if len(given) < len(pairs):
            raise ParameterError("link: expected each of start, end and origin once; found one of them twice")
        origin = given.get("origin") or None
        if origin is not None and origin not in ORIGINS:
            raise ParameterError(f"origin: expected {' or '.join(ORIGINS)}; found {origin[:40]!r}")
        start, end = given.get("start", "").strip(), given.get("end", "").strip()
        if not start and not end:
            return cls(None, origin)
        if not start:
            raise TimeError(f"start: expected a UTC time beside the end {end[:40]!r}; found none")
        return cls(read_interval(start, end, longest_days=LONGEST_DAYS), origin)

    def query(self) -> str:
        """The query string of this state, with a leading ``?``; empty for the latest day."""
        given = {}
        if self.interval is not None:
            given = {"start": as_text(self.interval.start), "end": as_text(self.interval.end)}
        if self.origin is not None:
            given["origin"] = self.origin
        return f"?{urlencode(given, safe=':')}" if given else ""


class View:
    """One view of the light curves.

    Parameters
    ----------
    lab
        Where the data comes from.
    query
        Query string of the link; none: that of the page the visitor asked for.
    now
        Present time, for ages; none: the clock's.
    """

    def __init__(self, lab: Lab, query: str | None = None, *, now: datetime | None = None) -> None:
        self._lab = lab
        self._now = now or datetime.now(UTC)
        self.query = query_string() if query is None else query

    @staticmethod
    def warm_up(lab: Lab) -> None:
        """Do before a visitor comes what does not depend on the visit: imports, a first page; once a process."""
        if not _WARM:
            View(lab, "").page()
            _WARM.append("done")

    def show(self) -> AppPage:
        """The page, as a notebook shows it."""
        return self.page()

    def page(self) -> AppPage:
        """The page: the view, or what was wrong with the link and what to write instead."""
        try:
            return AppPage(render("lightcurves.html.j2", **self._facts()), status=200)
        except NotInCatalogError as error:
            return self._problem("Nothing to show here yet", error, status=404)
        except CatalogError as error:
            return self._problem("The catalogue does not answer", error, status=503)
        except (TimeError, ParameterError) as error:
            return self._problem("This link cannot be shown", error, status=400)

    @cached_property
    def state(self) -> ViewState:
        """What is shown, with the latest day filled in.

        Raises
        ------
        TimeError, ParameterError
            As `ViewState.from_query`.
        NotInCatalogError
            If there is no light curve at all.
        """
        asked = ViewState.from_query(self.query)
        if asked.interval is not None:
            return asked
        if self.latest is None:
            raise NotInCatalogError("light curves: the archive holds none yet; ingest telemetry first")
        return replace(asked, interval=day_of(self.latest.start))

    @cached_property
    def interval(self) -> Interval:
        """What is shown."""
        assert self.state.interval is not None
        return self.state.interval

    @cached_property
    def latest(self) -> Product | None:
        """The product with the latest data; none if there is none."""
        origin = ViewState.from_query(self.query).origin
        latest: Product | None = self._lab.catalog.products.latest(type=PRODUCT, origin=origin)
        return latest

    @cached_property
    def dataset(self) -> xr.Dataset:
        """The light curves that are shown, lazy."""
        return self._lab.open(PRODUCT, self.interval.start, self.interval.end, origin=self.state.origin)

    @cached_property
    def flares(self) -> list[Flare]:
        """The flares whose peak is shown, of the same origin as the data, in order of time."""
        start, end = (as_datetime(t) for t in (self.interval.start, self.interval.end))
        origin = self.dataset.attrs.get("origin") or self.state.origin
        found = self._lab.catalog.flares.find(start=start, end=end, origin=origin)
        return sorted(found, key=lambda flare: flare.peak)

    @cached_property
    def label(self) -> str:
        """What stands beside the data if they were not measured."""
        return ORIGIN_LABELS[self.dataset.attrs.get("origin", FLIGHT)]

    def figure(self) -> LayoutDOM:
        """The plot, its range of times named ``stix-time`` for the page's script."""
        from bokeh.models import Plot

        from stixlab.plots.lightcurve import light_curve_figure

        figure = light_curve_figure(self.dataset, self.flares)
        figure.sizing_mode = "stretch_width"
        plot = next(iter(figure.select({"type": Plot})), None)
        if plot is not None:
            plot.x_range.name = "stix-time"
        return figure

    def snippet(self) -> str:
        """Python that gives the data shown."""
        times = ", ".join(json.dumps(as_text(t)) for t in (self.interval.start, self.interval.end))
        origin = f", origin={json.dumps(self.state.origin)}" if self.state.origin else ""
        return (
            "import stixlab\n\n"
            "lab = stixlab.connect()\n"
            f'ds = lab.open("{PRODUCT}", {times}{origin})\n'
            f"flares = lab.flares({times}{origin})\n"
        )

    def _facts(self) -> dict[str, Any]:
        interval, ds, state = self.interval, self.dataset, self.state
        figure = self.figure()
        query = state.query()
        days = max(1, round(interval.duration_s / 86_400))
        return {
            "title": product_type(PRODUCT).title,
            "label": self.label,
            "start": as_text(interval.start),
            "end": as_text(interval.end),
            "origin": state.origin or "",
            "facts": self._about(ds),
            "query": query,
            "downloads": {
                kind: f"/api/v1/lightcurve{query}&format={kind}" for kind in ("csv", "fits", "json")
            },
            "previous": replace(state, interval=interval.moved(-days)).query(),
            "next": replace(state, interval=interval.moved(days)).query(),
            "step": "day" if days == 1 else f"{days} days",
            "latest": self._iso(self.latest.end) if self.latest else "",
            "latest_age": age_text(self._now - self.latest.end.astimezone(UTC)) if self.latest else "",
            "flares": [self._flare_row(flare) for flare in self.flares],
            "snippet": self.snippet(),
            "plot": plot_html(figure),
            "provenance": self._provenance(ds),
        }

    def _about(self, ds: xr.Dataset) -> list[tuple[str, str]]:
        n = ds.sizes["time"]
        bands = [" or ".join(f"{low:g}-{high:g}" for low, high in band) for band in band_ranges(ds)]
        covered = float(np.asarray(ds["integration_time"]).sum()) / self.interval.duration_s
        return [
            ("Bins", f"{n:,}"),
            ("Energy bands", f"{', '.join(bands)} keV"),
            ("Coverage", f"{min(covered, 1.0):.1%} of the interval"),
            ("Flares", str(len(self.flares))),
        ]

    @staticmethod
    def _provenance(ds: xr.Dataset) -> list[tuple[str, str]]:
        names = ("product", "level", "origin", "software_version", "idb_version")
        return [(n.replace("_", " "), str(ds.attrs[n])) for n in names if ds.attrs.get(n)]

    def _flare_row(self, flare: Flare) -> dict[str, Any]:
        peak = np.datetime64(flare.peak.astimezone(UTC).replace(tzinfo=None), "ns")
        around = replace(self.state, interval=Interval(peak - _MARGIN, peak + _MARGIN))
        return {
            "id": flare.flare_id,
            "peak": f"{flare.peak.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            "duration": f"{flare.duration / 60:.1f} min",
            "counts": f"{flare.peak_counts:,.0f}",
            "background": f"{flare.background_counts:,.0f}",
            "significance": f"{flare.significance:.1f} \N{GREEK SMALL LETTER SIGMA}",
            "attenuator": "in" if flare.attenuator else "out",
            "label": ORIGIN_LABELS[flare.origin],
            "link": around.query(),
        }

    def _problem(self, title: str, error: StixlabError, *, status: int) -> AppPage:
        nearest = error.details.get("nearest")
        link = ViewState(day_of(nearest.start)).query() if isinstance(nearest, Product) else ""
        html = render(
            "problem.html.j2",
            title=title,
            message=error.message,
            example=_EXAMPLE,
            nearest=link,
            status=status,
        )
        return AppPage(html, status=status)

    @staticmethod
    def _iso(time: datetime) -> str:
        return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def day_of(time: datetime) -> Interval:
    """The UTC day of a time."""
    day = np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "D")
    return Interval(day.astype("datetime64[ns]"), (day + 1).astype("datetime64[ns]"))


def as_datetime(time: np.datetime64) -> datetime:
    """A numpy time as an aware `datetime`, UTC, cut to microseconds."""
    moment = time.astype("datetime64[us]").item()
    assert isinstance(moment, datetime)
    return moment.replace(tzinfo=UTC)


def age_text(age: Any) -> str:
    """An age in words: ``35 minutes``, ``3 days``, ``5 years``."""
    seconds = max(0.0, age.total_seconds())
    for unit, length in (("year", 31_557_600), ("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length * (2 if unit == "day" else 1):
            n = int(seconds // length)
            return f"{n:,} {unit}{'' if n == 1 else 's'}"
    return "less than a minute"


def plot_html(figure: LayoutDOM) -> str:
    """HTML that shows a Bokeh figure without the kernel that made it.

    On a public page the document is data that the site's own script shows; in a notebook the
    libraries come along, since there is no site.
    """
    if is_public_app():
        from bokeh.embed import json_item

        document = json.dumps(json_item(figure), separators=(",", ":")).replace("<", "\\u003c")
        return f'<div id="plot" class="plot"></div><script type="application/json" id="plot-document">{document}</script>'
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    page = escape(file_html(figure, INLINE, title="light curves"))
    return f'<iframe class="plot" srcdoc="{page}" style="width:100%;height:560px;border:0"></iframe>'
