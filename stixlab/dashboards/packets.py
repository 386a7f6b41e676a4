"""The app of the packets, for the team: a form, what was found, and any packet down to its bits.

It lives in a notebook with its kernel, unlike the public apps: `View` puts widgets together, `SearchState`
reads and writes the link, and both are tested without a browser.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import ipywidgets as widgets

from stixlab.client.packets import find_packets, get_packet
from stixlab.dashboards.pages import render
from stixlab.dashboards.request import query_string
from stixlab.errors import ParameterError, StixlabError
from stixlab.packets import PacketTable, PacketTree
from stixlab.packets.query import STATUSES
from stixlab.packets.text import hex_dump, number_text, place_text, value_text
from stixlab.vocabulary import ORIGINS

if TYPE_CHECKING:
    from stixlab.client.lab import Lab

__all__ = ["FIELDS", "SearchState", "View"]

PAGE = 200
"""Packets of a page."""
_NUMBERS = ("spid", "service", "subtype", "ssid", "apid", "request")
_TEXTS = ("start", "end", "text", "file")
FIELDS = {
    "start": ("From", "UTC or on-board time; empty: any"),
    "end": ("to", "UTC or on-board time; empty: any"),
    "text": ("Description", "words, such as light curve"),
    "service": ("Service", "number, or several with commas"),
    "subtype": ("Subtype", "number, or several with commas"),
    "ssid": ("SSID", "SSID, SID or event number"),
    "spid": ("SPID", "number of the structure"),
    "apid": ("APID", "such as 1468"),
    "request": ("Request", "number of a science request"),
    "file": ("File", "part of its name, or start of its hash"),
    "status": ("Status", ""),
    "origin": ("Origin", ""),
    "copies": ("Copies", ""),
}
"""What can be asked for, as the form says it: label and hint."""
_OTHERS = ("order", "after", "packet")
_ORDERS = ("newest", "oldest")
_CHOICES = {"status": STATUSES, "origin": ORIGINS, "copies": ("all",)}
_STYLE = "<style>.stix-found select { font-family: monospace; font-size: 12px; }</style>"


@dataclass(frozen=True)
class SearchState:
    """What a link asks for; the same link shows the same view."""

    given: dict[str, str] = field(default_factory=dict)
    """Conditions by name, as they were typed; empty ones are left out."""

    @classmethod
    def from_query(cls, query: str) -> SearchState:
        """The state of a query string such as ``start=2021-06-06&ssid=30``; a leading ``?`` is welcome.

        Raises
        ------
        ParameterError
            If a name is unknown or comes twice, or a word is none of those to choose from.
        """
        pairs = parse_qsl(query.lstrip("?"), keep_blank_values=True)
        known = (*FIELDS, *_OTHERS)
        unknown = sorted({name for name, _ in pairs} - set(known))
        if unknown:
            raise ParameterError(f"link: expected {', '.join(known)}; found {', '.join(unknown)[:80]}")
        if len(dict(pairs)) < len(pairs):
            raise ParameterError("link: expected each name once; found one of them twice")
        given = {name: value.strip() for name, value in pairs if value.strip()}
        for name, choices in (*_CHOICES.items(), ("order", _ORDERS)):
            if given.get(name, choices[0]) not in choices:
                raise ParameterError(
                    f"{name}: expected one of {', '.join(choices)}; found {given[name][:40]!r}"
                )
        return cls(given)

    def query(self) -> str:
        """The query string of this state, with a leading ``?``; empty if nothing is asked for."""
        return f"?{urlencode(self.given, safe=':,')}" if self.given else ""

    def conditions(self) -> dict[str, Any]:
        """What to hand to `find_packets`.

        Raises
        ------
        ParameterError
            If what should be a number is none.
        """
        found: dict[str, Any] = {
            name: self.given[name] for name in (*_TEXTS, "status", "origin") if name in self.given
        }
        found |= {name: _numbers(name, self.given[name]) for name in _NUMBERS if name in self.given}
        newest_first = self.given.get("order", _ORDERS[0]) == _ORDERS[0]
        distinct = "copies" not in self.given
        return found | {"newest_first": newest_first, "distinct": distinct, "after": self.given.get("after")}

    def snippet(self) -> str:
        """Python that finds the same."""
        given = {
            n: v for n, v in self.conditions().items() if v is not None and (n, v) != ("newest_first", True)
        }
        words = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"import stixlab\n\nlab = stixlab.connect()\nfound = lab.packets({words})\n"


def _numbers(name: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise ParameterError(
            f"{FIELDS[name][0]}: expected a number, or several with commas between; found {text[:40]!r}"
        ) from None


class View:
    """The app.

    Parameters
    ----------
    lab
        Where the packets come from.
    query
        Query string of the link; none: that of the page, if there is one.
    """

    def __init__(self, lab: Lab, query: str | None = None) -> None:
        self._lab = lab
        self.found: PacketTable | None = None
        self.packet: PacketTree | None = None
        self._pages: list[str | None] = [None]
        self.fields: dict[str, Any] = {name: _input(name) for name in FIELDS}
        self.order = widgets.Dropdown(
            options=list(zip(("latest first", "earliest first"), _ORDERS, strict=True)), layout=_wide("12em")
        )
        self.search_button = widgets.Button(description="Search", button_style="primary", icon="search")
        self.back_button = widgets.Button(description="Page before", disabled=True)
        self.next_button = widgets.Button(description="Next page", disabled=True)
        self.message = widgets.HTML()
        self.list = widgets.Select(options=[], rows=16, layout=_wide("100%"))
        self.list.add_class("stix-found")
        self.tree = widgets.HTML()
        self.link = widgets.HTML()
        self._begin(query_string() if query is None else query)
        self._listen()

    def show(self) -> Any:
        """The app as one widget."""
        form = widgets.GridBox(
            list(self.fields.values()),
            layout=widgets.Layout(grid_template_columns="repeat(auto-fill, minmax(20em, 1fr))"),
        )
        buttons = widgets.HBox([self.search_button, self.order, self.back_button, self.next_button])
        return widgets.VBox(
            [widgets.HTML(_STYLE), form, buttons, self.message, self.list, self.link, self.tree]
        )

    @property
    def state(self) -> SearchState:
        """What the form asks for, with the page and the packet that are shown."""
        given = {name: str(each.value).strip() for name, each in self.fields.items()}
        if self.order.value != _ORDERS[0]:
            given["order"] = self.order.value
        if self._pages[-1] is not None:
            given["after"] = self._pages[-1]
        if self.packet is not None:
            given["packet"] = self.packet.id
        return SearchState({name: value for name, value in given.items() if value})

    def search(self) -> None:
        """Find what the form asks for, from the first page."""
        self._pages = [None]
        self._find()

    def next_page(self) -> None:
        """The packets behind those that are listed."""
        if self.found is not None and self.found.next is not None:
            self._pages.append(self.found.next)
            self._find()

    def page_before(self) -> None:
        """The page that was shown before."""
        if len(self._pages) > 1:
            self._pages.pop()
            self._find()

    def open(self, identity: str) -> None:
        """Show a packet."""
        try:
            self.packet = get_packet(self._lab, identity)
        except StixlabError as error:
            self.packet, self.tree.value = None, _problem(error)
        else:
            self.tree.value = packet_html(self.packet)
        self._tell_link()

    def _begin(self, query: str) -> None:
        try:
            state = SearchState.from_query(query)
        except StixlabError as error:
            self.message.value = _problem(error)
            return
        for name, each in self.fields.items():
            each.value = state.given.get(name, "")
        self.order.value = state.given.get("order", _ORDERS[0])
        self._pages = [None, state.given["after"]] if "after" in state.given else [None]
        self._find()
        if "packet" in state.given:
            self.open(state.given["packet"])

    def _listen(self) -> None:
        self.search_button.on_click(lambda _: self.search())
        self.next_button.on_click(lambda _: self.next_page())
        self.back_button.on_click(lambda _: self.page_before())
        for each in self.fields.values():
            each.observe(lambda _: self.search(), names="value")
        self.order.observe(lambda _: self.search(), names="value")
        self.list.observe(self._chosen, names="value")

    def _chosen(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self.open(change["new"])

    def _find(self) -> None:
        self.list.options = []
        self.packet, self.tree.value = None, ""
        try:
            state = self.state
            # without any of these the search stops when the page is full: years of packets are not counted
            count = bool({"start", "file", "request"} & set(state.given))
            found = find_packets(self._lab, limit=PAGE, count=count, **state.conditions())
        except StixlabError as error:
            self.found, self.message.value = None, _problem(error)
        else:
            self.found = found
            self.message.value = _summary(found)
            # the empty first choice keeps the widget from opening a packet that nobody asked for
            self.list.options = [(_HEADING, ""), *((_line(row), row["id"]) for row in found.rows())]
        self.next_button.disabled = self.found is None or not self.found.more
        self.back_button.disabled = len(self._pages) == 1
        self._tell_link()

    def _tell_link(self) -> None:
        try:
            snippet = self.state.snippet()
        except StixlabError:
            snippet = ""
        if self.packet is not None:
            snippet += f"packet = lab.packet({json.dumps(self.packet.id)})\n"
        link = escape(self.state.query() or "?")
        self.link.value = (
            f"<details><summary>Link and Python</summary><p><code>{link}</code></p>"
            f"<pre>{escape(snippet)}</pre></details>"
        )


def packet_html(packet: PacketTree) -> str:
    """A packet as HTML that needs no kernel."""
    return render(
        "packet.html.j2",
        packet=packet,
        dump=hex_dump(packet.content),
        value_text=value_text,
        number_text=number_text,
        place_text=place_text,
    )


def _input(name: str) -> Any:
    label, hint = FIELDS[name]
    if name in _CHOICES:
        none = "each packet once" if name == "copies" else "any"
        return widgets.Dropdown(
            options=[(none, ""), *((c, c) for c in _CHOICES[name])],
            value="",
            description=label,
            layout=_wide("auto"),
        )
    return widgets.Text(description=label, placeholder=hint, continuous_update=False, layout=_wide("auto"))


def _wide(width: str) -> Any:
    return widgets.Layout(width=width)


_HEADING = (
    f"{'time (UTC)':<27} {'type':<14} {'SPID':>6} {'APID':>5} {'count':>6} {'bytes':>6} {'status':<10} title"
)


def _line(row: dict[str, Any]) -> str:
    kind = f"({row['service']},{row['subtype']}{',' + str(row['ssid']) if row['ssid'] >= 0 else ''})"
    simulated = "" if row["origin"] == ORIGINS[0] else f" [{row['origin']}]"
    return (
        f"{row['time'] or 'unknown':<27} {kind:<14} {row['spid']:>6} {row['apid']:>5} {row['sequence_count']:>6} "
        f"{row['length']:>6} {row['status']:<10} {row['title']}{simulated}"
    )


def _summary(found: PacketTable) -> str:
    if found.total is None:
        text = f"{len(found):,} packets{', and more behind them; give a time to count them' if found.more else ''}."
    else:
        text = f"{len(found):,} of {found.total:,} packets, from {found.n_files:,} files."
    if not len(found):
        text = "No packet meets all of this; take a condition away."
    if found.missing:
        text += f" Not searched, to be ingested again: {', '.join(found.missing[:5])}."
    return f"<p>{escape(text)}</p>"


def _problem(error: StixlabError) -> str:
    return f'<p role="alert" style="color:#a40000">{escape(error.message)}</p>'
