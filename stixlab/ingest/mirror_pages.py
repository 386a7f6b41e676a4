"""Index pages of public archives: the links of a folder, and which of them are asked for.

Pages of Apache, of Python's own server and of our HTTP service are read alike: what counts is the links.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np

from stixlab.errors import ParameterError
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = ["Entry", "Selection", "read_index_page"]

_MAX_NAME_BYTES = 200
_LEVEL = re.compile(r"(L\d[A-Z]?|LL\d\d|ANC|CAL)")
_OTHER_TYPES = ("cal-energy", "ql-calibration-spectrum", "asp-ephemeris", "aux-ephemeris")
"""Types by the names that only public archives give them."""
_ALSO_NAMED = {"cal-spectra": ("cal-energy", "ql-calibration-spectrum")}
_ENDS_ROW = {"tr", "table", "pre", "li", "ul", "hr", "body"}


@dataclass(frozen=True)
class Entry:
    """A link of an index page to something directly below it."""

    name: str
    """Without a slash; safe as the name of a file."""
    is_folder: bool
    row: str
    """What the page says beside the link (date, size), to see by it whether something changed; may be empty."""


class _Page(HTMLParser):
    """Links with the text that follows each in its row."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[tuple[str, list[str]]] = []
        self._within_link = self._within_row = self._within_pre = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            href = dict(attrs).get("href")
            if href is not None:
                self.links.append((href, []))
            self._within_link, self._within_row = True, href is not None
        elif tag in _ENDS_ROW:
            self._within_row = False
        self._within_pre |= tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._within_link = False
        elif tag in _ENDS_ROW:
            self._within_row = False
        self._within_pre &= tag != "pre"

    def handle_data(self, data: str) -> None:
        if self._within_row and not self._within_link and self.links:
            text, newline, _ = data.partition("\n") if self._within_pre else (data, "", "")
            self.links[-1][1].append(text)
            self._within_row = not newline


def read_index_page(text: str, url: str) -> tuple[list[Entry], list[str]]:
    """What lies directly below a folder, by its index page.

    Parameters
    ----------
    text
        HTML.
    url
        Address of the page, with a slash at its end.

    Returns
    -------
    list of Entry
        Folders and files in the order of their names, each once. Links to elsewhere (the parent, other trees, other
        hosts, orders of the table) are no entries.
    list of str
        Names below the folder that cannot be taken as names of files.
    """
    page = _Page()
    page.feed(text)
    page.close()
    entries: dict[tuple[str, bool], Entry] = {}
    refused = []
    for href, words in page.links:
        name = _child(href, url)
        if name is None:
            continue
        plain = name.removesuffix("/")
        if not _is_safe(plain):
            refused.append(plain)
            continue
        row = " ".join(" ".join(words).split())
        entry = Entry(plain, name.endswith("/"), row if any(c.isdigit() for c in row) else "")
        entries.setdefault((plain, entry.is_folder), entry)
    both = {name for name, is_folder in entries if is_folder}
    kept = [e for e in entries.values() if e.is_folder or e.name not in both]
    return sorted(kept, key=lambda e: e.name), refused


def _child(href: str, url: str) -> str | None:
    """What follows the folder's own address in a link, decoded; None for a link to elsewhere."""
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, href.strip()))
    except ValueError:
        return None
    if (there.scheme, there.netloc) != (here.scheme, here.netloc) or there.query or there.fragment:
        return None
    if not there.path.startswith(here.path) or there.path == here.path:
        return None
    rest = there.path[len(here.path) :]
    if "/" in rest.removesuffix("/"):
        return None
    return unquote(rest.removesuffix("/"), errors="replace") + ("/" if rest.endswith("/") else "")


def _is_safe(name: str) -> bool:
    return (
        bool(name)
        and not name.startswith(".")
        and not {"/", "\\", "\0", "\N{REPLACEMENT CHARACTER}"} & set(name)
        and name.isprintable()
        and len(name.encode()) <= _MAX_NAME_BYTES
    )


@dataclass(frozen=True)
class Selection:
    """What is asked for of an archive laid out as LEVEL/YYYY/MM/DD/KIND/file; other layouts are taken whole."""

    levels: tuple[str, ...] = ()
    """Such as ``L1``; all if empty."""
    types: tuple[str, ...] = ()
    """Product types such as ``ql-lightcurve``; all if empty."""
    start: np.datetime64 | None = None
    """UTC; days before are left out."""
    end: np.datetime64 | None = None
    """UTC; days from then on are left out."""

    def __post_init__(self) -> None:
        known = (*PRODUCT_TYPES, *_OTHER_TYPES)
        for name in self.types:
            if name not in known:
                raise ParameterError(f"type: expected one of {', '.join(known)}; found {name!r}")
        for level in self.levels:
            if not _LEVEL.fullmatch(level):
                raise ParameterError(f"level: expected one such as L0, L1, L2, ANC or CAL; found {level!r}")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ParameterError(f"time range: expected start before end; found {self.start} and {self.end}")

    def takes_folder(self, parts: tuple[str, ...]) -> bool:
        """Whether a folder can hold what is asked for.

        Parameters
        ----------
        parts
            Names from the root of the host down to it.
        """
        place = next((n for n, part in enumerate(parts) if _LEVEL.fullmatch(part)), None)
        if place is None:
            return True
        if self.levels and parts[place] not in self.levels:
            return False
        days = _span(parts[place + 1 : place + 4])
        if days is None:
            return True
        early = self.start is not None and days[1] <= self.start
        late = self.end is not None and days[0] >= self.end
        return not early and not late

    def takes_file(self, name: str) -> bool:
        """Whether a file is asked for, by its name (``solo_LEVEL_stix-TYPE_...``)."""
        fields = name.split("_")
        if not self.types:
            return True
        found = fields[2].lower().removeprefix("stix-") if len(fields) > 2 else ""
        names = [name for t in self.types for name in (t, *_ALSO_NAMED.get(t, ()))]
        # Some official names say the family twice: stix-ql-ql-tmstatusflarelist.
        return any(found in (name, f"{name.split('-', 1)[0]}-{name}") for name in names)


def _span(parts: tuple[str, ...]) -> tuple[np.datetime64, np.datetime64] | None:
    """Days of a folder by the year, month and day in its path, as far as they are given."""
    digits = []
    for part, length in zip(parts, (4, 2, 2), strict=False):
        if not re.fullmatch(rf"\d{{{length}}}", part, re.ASCII):
            break
        digits.append(part)
    if not digits:
        return None
    try:
        first = np.datetime64("-".join(digits))
    except ValueError:
        return None
    return first.astype("datetime64[ns]"), (first + 1).astype("datetime64[ns]")
