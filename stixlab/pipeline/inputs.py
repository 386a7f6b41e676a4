"""What a run reads: the products and results in its range, each with the hash of its content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from stixlab.model.flare import Flare
from stixlab.pipeline.declaration import FLARE_LIST, PipelineSpec
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = ["find_inputs", "find_inputs_of_many", "flares_content", "flares_id"]

_READ_LEVEL = "L1"
"""Level of measured products that pipelines read; products of context have one level only."""
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
    from stixlab.pipeline.outputs import range_of

    if not spec.has_range or not spec.needs or not runs:
        return [{} for _ in runs]
    margin = timedelta(seconds=spec.margin_s)
    ranges = [(start - margin, end + margin) for start, end in map(range_of, map(dict, runs))]
    first, last = min(start for start, _ in ranges), max(end for _, end in ranges)
    origin = runs[0].get("origin") or None
    types = [name for name in spec.needs if name != FLARE_LIST]
    found = catalog.products.contents(types, start=first, end=last, origin=origin) if types else []
    products = [p for p in found if p.level == _READ_LEVEL or p.type not in PRODUCT_TYPES]
    inputs = [
        {p.product_id: p.content_sha256 for p in products if p.start < end and p.end > start}
        for start, end in ranges
    ]
    if FLARE_LIST in spec.needs:
        flares = catalog.flares.find(start=first, end=last, origin=origin)
        for each, (start, end) in zip(inputs, ranges, strict=True):
            each[flares_id(start, end, origin)] = flares_content(f for f in flares if start <= f.peak < end)
    return inputs


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
