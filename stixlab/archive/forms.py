"""Datasets of several forms in a span of time: which stretches have which form, and whether they can be joined."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.archive.contents import Form, Variable
from stixlab.archive.stored_arrays import Part, read_part, read_times
from stixlab.errors import SchemaError

if TYPE_CHECKING:
    import dask.array as da

__all__ = [
    "DataSpan",
    "bounds_along_time",
    "common_form",
    "describe",
    "find_spans",
    "in_order",
    "refuse_unlike",
]

_ENERGY_AXIS = ("energy", "energy_bounds")
"""What may differ between datasets that are joined: where the bands lie, not how many they are."""
_LISTED = 8


@dataclass(frozen=True)
class DataSpan:
    """A stretch of time whose datasets are of one form: `open` gives it as one dataset with one table of bands."""

    type: str
    origin: str
    start: np.datetime64
    """UTC, start of the first bin."""
    end: np.datetime64
    """UTC, end of the last bin."""
    n_times: int
    energies: tuple[tuple[float, float], ...]
    """Lower and upper bound of each band, keV; none without energies."""
    form: str
    """Id of the form: the same for stretches with the same variables and energies."""

    def __str__(self) -> str:
        times = " to ".join(str(np.datetime_as_string(t, unit="ms")) for t in (self.start, self.end))
        bands = ", ".join(f"{low:g}-{high:g}" for low, high in self.energies)
        return f"{times}: {len(self.energies)} bands, {bands} keV" if bands else times


def in_order(parts: Sequence[Part]) -> list[Part]:
    """The same bins in the order of time, where datasets of one day lie between each other.

    Parameters
    ----------
    parts
        In the order of days. The times are read of days that have several.

    Raises
    ------
    ArchiveError
        If a dataset is damaged.
    """
    found: list[Part] = []
    for _, each in groupby(parts, key=lambda p: p.day):
        day = list(each)
        found += day if len(day) == 1 else _interleaved(day)
    return found


def _interleaved(day: list[Part]) -> list[Part]:
    times = [read_times([p]) for p in day]
    order = np.argsort(np.concatenate(times), kind="stable")
    owner = np.repeat(np.arange(len(day)), [len(t) for t in times])[order]
    at = np.concatenate([np.arange(len(t)) for t in times])[order]
    edges = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(owner)]
    return [day[owner[a]].narrowed(int(at[a]), int(at[b - 1]) + 1) for a, b in pairwise(edges) if a < b]


def find_spans(
    forms: Mapping[str, Form], parts: Sequence[Part], form_of: Mapping[str, str], *, type: str, origin: str
) -> list[DataSpan]:
    """Stretches of time of one form each, one after the other.

    Parameters
    ----------
    forms
        By id.
    parts
        In the order of time.
    form_of
        Id of the form of each dataset, by its folder.
    type, origin
        Of the datasets.

    Raises
    ------
    ArchiveError
        If a dataset is damaged.
    """
    spans = []
    for name, each in groupby(parts, key=lambda p: form_of[p.folder]):
        run = list(each)
        form = forms[name]
        start, end = _limits(form, run)
        bounds = form.variables.get("energy_bounds")
        table = [] if bounds is None or "time" in bounds.dims else bounds.constant().tolist()
        energies = tuple((low, high) for low, high in table)
        spans.append(DataSpan(type, origin, start, end, sum(map(len, run)), energies, name))
    return spans


def _limits(form: Form, run: Sequence[Part]) -> tuple[np.datetime64, np.datetime64]:
    first, last = run[0].narrowed(0, 1), run[-1].narrowed(len(run[-1]) - 1, len(run[-1]))
    if "time_bounds" in form.variables:
        dtype = form.variables["time_bounds"].dtype
        return read_part(first, "time_bounds", dtype)[0, 0], read_part(last, "time_bounds", dtype)[0, 1]
    return read_times([first])[0], read_times([last])[0] + np.timedelta64(1, "ns")


def common_form(spans: Sequence[DataSpan]) -> str:
    """Id of the form that most bins have; of several the one that came last."""
    counts: Counter[str] = Counter()
    for span in spans:
        counts[span.form] += span.n_times
    latest = {span.form: number for number, span in enumerate(spans)}
    return max(counts, key=lambda form: (counts[form], latest[form]))


def refuse_unlike(forms: Mapping[str, Form], spans: Sequence[DataSpan]) -> None:
    """Refuse stretches that differ in more than where their energy bands lie.

    Raises
    ------
    SchemaError
        Naming what differs, and the ranges of time to be opened apart.
    """
    ours = forms[spans[0].form].variables
    for span in spans[1:]:
        theirs = forms[span.form].variables
        for name in dict.fromkeys((*ours, *theirs)):
            a, b = ours.get(name), theirs.get(name)
            if a is None or b is None or not _is_alike(name, a, b):
                raise SchemaError(
                    f"{span.type}: expected {name} as before, {_told(a)}; from {np.datetime_as_string(span.start, unit='ms')} on"
                    f" it is {_told(b)}; open these ranges apart: {describe(spans)}",
                    day=str(span.start.astype("datetime64[D]")),
                )


def _is_alike(name: str, a: Variable, b: Variable) -> bool:
    if name in _ENERGY_AXIS and "time" not in a.dims:
        return a.shape[:-1] == b.shape[:-1]
    return a.shape == b.shape


def _told(variable: Variable | None) -> str:
    if variable is None:
        return "not there"
    values = f", {variable.constant().tolist()}" if variable.values else ""
    return f"{variable.dtype} along {', '.join(variable.dims)}{values}"


def describe(spans: Sequence[DataSpan]) -> str:
    """Ranges of time and bands of stretches, the first of them if they are many."""
    more = f"; and {len(spans) - _LISTED} more, `lab.spans` lists them all" if len(spans) > _LISTED else ""
    return "; ".join(map(str, spans[:_LISTED])) + more


class _Repeated:
    """Gives dask the blocks of an array that is the same at all times of a dataset.

    Parameters
    ----------
    tables
        Value at each time, by the number of the form.
    which, lengths
        Number of the form, and bins, of each block.
    """

    def __init__(
        self, tables: Sequence[NDArray[Any]], which: tuple[int, ...], lengths: tuple[int, ...]
    ) -> None:
        self.tables = tables
        self.which = which
        self.lengths = lengths

    def __call__(self, block_id: tuple[int, ...]) -> NDArray[Any]:
        """Values of a block."""
        number = block_id[0]
        return np.repeat(self.tables[self.which[number]][None], self.lengths[number], axis=0)


def bounds_along_time(
    forms: Mapping[str, Form], parts: Sequence[Part], form_of: Mapping[str, str]
) -> da.Array:
    """(time, energy, bound) bounds of the bands at each time, keV; made where they are asked for.

    Parameters
    ----------
    forms, parts, form_of
        As of `find_spans`.
    """
    import dask.array as da

    blocks = [block for part in parts for block in part.blocks()]
    names = list(dict.fromkeys(form_of[b.folder] for b in blocks))
    tables = [forms[n].variables["energy_bounds"].constant() for n in names]
    which, lengths = tuple(names.index(form_of[b.folder]) for b in blocks), tuple(map(len, blocks))
    token = hashlib.sha256(repr((names, which, lengths)).encode()).hexdigest()[:24]
    return da.map_blocks(
        _Repeated(tables, which, lengths),
        chunks=(lengths, *((n,) for n in tables[0].shape)),
        dtype=tables[0].dtype,
        meta=np.empty((0, 0, 0), dtype=tables[0].dtype),
        name=f"energy_bounds-{token}",
    )
