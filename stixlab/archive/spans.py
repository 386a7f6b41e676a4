"""Spans of time as one lazy dataset, however long: opened from the table of contents, read where asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive.contents import Contents, Form, Row, Variable, read_contents
from stixlab.archive.forms import (
    DataSpan,
    bounds_along_time,
    common_form,
    describe,
    find_spans,
    in_order,
    refuse_unlike,
)
from stixlab.archive.stored_arrays import Part, Stretch, read_part, read_times
from stixlab.archive.time_axis import TimeAxis, is_short, narrow
from stixlab.datasets.construction import coverage
from stixlab.datasets.energy_axis import ENERGY_SPANS
from stixlab.errors import NotInCatalogError

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.archive.store import Archive

__all__ = ["has_data", "list_spans", "open_span"]


def open_span(
    archive: Archive,
    product_type: str,
    start: np.datetime64 | None = None,
    end: np.datetime64 | None = None,
    *,
    level: str = "L1",
    origin: str = "flight",
    contents: Contents | None = None,
) -> xr.Dataset:
    """All bins whose middle lies in ``[start, end)``, lazily.

    Parameters
    ----------
    archive
    product_type, level, origin
        Which of the archive's tables of contents.
    start, end
        UTC. Open where None.
    contents
        The table of contents; None: that of the archive.

    Returns
    -------
    xarray.Dataset
        Backed by dask, a block a day or a chunk. If only the bounds of the energy bands change within the range,
        ``energy_bounds (time, energy, bound)`` has those of each time, ``energy`` the bands that most bins have, and
        the attribute ``energy_spans`` says which times have which. The times of a long span are backed by dask as well, and are read
        where something is selected; those of some weeks are read at once. Attributes are those that all
        datasets share; the coverage is that of the bins.

    Raises
    ------
    NotInCatalogError
        If there is nothing in the range.
    SchemaError
        If datasets of the range have another number of energies or other variables; the message names the ranges of
        time to be opened apart.
    ArchiveError
        If something is damaged.
    """
    if contents is None:
        contents = read_contents(archive, level, product_type, origin)
    parts, form_of = _parts(archive, contents, start, end)
    if not parts:
        raise _nothing(contents, start, end)
    used = {form_of[p.folder] for p in parts}
    if len(used) == 1:
        form = contents.forms[next(iter(used))]
        ds = _dataset(form, parts)
    else:
        form, ds = _joined(contents, parts, form_of)
    names = dict.fromkeys(r.attrs for r in _rows(contents, start, end) if r.form in used)
    return ds.assign_attrs(_shared([contents.attrs[n] for n in names]) | ds.attrs | _coverage(form, parts))


def list_spans(
    archive: Archive,
    contents: Contents,
    start: np.datetime64 | None = None,
    end: np.datetime64 | None = None,
) -> list[DataSpan]:
    """Stretches of time within ``[start, end)`` that have the same energies and variables, earliest first.

    Raises
    ------
    ArchiveError
        If something is damaged.
    """
    parts, form_of = _parts(archive, contents, start, end)
    return find_spans(contents.forms, parts, form_of, type=contents.type, origin=contents.origin)


def _parts(
    archive: Archive, contents: Contents, start: np.datetime64 | None, end: np.datetime64 | None
) -> tuple[list[Part], dict[str, str]]:
    """The bins of a range in the order of time, and the form of each dataset by its folder."""
    root = archive.path("")
    rows = _rows(contents, start, end)
    whole = [Part(f"{root}/{r.key}", r.day, 0, r.n_times, r.n_times, r.chunk) for r in rows]
    form_of = {p.folder: r.form for p, r in zip(whole, rows, strict=True)}
    if len(set(form_of.values())) > 1:
        whole = in_order(whole)
    return _cut(whole, start, end), form_of


def _nothing(contents: Contents, start: np.datetime64 | None, end: np.datetime64 | None) -> NotInCatalogError:
    there = f"{contents.rows[0].day} to {contents.rows[-1].day}" if contents.rows else "none at all yet"
    return NotInCatalogError(
        f"{contents.type} {contents.level} ({contents.origin}): nothing from {start or 'the first'} to"
        f" {end or 'the last'}; the archive has {there}"
    )


def _joined(contents: Contents, parts: list[Part], form_of: Mapping[str, str]) -> tuple[Form, xr.Dataset]:
    """Bins whose energy bands lie elsewhere at some times, with their bounds along time."""
    import xarray as xr

    spans = find_spans(contents.forms, parts, form_of, type=contents.type, origin=contents.origin)
    refuse_unlike(contents.forms, spans)
    form = contents.forms[common_form(spans)]
    bounds = form.variables["energy_bounds"]
    along = xr.Variable(
        ("time", *bounds.dims), bounds_along_time(contents.forms, parts, form_of), bounds.decoded_attrs()
    )
    ds = _dataset(form, parts).assign_coords(energy_bounds=along)
    return form, ds.assign_attrs({ENERGY_SPANS: describe(spans)})


def has_data(
    contents: Contents, start: np.datetime64 | None = None, end: np.datetime64 | None = None
) -> bool:
    """Whether there may be bins in ``[start, end)``: there is a dataset of one of its days."""
    return bool(_rows(contents, start, end))


def _rows(contents: Contents, start: np.datetime64 | None, end: np.datetime64 | None) -> list[Row]:
    first = "" if start is None else _day(start)
    # A span that ends at midnight has nothing of that day.
    last = "9999" if end is None else _day(end.astype("datetime64[ns]") - np.timedelta64(1, "ns"))
    return [r for r in contents.within(first, last) if r.n_times]


def _day(time: np.datetime64) -> str:
    return str(time.astype("datetime64[D]"))


def _cut(parts: list[Part], start: np.datetime64 | None, end: np.datetime64 | None) -> list[Part]:
    """Only the bins within ``[start, end)``; times are read of the first and the last day, if it is cut."""
    found = []
    for part in parts:
        low, high = 0, len(part)
        midnight = np.datetime64(part.day, "ns")
        if start is not None and start > midnight:
            low = int(np.searchsorted(read_times([part]), start))
        if end is not None and end < midnight + np.timedelta64(1, "D"):
            high = int(np.searchsorted(read_times([part]), end))
        found += narrow([part], low, high)
    return found


def _dataset(form: Form, parts: list[Part]) -> xr.Dataset:
    import xarray as xr

    stretch = Stretch(parts)
    arrays = {n: _array(n, v, stretch) for n, v in form.variables.items() if n != "time"}
    coords = {n: v for n, v in arrays.items() if form.variables[n].coordinate}
    ds = xr.Dataset({n: v for n, v in arrays.items() if n not in coords}, coords)
    if is_short(parts):
        attrs = form.variables["time"].decoded_attrs()
        return ds.assign_coords(time=xr.Variable("time", read_times(parts), attrs))
    time = _array("time", form.variables["time"], stretch)
    axis = xr.Coordinates({"time": time}, indexes={"time": TimeAxis(parts)})
    return ds.assign_coords(axis)


def _array(name: str, variable: Variable, stretch: Stretch) -> xr.Variable:
    import xarray as xr

    attrs = variable.decoded_attrs()
    if "time" not in variable.dims:
        return xr.Variable(variable.dims, variable.constant(), attrs)
    return xr.Variable(variable.dims, stretch.array(name, variable.dtype, variable.sizes[1:]), attrs)


def _shared(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {k: v for k, v in found[0].items() if all(f.get(k) == v for f in found[1:])}


def _coverage(form: Form, parts: Sequence[Part]) -> dict[str, str]:
    """Start of the first and end of the last bin."""
    if "time_bounds" not in form.variables:
        return {}
    # Read directly: two bins are no work for the threads of dask, which cost more than the reading.
    edges = [parts[0].narrowed(0, 1), parts[-1].narrowed(len(parts[-1]) - 1, len(parts[-1]))]
    bounds = [read_part(p, "time_bounds", form.variables["time_bounds"].dtype) for p in edges]
    return coverage({"time_bounds": np.concatenate(bounds)})
