"""What a run reads: the products and results in its range, each with the hash of its content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.model.flare import Flare
from stixlab.pipeline.declaration import FLARE_LIST, OTHER_NEEDS, PipelineSpec
from stixlab.pipeline.ranges import span_of
from stixlab.products.program import code_sha256
from stixlab.settings import read_settings
from stixlab.vocabulary import PRODUCT_TYPES

if TYPE_CHECKING:
    from stixlab.catalog.products import Content

__all__ = [
    "days_of",
    "find_inputs",
    "find_inputs_of_many",
    "find_sources",
    "flares_content",
    "flares_id",
    "have_data",
    "holds_data",
    "state_of",
]

_READ_LEVEL = "L1"
"""Level of measured products that pipelines read; products of context have one level only."""
_SENT = timedelta(days=1)
"""Packets are made this far from the data in them at most."""
_FIRST, _LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Nothing was measured before; nor later than this."""
_OVERHANG = timedelta(seconds=40)
"""A sample belongs to the range that its middle is in, so that a day may end half a sample (of at most 64 s) past midnight."""
_SAID = tuple(f.name for f in dataclasses.fields(Flare) if f.name not in ("run_id", "products"))
"""What a flare is, whoever found it."""


def find_inputs(catalog: Any, spec: PipelineSpec, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Content of what a run needs, in its range and the margin beside it.

    Parameters
    ----------
    catalog
        Stores of records.
    spec
        The pipeline.
    parameters
        Checked.

    Returns
    -------
    dict
        Id -> hash of the content; empty for a pipeline whose runs are of no range of time.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    return find_inputs_of_many(catalog, spec, [parameters])[0]


def find_inputs_of_many(
    catalog: Any, spec: PipelineSpec, runs: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """As `find_inputs`, for several runs of one pipeline and origin: the catalogue is asked once for all of them.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    if not spec.has_range or not spec.needs or not runs:
        return [{} for _ in runs]
    ranges = _ranges(runs, timedelta(seconds=spec.margin_s))
    origin = runs[0].get("origin") or None
    products = _products(catalog, spec, ranges, origin)
    inputs = [
        {p.product_id: p.content_sha256 for p in products if p.start < end and p.end > start}
        for start, end in ranges
    ]
    if FLARE_LIST in spec.needs:
        first, last = _reach(ranges)
        flares = catalog.flares.find(start=first, end=last, origin=origin)
        for each, (start, end) in zip(inputs, ranges, strict=True):
            each[flares_id(start, end, origin)] = flares_content(f for f in flares if start <= f.peak < end)
    for each, run in zip(inputs, runs, strict=True):
        each.update(find_sources(catalog, spec.needs, run))
    return inputs


def have_data(catalog: Any, spec: PipelineSpec, runs: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Whether the range of each run, without a margin, holds something that its pipeline cannot do without.

    Parameters
    ----------
    catalog
        Stores of records.
    spec
        The pipeline.
    runs
        Parameters of runs of one origin, checked.

    Returns
    -------
    list of bool
        True for a pipeline that needs neither products nor packets: a flare list may be empty, kernels are
        always there.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    types = _product_types(spec)
    if not spec.has_range or not runs or not (types or "packets" in spec.needs):
        return [True] * len(runs)
    ranges = _ranges(runs, timedelta())
    products = _products(catalog, spec, ranges, runs[0].get("origin") or None)
    return [
        any(holds_data(p.start, p.end, start, end) for p in products)
        or ("packets" in spec.needs and bool(find_sources(catalog, ("packets",), run)))
        for run, (start, end) in zip(runs, ranges, strict=True)
    ]


def holds_data(start: datetime, end: datetime, low: datetime, high: datetime) -> bool:
    """Whether a product has data of a range, and not only the end of a sample that belongs to the one beside it.

    Parameters
    ----------
    start, end
        Of the product, edges of its first and last sample.
    low, high
        The range.
    """
    least = min(_OVERHANG, (end - start) / 2)
    return start < high and end > low and end - low >= least and high - start >= least


def days_of(start: datetime, end: datetime) -> list[str]:
    """UTC days, ``YYYY-MM-DD``, of which a product has data.

    Parameters
    ----------
    start, end
        Of the product.
    """
    day = timedelta(days=1)
    first = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    count = max(0, math.ceil((end - first) / day))
    begins = [first + n * day for n in range(count)]
    return [f"{low:%Y-%m-%d}" for low in begins if holds_data(start, end, low, low + day)]


def _product_types(spec: PipelineSpec) -> list[str]:
    return [name for name in spec.needs if name not in (FLARE_LIST, *OTHER_NEEDS)]


def _ranges(runs: Sequence[Mapping[str, Any]], margin: timedelta) -> list[tuple[datetime, datetime]]:
    """Range of each run and the margin beside it; where it is open, all there is."""
    asked = [span_of(run) for run in runs]
    return [(_FIRST if s is None else s - margin, _LAST if e is None else e + margin) for s, e in asked]


def _reach(ranges: Sequence[tuple[datetime, datetime]]) -> tuple[datetime, datetime]:
    return min(start for start, _ in ranges), max(end for _, end in ranges)


def _products(
    catalog: Any, spec: PipelineSpec, ranges: Sequence[tuple[datetime, datetime]], origin: str | None
) -> list[Content]:
    """Products of the types that a pipeline reads, anywhere from the first range to the last."""
    types = _product_types(spec)
    first, last = _reach(ranges)
    found = catalog.products.contents(types, start=first, end=last, origin=origin) if types else []
    return [p for p in found if p.level == _READ_LEVEL or p.type not in PRODUCT_TYPES]


def find_sources(catalog: Any, needs: Sequence[str], parameters: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of what a run reads that is neither product nor result.

    Parameters
    ----------
    catalog
        Stores of records.
    needs
        Of the pipeline.
    parameters
        With ``start`` and ``end``; if they are empty the range is open. ``request`` narrows it down.

    Returns
    -------
    dict
        ``packets`` -> hash of the names of the raw files concerned and of the program that decodes them,
        if there are any; ``kernels`` -> hash of what tells the orbit and the clock. Those that are needed.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    found: dict[str, str] = {}
    if "packets" in needs:
        start, end = span_of(parameters)
        names = _packets(catalog, start, end, str(parameters.get("request", "")))
        found |= {"packets": _digest([*names, *_program()])} if names else {}
    if "kernels" in needs:
        found["kernels"] = _kernels(read_settings().spice)
    return found


def _packets(catalog: Any, start: datetime | None, end: datetime | None, request: str) -> list[str]:
    """Names of the raw files that may have packets of a range, or of a data request; none: no packets."""
    if request and start is None and end is None:
        one = catalog.requests.get(request)
        number = int(request) if request.isdigit() else -1
        records = [one] if one is not None else catalog.requests.find(request_id=number)
        return [f"{r.id} {r.content_sha256} {r.sources}" for r in records]
    low = None if start is None else start - _SENT
    high = None if end is None else end + _SENT
    files = catalog.raw_files.find(start=low, end=high, brief=True)
    return [f.sha256 for f in files]


def _program() -> list[str]:
    """What decides how packets are read, beside the packets."""
    settings = read_settings()
    return [code_sha256(), *(state_of(p) for p in (settings.spice, settings.idb) if p is not None)]


def _kernels(spice: Path | None) -> str:
    return _digest([code_sha256("ephemeris"), "" if spice is None else state_of(spice)])


def state_of(path: Path) -> str:
    """Hash of the files of a folder, or of those beside a file: names, sizes and ages, as kernels are large.

    Parameters
    ----------
    path
        Folder of kernels, meta-kernel, or definitions.
    """
    folder = path if path.is_dir() else path.parent
    found = [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    return _digest(f"{p.name} {(s := p.stat()).st_size} {s.st_mtime_ns}" for p in found)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def flares_id(start: datetime, end: datetime, origin: str | None) -> str:
    """Name of the flare list of a range among the inputs of a run."""
    times = "_".join(f"{t:%Y%m%dT%H%M%S}" for t in (start, end))
    return f"{FLARE_LIST}_{times}_{origin or 'any'}"


def flares_content(flares: Iterable[Flare]) -> str:
    """Hash of what a flare list says, whichever run found it.

    Parameters
    ----------
    flares
        In any order.
    """
    ordered = sorted(flares, key=lambda f: (f.peak, f.flare_id, f.origin))
    documents = [{name: getattr(f, name) for name in _SAID} for f in ordered]
    text = json.dumps(documents, sort_keys=True, default=_time)
    return hashlib.sha256(text.encode()).hexdigest()


def _time(value: Any) -> str:
    """A time in whole milliseconds, as the catalogue keeps it."""
    from stixlab.catalog.documents import truncate

    return truncate(value).isoformat()
