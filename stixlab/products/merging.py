"""Datasets of one product put together, cut at midnight, and known by their content."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import coverage, scet_key
from stixlab.errors import SchemaError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["content_sha256", "merge", "split_days", "time_arrays", "unique_order"]

_JOINED = (
    "idb_version",
    "clock",
    "dialect",
    "source_level",
    "source_files",
    "source_sha256",
    "software_version",
)
"""Attributes that name sources: of a merged dataset they name all."""
_WORST = ("clock_accuracy_s",)
"""Numbers of which the largest holds for all; none where one part does not know."""


def unique_order(
    arrays: Mapping[str, NDArray[Any]], trust: NDArray[np.intp] | None = None
) -> NDArray[np.intp] | None:
    """Rows in the order of time, each on-board time once.

    Parameters
    ----------
    arrays
        All arrays along time, the on-board time among them.
    trust : (time,), optional
        Of several rows at the same on-board time the one with the lowest number stays.

    Returns
    -------
    (m,) or None
        Rows that stay; None if all do, as they stand.

    Notes
    -----
    Where trust does not decide, the row whose values come first in lexical order stays: a choice by content
    alone, so that the result does not depend on the order or the grouping in which packets arrived.
    """
    key = scet_key(arrays)
    time = arrays["time"].astype("datetime64[ns]").view(np.int64)
    if (np.diff(key) > 0).all() and (np.diff(time) >= 0).all():
        return None
    ranks = np.zeros(len(key), dtype=np.intp) if trust is None else trust
    order = np.lexsort((ranks, key))
    repeated = key[order][1:] == key[order][:-1]
    if repeated.any():
        several = np.concatenate([repeated, [False]]) | np.concatenate([[False], repeated])
        rows = order[several]
        rows = rows[np.lexsort((_content_ranks(arrays, rows), ranks[rows], key[rows]))]
        first = np.concatenate([[True], key[rows][1:] != key[rows][:-1]])
        order = np.concatenate([order[~several], rows[first]])
    return np.asarray(order[np.lexsort((key[order], time[order]))], dtype=np.intp)


def _content_ranks(arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Place of some rows in the lexical order of their values, names in the order of the alphabet."""
    pieces = [_ordered_bytes(arrays[name][rows]).reshape(len(rows), -1) for name in sorted(arrays)]
    joined = np.concatenate(pieces, axis=1)
    # One long key a row: a row of a calibration run has hundreds of thousands of values.
    order = np.argsort(joined.view(f"V{joined.shape[1]}").ravel(), kind="stable")
    ranks = np.empty(len(rows), dtype=np.intp)
    ranks[order] = np.arange(len(rows))
    return ranks


def _ordered_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values as bytes that compare as the values do; NaN is above all numbers."""
    if values.dtype.kind in "mM":
        values = values.astype(f"{values.dtype.kind}8[ns]").view(np.int64)
    values = np.ascontiguousarray(values)
    if values.dtype.kind == "b":
        return values.view(np.uint8)
    n_bytes = values.dtype.itemsize
    bits = values.view(f"u{n_bytes}")
    sign = bits.dtype.type(1 << (8 * n_bytes - 1))
    if values.dtype.kind == "i":
        bits = bits ^ sign
    elif values.dtype.kind == "f":
        bits = np.where(bits & sign, ~bits, bits | sign)
    return np.ascontiguousarray(bits.astype(f">u{n_bytes}")).view(np.uint8)


def time_arrays(ds: xr.Dataset) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Arrays of a dataset that lie along time, and the others."""
    along: dict[str, NDArray[Any]] = {}
    others: dict[str, NDArray[Any]] = {}
    for name, variable in ds.variables.items():
        (along if "time" in variable.dims else others)[str(name)] = variable.to_numpy()
    return along, others


