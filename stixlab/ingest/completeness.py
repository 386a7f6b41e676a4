"""Of the products of a day: whether they are complete, and from which files they were made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.model import Product, RawFile
from stixlab.products.completeness import Completeness, completeness_of_day
from stixlab.telemetry.sources import Kind

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["is_told_alike", "judge_day", "names_of_sources"]

_OFFICIAL = re.compile(
    r"solo_L1_stix-[a-z0-9-]+_[0-9]{8}_V(?P<version>[0-9]{2,4})(?P<status>U?)\.fits(\.gz)?", re.IGNORECASE
)
"""Name of a file of a whole day."""
_TOLD_SINCE = 2
"""From this version on the official archive puts a U behind the version of what is not complete."""
_IN_HEADERS = ("place", "code")
"""Inputs that headers depend on, beside the data."""


def judge_day(parts: Sequence[xr.Dataset], sources: Sequence[RawFile], day: np.datetime64) -> Completeness:
    """Whether a day of a product type is complete.

    Parameters
    ----------
    parts
        All that there is of it.
    sources
        Files it was made from.
    day
        UTC.

    Notes
    -----
    Products of others say by their names whether they are complete: a gap in one that is may be a time in which there
    was nothing to measure. As soon as telemetry has a part in the day, it is judged by what it covers.
    """
    if sources and all(f.kind == Kind.FITS for f in sources):
        told = [_OFFICIAL.fullmatch(name) for f in sources for name in sorted(f.names)]
        named = [m for m in told if m is not None]
        if any(int(m["version"]) >= _TOLD_SINCE and not m["status"] for m in named):
            return Completeness(complete=True)
        if len(sources) == 1 and named and named[0]["status"]:
            return Completeness(complete=False, why=f"{named[0][0]} says so by its name")
    return completeness_of_day(parts, day)


def names_of_sources(sources: Iterable[RawFile]) -> dict[str, list[str]]:
    """Names of the files that something was made from, for the header: of telemetry, and of products of others.

    A file that arrived under several names is told by the first in the order of the alphabet.
    """
    found: dict[str, list[str]] = {"raw_files": [], "parents": []}
    for each in sources:
        found["parents" if each.kind == Kind.FITS else "raw_files"] += sorted(each.names)[:1]
    return found


def is_told_alike(known: Product, product: Product) -> bool:
    """Whether the header of a product would say what it said, the data being the same.

    Parameters
    ----------
    known
        As it is catalogued.
    product
        As it is now.
    """

    def told(one: Product) -> tuple[Any, ...]:
        inputs = one.provenance.get("inputs", {})
        return (one.sources, one.complete, one.why, *(inputs.get(name) for name in _IN_HEADERS))

    return told(known) == told(product)
