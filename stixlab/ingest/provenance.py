"""What a product depends on, as hashes: equal inputs give equal data, and what differs says what to make again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.products.program import code_sha256
from stixlab.timing import ClockTable, to_datetime64

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.idb import Definitions, Versions
    from stixlab.ingest.headers import PlaceSources
    from stixlab.model import Product

__all__ = [
    "changed_inputs",
    "clock_digest",
    "describe",
    "inputs_of",
    "parts_by_energies",
]

_LATER = timedelta(days=1)
"""Packets are made this much after the data in them at most, for the definitions in force."""
_TOLD = ("software_version", "idb_version", "clock", "energy_channels", "known_faults", "time_bin_shift")


def inputs_of(
    start: datetime,
    end: datetime,
    *,
    data: Iterable[str],
    versions: Versions,
    clock: ClockTable,
    place: PlaceSources | None = None,
) -> dict[str, str]:
    """Hashes of all that decides about the data of a product and about its header.

    Parameters
    ----------
    start, end
        UTC of its data.
    data
        Hashes of what it is made from: raw files, or the packets of a data request.
    versions, clock
        Of which only what holds within the time of the product counts.
    place
        Sources of the place of the spacecraft around that time, which headers tell; None: left out.

    Returns
    -------
    dict
        ``data``, ``definitions``, ``clock``, ``code``; ``place`` where it is given.
    """
    low, high = (int(clock.to_scet(to_datetime64(t))[0]) for t in (start, end))
    sent = int(clock.to_scet(to_datetime64(end + _LATER))[0])
    found = {
        "data": _hash("\n".join(sorted(data))),
        "definitions": _definitions(versions, low, sent),
        "clock": clock_digest(clock, low, high + 1),
        "code": code_sha256(),
    }
    return found if place is None else found | {"place": place.digest()}


def changed_inputs(product: Product, inputs: Mapping[str, str]) -> list[str]:
    """Names of the inputs that are not what they were when a product was made; all if it does not tell."""
    before = product.provenance.get("inputs", {})
    return [name for name, value in inputs.items() if before.get(name) != value]


def describe(ds: xr.Dataset, inputs: Mapping[str, str]) -> dict[str, Any]:
    """What the record of a product says of where it comes from."""
    return {k: ds.attrs[k] for k in _TOLD if ds.attrs.get(k)} | {"inputs": dict(inputs)}


def parts_by_energies(parts: Iterable[xr.Dataset]) -> list[list[xr.Dataset]]:
    """Datasets grouped by their energies or channels, groups in the order of their first time."""
    groups: dict[bytes, list[xr.Dataset]] = {}
    for ds in parts:
        axes = [ds[n].to_numpy().tobytes() for n in ("energy_bounds", "channel_bounds") if n in ds.variables]
        groups.setdefault(b"".join(axes), []).append(ds)
    return sorted(groups.values(), key=lambda g: min(d["time_bounds"].to_numpy().min() for d in g))


def clock_digest(clock: ClockTable, low: int, high: int) -> str:
    """Hash of the pieces of a clock that hold from one on-board second to another."""
    first, last = (np.searchsorted(clock.ticks, [low << 16, high << 16], side="right") - 1).tolist()
    chosen = slice(max(first, 0), last + 1)
    pieces = (clock.ticks[chosen], clock.tt_ns[chosen], clock.rate[chosen])
    return _hash(b"".join(np.ascontiguousarray(p).tobytes() for p in pieces))


def _definitions(versions: Versions, low: int, high: int) -> str:
    """Hash of the definitions in force from one on-board second to another."""
    first, last = versions.eras_at(np.array([low, high])).tolist()
    return _hash("\n".join(sorted({_of_definitions(versions[era]) for era in range(first, last + 1)})))


_KNOWN: dict[int, tuple[Definitions, str]] = {}
"""Hashes of definitions that this process has looked at, by their identity in memory."""


def _of_definitions(definitions: Definitions) -> str:
    """Hash of all that definitions say about packets and calibration."""
    known = _KNOWN.get(id(definitions))
    if known is not None and known[0] is definitions:
        return known[1]
    pairs = {name: [a.tolist() for a in arrays] for name, arrays in definitions.point_pairs.items()}
    tables = (definitions.structures, definitions.parameters, definitions.polynomials, definitions.states)
    found = _hash(f"{definitions.version}\n{pairs}\n" + "\n".join(map(repr, tables)))
    _KNOWN[id(definitions)] = (definitions, found)
    return found


def _hash(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:16]
