"""Spans of time as one lazy dataset, however long: opened from the table of contents, read where asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive.contents import Contents, Form, Row, Variable, read_contents
from stixlab.archive.stored_arrays import Part, Stretch, read_part, read_times
from stixlab.archive.time_axis import TimeAxis, is_short, narrow
from stixlab.datasets.construction import coverage
from stixlab.errors import NotInCatalogError, SchemaError

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.archive.store import Archive

__all__ = ["has_data", "open_span"]


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
        Backed by dask, a block a day or a chunk. The times of a long span are backed by dask as well, and are read
        where something is selected; those of some weeks are read at once. Attributes are those that all
        datasets share; the coverage is that of the bins.

    Raises
    ------
    NotInCatalogError
        If there is nothing in the range.
    SchemaError
        If datasets of the range have other energies or other variables; the message says from when on.
    ArchiveError
        If something is damaged.
    """
    if contents is None:
        contents = read_contents(archive, level, product_type, origin)
    rows = _rows(contents, start, end)
    check_one_form(contents, [(r.day, r.form) for r in rows])
    root = archive.path("")
    whole = [Part(f"{root}/{r.key}", r.day, 0, r.n_times, r.n_times, r.chunk) for r in rows]
    parts = _cut(whole, start, end)
    if not parts:
        there = f"{contents.rows[0].day} to {contents.rows[-1].day}" if contents.rows else "none at all yet"
        raise NotInCatalogError(
            f"{product_type} {level} ({origin}): nothing from {start or 'the first'} to {end or 'the last'};"
            f" the archive has {there}"
        )
    ds = _dataset(contents.forms[rows[0].form], parts)
    names = dict.fromkeys(r.attrs for r in rows)
    return ds.assign_attrs(
        _shared([contents.attrs[n] for n in names]) | _coverage(contents.forms[rows[0].form], parts)
    )


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


def check_one_form(contents: Contents, used: Sequence[tuple[str, str]]) -> None:
    """Refuse datasets that cannot be put one behind the other.

    Parameters
    ----------
    contents
    used
        Day and form of each dataset, in the order of time.

    Raises
    ------
    SchemaError
        Naming what differs, and from which day on.
    """
    since: dict[str, str] = {}
    for day, form in used:
        since.setdefault(form, day)
    forms = iter(since.items())
    ours = contents.forms[next(forms, ("", ""))[0]] if since else Form({})
    for other, day in forms:
        theirs = contents.forms[other]
        for name in dict.fromkeys((*ours.variables, *theirs.variables)):
            a, b = ours.variables.get(name), theirs.variables.get(name)
            if a is None or b is None or a.shape != b.shape:
                raise SchemaError(
                    f"{contents.type}: expected {name} as before, {_told(a)}; from {day} on it is {_told(b)};"
                    " open the times before and after apart",
                    day=day,
                )


def _told(variable: Variable | None) -> str:
    if variable is None:
        return "not there"
    values = f", {variable.constant().tolist()}" if variable.values else ""
    return f"{variable.dtype} along {', '.join(variable.dims)}{values}"


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
