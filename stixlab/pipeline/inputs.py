"""What a run would read, as hashes: the same inputs make the same run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.pipeline.ranges import span_of
from stixlab.products.program import code_sha256
from stixlab.settings import read_settings
from stixlab.vocabulary import PRODUCT_TYPES

if TYPE_CHECKING:
    from stixlab.pipeline.spec import PipelineSpec

__all__ = ["INPUT_MARGIN", "find_inputs", "inputs_of_needs", "state_of"]

INPUT_MARGIN = timedelta(hours=1)
"""Products this near to the range of a run count as its inputs, since pipelines read a margin."""
_SENT = timedelta(days=1)
"""Packets are made this far from the data in them at most."""


def find_inputs(catalog: Any, spec: PipelineSpec, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Content of what is in the range of a run, of the types it needs; see `inputs_of_needs`."""
    names = {p.name for p in spec.parameters}
    return inputs_of_needs(catalog, spec.needs, parameters) if {"start", "end"} <= names else {}


def inputs_of_needs(catalog: Any, needs: Sequence[str], parameters: Mapping[str, Any]) -> dict[str, str]:
    """Content of what a run needs.

    Parameters
    ----------
    catalog
        Stores of records.
    needs
        Product types, ``packets`` and ``kernels``.
    parameters
        With ``start`` and ``end``; if they are empty the range is open. ``origin`` and ``request`` narrow it down.

    Returns
    -------
    dict
        Product id -> hash of its content; ``packets`` -> hash of the names of the raw files concerned and of the program
        that decodes them; ``kernels`` -> hash of what tells the orbit and the clock.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    start, end = span_of(parameters)
    origin = parameters.get("origin") or None
    low = None if start is None else start - INPUT_MARGIN
    high = None if end is None else end + INPUT_MARGIN
    found = {
        p.product_id: p.content_sha256
        for kind in needs
        if kind in PRODUCT_TYPES
        for p in catalog.products.find(type=kind, level="L1", origin=origin, start=low, end=high)
    }
    if "packets" in needs:
        found["packets"] = _packets(catalog, start, end, str(parameters.get("request", "")))
    if "kernels" in needs:
        found["kernels"] = _kernels(read_settings().spice)
    return found


def _packets(catalog: Any, start: datetime | None, end: datetime | None, request: str) -> str:
    """Hash of the names of the raw files that may have packets of a range, or of a data request."""
    if request and start is None and end is None:
        one = catalog.requests.get(request)
        number = int(request) if request.isdigit() else -1
        records = [one] if one is not None else catalog.requests.find(request_id=number)
        return _digest([*(f"{r.id} {r.content_sha256} {r.sources}" for r in records), *_program()])
    low = None if start is None else start - _SENT
    high = None if end is None else end + _SENT
    files = catalog.raw_files.find(start=low, end=high, brief=True)
    return _digest([*(f.sha256 for f in files), *_program()])


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
