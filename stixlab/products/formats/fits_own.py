"""FITS files that we wrote: the declaration of a dataset, read backwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.instrument.detectors import mask_word
from stixlab.instrument.energy_channels import band_centres
from stixlab.products.counts import total_error
from stixlab.products.formats.fits_bins import bin_times, on_board, read_date, scet_of_bins
from stixlab.products.formats.fits_layout import (
    FITS_UNITS,
    MASK_BITS,
    REQUEST_KEYWORDS,
    control_columns,
    is_request,
)
from stixlab.products.formats.fits_supplement import as_declared, read_axes, read_supplement
from stixlab.products.formats.fits_table import FitsFile, FitsTable
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

__all__ = ["read_own", "request_attrs"]

_Arrays = dict[str, NDArray[Any]]


def read_own(spec: DatasetSpec, file: FitsFile, clock: ClockTable) -> _Arrays:
    """Arrays of a dataset by variable.

    Parameters
    ----------
    spec
        Of the product.
    file
    clock
        Only for the times of places in a list of flares that hold none.

    Raises
    ------
    FormatError
        Naming the table, column or keyword that is missing or does not fit.
    """
    data = file.data
    axes = read_axes(spec, file) | _energies(spec, file)
    shape = {d: len(axes[f.name]) for f in spec.fields if f.name in axes for d in f.dims[:1]} | {"bound": 2}
    row = _rows(file)
    begin = read_date(str(file.header.get("DATE-BEG", "")), file.name)
    time, bounds, _ = bin_times(data, begin)
    arrays: _Arrays = {"time": time, "time_bounds": bounds}
    by_flare = "flare" in shape
    if by_flare:
        shape = shape | {"flare": 1}
    for field in spec.fields:
        if field.fits_name:
            arrays[field.name] = _column(data, field, len(row), shape)
    arrays |= read_supplement(spec, file, shape)
    arrays |= _settings(spec, file.control, row)
    if not is_request(spec.product):
        arrays |= _on_board(spec, file.control, row, bounds)
    for total in ("counts", "flux"):
        if f"{total}_compression_error" in arrays:
            arrays[f"{total}_error"] = total_error(arrays[total], arrays[f"{total}_compression_error"])
    return (_folded(spec, arrays, row, len(axes["flare"]), clock) if by_flare else arrays) | axes


def _rows(file: FitsFile) -> NDArray[np.int64]:
    row = file.data["control_index"].reshape(-1).astype(np.int64)
    n = len(file.control)
    if len(row) and not (row.min() >= 0 and row.max() < n):
        raise FormatError(
            f"{file.name}: expected DATA.control_index from 0 to {n - 1}; found {row.min()} to {row.max()}"
        )
    return row


def _column(data: FitsTable, field: Field, n_rows: int, shape: Mapping[str, int]) -> NDArray[Any]:
    values = data[field.fits_name]
    if field.name in MASK_BITS:
        words = mask_word(values)
        # Where pixels are summed there is a row of pixels for each sum.
        return np.asarray(np.bitwise_or.reduce(words, axis=1) if words.ndim > 1 else words).astype(
            field.dtype
        )
    _, offset = FITS_UNITS.get(field.units, ("", 0.0))
    return as_declared(values - offset if offset else values, field, n_rows, shape)


def _settings(spec: DatasetSpec, control: FitsTable, row: NDArray[np.int64]) -> _Arrays:
    return {c.field: c.from_rows(control[c.column], spec[c.field].dtype)[row] for c in control_columns(spec)}


def _on_board(
    spec: DatasetSpec,
    control: FitsTable,
    row: NDArray[np.int64],
    bounds: NDArray[np.datetime64],
) -> _Arrays:
    """On-board time of each row, and the length of bins."""
    if "integration_time" not in {f.name for f in spec.fields}:
        return {
            "scet_coarse": control["scet_coarse"].astype(np.uint32)[row],
            "scet_fine": control["scet_fine"].astype(np.uint16)[row],
        }
    tenths = np.round((bounds[:, 1] - bounds[:, 0]).astype(np.int64) / 1e8).astype(np.int64)
    ticks = scet_of_bins(control, row, bounds[:, 0], tenths, clock=None)
    return {
        "integration_time": (tenths / 10).astype(np.float32),
        **on_board(ticks),
    }


def _energies(spec: DatasetSpec, file: FitsFile) -> _Arrays:
    """The energy axis; of a mask of channels the band from the lowest to the highest."""
    declared = {f.name for f in spec.fields}
    if "energy_bounds" not in declared:
        return {}
    energies = file.table("ENERGIES")
    bounds = np.column_stack([energies["e_low"], energies["e_high"]]).astype(np.float64)
    if "energy_mask" in declared:
        channels = np.flatnonzero(file.control["energy_bin_mask"].any(axis=0))
        if not len(channels) or channels[-1] >= len(bounds):
            raise FormatError(
                f"{file.name}: expected channels in CONTROL.energy_bin_mask; found none of those in ENERGIES"
            )
        bounds = np.array([[bounds[channels[0], 0], bounds[channels[-1], 1]]])
    return {"energy": band_centres(bounds), "energy_bounds": bounds}


def _folded(
    spec: DatasetSpec, arrays: _Arrays, row: NDArray[np.int64], n_places: int, clock: ClockTable
) -> _Arrays:
    """Rows of flares as lists, one for each time; places without a flare are 0."""
    times, first = np.unique(row, return_index=True)
    index = np.searchsorted(times, row)
    place = np.arange(len(row)) - first[index]
    folded: _Arrays = {}
    for field in spec.fields:
        values = arrays.get(field.name)
        if values is None:
            continue
        if "flare" not in field.dims:
            folded[field.name] = values[first]
            continue
        found = np.zeros((len(times), n_places), dtype=field.dtype)
        if field.dtype.startswith("datetime64"):
            found[:] = np.asarray(clock.to_utc(np.zeros(1, dtype=np.uint32)), dtype=field.dtype)
        found[index, place] = values.reshape(len(row))
        folded[field.name] = found
    return folded


def request_attrs(header: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a request that stand in the header of a file that we wrote."""
    found = {k.attribute: header[k.keyword] for k in REQUEST_KEYWORDS if k.keyword in header}
    return found | {"complete": int(bool(header.get("COMPLETE", True)))}
