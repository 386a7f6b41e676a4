"""Orbit, attitude and energy calibration by time: products that no packets lead to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.errors import NotInCatalogError, ParameterError
from stixlab.timing import ClockTable, to_datetime, to_datetime64

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.model import Product

__all__ = ["open_context"]

Time = str | datetime | np.datetime64


def open_context(
    catalog: Any, archive: Archive, clock: ClockTable, type: str, span: tuple[Time | None, Time | None]
) -> xr.Dataset:
    """Data of a product of context, lazily; see `stixlab.client.Lab.open`.

    Parameters
    ----------
    catalog, archive, clock
        Of this installation.
    type
        One of `stixlab.vocabulary.CONTEXT_TYPES`.
    span
        UTC, start and end; times in ``[start, end)``, of calibrations those whose run touches it. By default the last product.

    Raises
    ------
    NotInCatalogError
        If there is nothing in the range.
    ParameterError
        If the range ends before it starts.
    ArchiveError, FormatError
        If a file is missing or damaged.
    """
    import xarray as xr

    low, high = (None if t is None else to_datetime64(t) for t in span)
    if low is not None and high is not None and low >= high:
        raise ParameterError(f"time range: expected start before end; found {low} and {high}")
    if low is None and high is None:
        latest = catalog.products.latest(type=type)
        found = [] if latest is None else [latest]
    else:
        first, last = (None if t is None else to_datetime(t) for t in (low, high))
        found = catalog.products.find(
            type=type, start=first, end=None if last is None else last + timedelta.resolution
        )
    parts = [_open_one(archive, clock, p) for p in _once(found)]
    if type != "cal-energy":
        parts = [_within(ds, low, high) for ds in parts]
    parts = [ds for ds in parts if ds.sizes["time"]]
    if not parts:
        raise _nothing(catalog, type, low, high)
    if len(parts) == 1:
        return parts[0].chunk()
    whole = xr.concat(
        parts, dim="time", data_vars="minimal", coords="minimal", compat="override", join="override", combine_attrs="drop_conflicts"
    )  # fmt: skip
    return whole.sortby("time").chunk()


def _once(products: list[Product]) -> list[Product]:
    """Of a day that was imported and made here as well, what was imported."""
    imported = {_middle(p) for p in products if p.provenance.get("imported")}
    return [p for p in products if p.provenance.get("imported") or _middle(p) not in imported]


def _middle(product: Product) -> str:
    return f"{product.start + (product.end - product.start) / 2:%Y-%m-%d}"


def _open_one(archive: Archive, clock: ClockTable, product: Product) -> xr.Dataset:
    from stixlab.products.formats.fits_dialects import read_fits
    from stixlab.products.formats.zarr import open_zarr

    if product.zarr:
        return open_zarr(archive.path(product.zarr))
    return read_fits(archive.path(product.fits), clock).assign_attrs(product=product.type)


def _within(ds: xr.Dataset, low: np.datetime64 | None, high: np.datetime64 | None) -> xr.Dataset:
    times = ds["time"].to_numpy()
    first = 0 if low is None else int(np.searchsorted(times, low))
    last = len(times) if high is None else int(np.searchsorted(times, high))
    return ds.isel(time=slice(first, last))


def _nothing(
    catalog: Any, type: str, low: np.datetime64 | None, high: np.datetime64 | None
) -> NotInCatalogError:
    moment = low if low is not None else high
    near = None if moment is None else catalog.products.nearest(type=type, time=to_datetime(moment))
    there = (
        f"the nearest is {near.start:%Y-%m-%dT%H:%M:%S} to {near.end:%Y-%m-%dT%H:%M:%S}"
        if near is not None
        else "there is none yet; `stixlab import` takes files of others"
    )
    asked = " to ".join("any time" if t is None else str(np.datetime_as_string(t, "s")) for t in (low, high))
    return NotInCatalogError(f"{type}: nothing from {asked}; {there}", nearest=near)
