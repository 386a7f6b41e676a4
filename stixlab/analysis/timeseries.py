"""Datasets as sunpy time series: one column for each variable, and for each energy band or detector of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.datasets.energy_axis import ENERGY_SPANS, band_ranges
from stixlab.errors import ParameterError

if TYPE_CHECKING:
    import xarray as xr
    from sunpy.timeseries import GenericTimeSeries

__all__ = ["to_timeseries"]

_MOST_COLUMNS = 512
_META = (
    "product",
    "level",
    "origin",
    "software_version",
    "idb_version",
    "clock",
    "request_id",
    "title",
    ENERGY_SPANS,
)


def to_timeseries(ds: xr.Dataset, variables: str | Sequence[str] | None = None) -> GenericTimeSeries:
    """A dataset as a sunpy time series.

    Parameters
    ----------
    ds
        As `lab.open` gives it.
    variables
        Which of its variables: along time, or along time and one more dimension, which then gives a column each, named
        as ``counts_4-10keV`` or ``counts_detector7``; a band that lies elsewhere at some times as ``counts_energy4``,
        and ``meta["energy_spans"]`` says where when. By default all such variables.

    Returns
    -------
    sunpy.timeseries.GenericTimeSeries
        By the middle of the bins (UTC), with units, flags as 0 and 1; ``meta`` says what it is and whether it was simulated.

    Raises
    ------
    ParameterError
        If a variable is not there, does not lie along time, or has more dimensions: sum or select first.

    Examples
    --------
    >>> series = to_timeseries(lab.open("ql-lightcurve", "2020-05-06", "2020-05-07"), "counts")
    >>> series.columns
    ['counts_4-10keV', 'counts_10-15keV', 'counts_15-25keV', 'counts_25-50keV', 'counts_50-84keV']
    """
    import pandas as pd
    from astropy import units as u
    from sunpy.timeseries import GenericTimeSeries
    from sunpy.util import MetaDict

    columns: dict[str, Any] = {}
    units: dict[str, Any] = {}
    for name in _chosen(ds, variables):
        unit = u.Unit(str(ds[name].attrs.get("units", "")) or "1")
        for label, values in _columns(ds, name):
            # sunpy describes columns by their differences, of which booleans have none.
            columns[label] = values.astype(np.uint8) if values.dtype == bool else values
            units[label] = unit
    index = pd.DatetimeIndex(ds["time"].to_numpy(), name="time")
    meta = {"observatory": "Solar Orbiter", "instrument": "STIX", "timesys": "UTC"}
    meta |= {k: ds.attrs[k] for k in _META if ds.attrs.get(k) not in (None, "")}
    return GenericTimeSeries(pd.DataFrame(columns, index=index), MetaDict(meta), units)


def _chosen(ds: xr.Dataset, variables: str | Sequence[str] | None) -> list[str]:
    if variables is None:
        found = [str(n) for n, v in ds.data_vars.items() if v.dims[:1] == ("time",) and v.ndim <= 2]
        if not found:
            raise ParameterError(
                f"time series: expected variables along time and at most one more dimension; found none in"
                f" {ds.attrs.get('product', 'the dataset')}; sum or select first, such as ds.sum('detector')"
            )
        return found
    names = [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        if name not in ds.variables or name == "time":
            raise ParameterError(
                f"time series: expected variables of the dataset; found {name!r}; there are {_some(ds.data_vars)}"
            )
        if ds[name].dims[:1] != ("time",) or ds[name].ndim > 2:
            raise ParameterError(
                f"time series: expected {name} along time and at most one more dimension; found {', '.join(map(str, ds[name].dims))};"
                " sum or select first, such as ds.sum('detector')"
            )
    return names


def _columns(ds: xr.Dataset, name: str) -> Iterable[tuple[str, Any]]:
    """Name and values of each column of a variable."""
    values = ds[name].to_numpy()
    if values.ndim == 1:
        return [(name, values)]
    if values.shape[1] > _MOST_COLUMNS:
        raise ParameterError(
            f"time series: expected at most {_MOST_COLUMNS} columns of {name}; found {values.shape[1]}; select or sum first"
        )
    labels = _labels(ds, str(ds[name].dims[1]))
    return [(f"{name}_{label}", values[:, i]) for i, label in enumerate(labels)]


def _labels(ds: xr.Dataset, dim: str) -> list[str]:
    if dim == "energy" and "energy_bounds" in ds.variables:
        ranges = [[f"{low:g}-{high:g}keV" for low, high in band] for band in band_ranges(ds)]
        return [names[0] if len(names) == 1 else f"energy{i}" for i, names in enumerate(ranges)]
    numbers = ds[dim].to_numpy().tolist() if dim in ds.coords else range(ds.sizes[dim])
    return [f"{dim}{n}" for n in numbers]


def _some(names: Iterable[Any]) -> str:
    found = sorted(map(str, names))
    return ", ".join(found[:12]) + (" ..." if len(found) > 12 else "")