def merge(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """All bins of several datasets of the same product, in the order of time.

    Parameters
    ----------
    parts
        In the order of trust: where several have a bin at the same on-board time, the first of them gives it.

    Returns
    -------
    xarray.Dataset
        In memory. Attributes that name sources name those of all parts; others stay if all parts agree.

    Raises
    ------
    SchemaError
        If there is no part, or product, level, origin, variables or energies differ.
    """
    if not parts:
        raise SchemaError("merge: expected at least one dataset; found none")
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    _check_alike(parts)
    pieces = [time_arrays(p) for p in parts]
    along = {name: np.concatenate([p[0][name] for p in pieces]) for name in pieces[0][0]}
    trust = np.repeat(np.arange(len(parts)), [p.sizes["time"] for p in parts])
    order = unique_order(along, trust)
    if order is not None:
        along = {name: values[order] for name, values in along.items()}
    arrays = along | pieces[0][1]
    merged = {n: (v.dims, arrays[str(n)], v.attrs) for n, v in first.variables.items()}
    return type(first)(
        {n: v for n, v in merged.items() if n not in first.coords},
        {n: v for n, v in merged.items() if n in first.coords},
        _merged_attrs(parts) | coverage(arrays),
    )


def _check_alike(parts: Sequence[xr.Dataset]) -> None:
    first = parts[0]
    what = f"merge of {first.attrs.get('product')}"
    for number, part in enumerate(parts[1:], start=2):
        for key in ("product", "level", "origin"):
            if part.attrs.get(key) != first.attrs.get(key):
                raise SchemaError(
                    f"{what}: expected {key} {first.attrs.get(key)!r} in all parts; part {number} has"
                    f" {part.attrs.get(key)!r}; merge them apart"
                )
        if set(part.variables) != set(first.variables):
            apart = sorted(map(str, set(part.variables) ^ set(first.variables)))
            raise SchemaError(
                f"{what}: expected the same variables in all parts; part {number} differs in {apart}"
            )
        for name, axis in (("energy_bounds", "energies"), ("channel_bounds", "channels")):
            if name not in first.variables:
                continue
            ours, theirs = first[name].to_numpy(), part[name].to_numpy()
            if not np.array_equal(ours, theirs):
                kind, unit = name.replace("_", " "), first[name].attrs["units"]
                raise SchemaError(
                    f"{what}: expected the {kind} {_edges(ours)} {unit} in all parts; part {number} has"
                    f" {_edges(theirs)} {unit}; datasets of different {axis} stay apart"
                )


def _edges(bounds: NDArray[np.float64]) -> str:
    return " ".join(f"{e:g}" for e in (*bounds[:, 0], *bounds[-1:, 1]))


def _merged_attrs(parts: Sequence[xr.Dataset]) -> dict[str, Any]:
    attrs: dict[str, Any] = {}
    for key, value in parts[0].attrs.items():
        if key in _JOINED:
            separator = " " if key == "source_sha256" else ", "
            named = {n for p in parts for n in str(p.attrs.get(key, "")).split(separator) if n}
            attrs[str(key)] = separator.join(sorted(named))
        elif key in _WORST and all(key in p.attrs for p in parts):
            attrs[str(key)] = max(p.attrs[key] for p in parts)
        elif all(p.attrs.get(key) == value for p in parts[1:]):
            attrs[str(key)] = value
    for key in _JOINED:
        if key not in attrs:
            named = {str(p.attrs[key]) for p in parts if p.attrs.get(key)}
            if named:
                attrs[key] = ", ".join(sorted(named))
    return attrs


def split_days(ds: xr.Dataset) -> Iterator[tuple[np.datetime64, xr.Dataset]]:
    """Parts of a dataset by UTC day of the middle of the bin, so that ``ds.sel(time=day)`` gives the same.

    Parameters
    ----------
    ds
        In the order of time, as `make_level1` and `merge` leave it.

    Yields
    ------
    numpy.datetime64[D], xarray.Dataset
        Days without a bin are left out.
    """
    days = ds["time"].to_numpy().astype("datetime64[D]")
    changes = (np.flatnonzero(days[1:] != days[:-1]) + 1).tolist()
    edges: list[int] = [0, *changes, len(days)] if len(days) else []
    for start, stop in itertools.pairwise(edges):
        part = ds if stop - start == len(days) else ds.isel(time=slice(start, stop))
        yield days[start], part.assign_attrs(coverage({"time_bounds": part["time_bounds"].to_numpy()}))


def content_sha256(ds: xr.Dataset) -> str:
    """Hash of what a dataset holds: names, dims, types, units, values. Other attributes do not count."""
    digest = hashlib.sha256()
    for name in sorted(map(str, ds.variables)):
        variable = ds.variables[name]
        values = np.ascontiguousarray(variable.to_numpy())
        head = f"{name}|{variable.dims}|{values.dtype.str}|{values.shape}|{variable.attrs.get('units', '')};"
        digest.update(head.encode())
        digest.update(values.view(np.uint8).data if values.size else b"")
    return digest.hexdigest()
