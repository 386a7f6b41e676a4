"""Data by product type and time, or by data request, lazily."""

from __future__ import annotations

import re
import warnings
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.archive.contents import Contents, list_products, read_contents
from stixlab.archive.layout import contents_key
from stixlab.datasets.energy_axis import ENERGY_SPANS
from stixlab.errors import NotInCatalogError, ParameterError, SchemaError
from stixlab.model import Product, ScienceRequest
from stixlab.timing import to_datetime, to_datetime64
from stixlab.vocabulary import CONTEXT_TYPES, ORIGINS, known_type, product_type

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.archive.forms import DataSpan

__all__ = [
    "check_origin",
    "find_records",
    "list_spans",
    "nothing_there",
    "open_request",
    "open_times",
    "read_span",
]

Time = str | datetime | np.datetime64
"""A time in UTC: ISO text, datetime (without zone: UTC), or numpy."""
_DAY = np.timedelta64(1, "D")
_NUMBERS = re.compile(r"(?P<request>[0-9]{1,10})(-(?P<tc>[0-9]{1,5}))?")
_LISTED = 8


def check_origin(origin: str | None) -> None:
    """Refuse what is no origin.

    Raises
    ------
    SchemaError
        Naming those there are.
    """
    if origin is not None and origin not in ORIGINS:
        raise SchemaError(f"origin: expected one of {', '.join(ORIGINS)}; found {origin!r}")


def open_times(
    catalog: Any,
    archive: Archive,
    type: str,
    start: Time | None,
    end: Time | None,
    *,
    origin: str | None,
) -> xr.Dataset:
    """Level 1 data of a time range; see `stixlab.client.Lab.open`."""
    from stixlab.archive.spans import has_data, open_span  # with pandas, which many a client never needs

    check_origin(origin)
    low, high = read_span(catalog, type, start, end, origin)
    if known_type(type).group == "SCI":
        return _open_between(catalog, archive, type, (low, high), origin)
    level = "ANC" if type in CONTEXT_TYPES else "L1"
    wanted = [origin] if origin is not None else list(ORIGINS)
    tables = _tables(catalog, archive, [(level, type, o) for o in wanted], (low, high))
    there = [o for o in wanted if has_data(tables[o], low, high)]
    for number, chosen in enumerate(there):
        try:
            ds = open_span(archive, type, low, high, level=level, origin=chosen, contents=tables[chosen])
        except NotInCatalogError:  # there are datasets of the day, but no bins in the range
            continue
        _tell_others(there[number + 1 :], stack=5)
        if told := ds.attrs.get(ENERGY_SPANS):
            warnings.warn(
                f"{type}: the energy bands change in the range: energy_bounds lie along time, energy has the bands of most"
                f" bins; {told}",
                stacklevel=4,
            )
        return ds
    raise nothing_there(catalog, type, low, high, origin)


def list_spans(
    catalog: Any, archive: Archive, type: str, start: Time | None, end: Time | None, *, origin: str | None
) -> list[DataSpan]:
    """Stretches of time with the same energies and variables; see `stixlab.client.Lab.spans`."""
    from stixlab.archive.spans import list_spans as spans_of

    check_origin(origin)
    if known_type(type).group == "SCI" or type in CONTEXT_TYPES:
        raise ParameterError(
            f"spans: expected quicklook or housekeeping data, which are opened by time; found {type};"
            f" `lab.{'products' if type in CONTEXT_TYPES else 'requests'}(type={type!r})` lists what there is of it"
        )
    low, high = (None if t is None else to_datetime64(t) for t in (start, end))
    if low is not None and high is not None and low >= high:
        raise ParameterError(f"time range: expected start before end; found {low} and {high}")
    wanted = [origin] if origin is not None else list(ORIGINS)
    tables = _tables(catalog, archive, [("L1", type, o) for o in wanted], (low, high))
    found = (spans_of(archive, tables[o], low, high) for o in wanted)
    return next((spans for spans in found if spans), [])


def _tables(
    catalog: Any,
    archive: Archive,
    wanted: list[tuple[str, str, str]],
    span: tuple[np.datetime64 | None, np.datetime64 | None],
) -> dict[str, Contents]:
    """Tables of contents by origin.

    Where none at all is written yet, those of the products which the catalogue has of the span. Otherwise an origin
    without one has nothing: the database need not be asked.
    """
    written = [which for which in wanted if archive.path(contents_key(*which)).exists()]
    if written:
        return {which[2]: read_contents(archive, *which) for which in wanted}
    return {which[2]: _table(catalog, archive, which, span) for which in wanted}


def _table(
    catalog: Any,
    archive: Archive,
    which: tuple[str, str, str],
    span: tuple[np.datetime64 | None, np.datetime64 | None],
) -> Contents:
    table = dict(zip(("level", "type", "origin"), which, strict=True))
    start, end = (None if t is None else to_datetime(t) for t in span)
    found = catalog.products.find(**table, start=start, end=end)
    return list_products(archive, found, *which)


def open_request(
    catalog: Any, archive: Archive, type: str, request: int | str, *, origin: str | None
) -> xr.Dataset:
    """Level 1 data of a data request; see `stixlab.client.Lab.open`."""
    product_type(type)
    check_origin(origin)
    found = [
        p
        for p in _products_of(catalog, request)
        if p.type == type and p.level == "L1" and origin in (None, p.origin)
    ]
    if not found:
        raise NotInCatalogError(
            f"{type}: expected a data request of {request!r}{f' ({origin})' if origin else ''}; there is no product of"
            " one; `stixlab requests` lists the requests"
        )
    requests = sorted({p.request for p in found})
    if len(requests) > 1:
        raise NotInCatalogError(
            f"{type}: several data requests have the number {request}: {_some(requests)}; give the id of one"
        )
    return _put_together(archive, type, found)


def _products_of(catalog: Any, request: int | str) -> list[Product]:
    """Products of a number, of a number with that of the telecommand, of an id of a request or of a product."""
    text = str(request).strip()
    match = _NUMBERS.fullmatch(text)
    if match is None:
        if text[:1] == "L" and (product := catalog.products.get(text)) is not None:
            return [product]
        return list(catalog.products.find(request=text))
    number = int(match["request"])
    if not number:
        raise ParameterError("request_id: expected a number above 0, or the id of a request; found 0")
    found = catalog.products.find(request_id=number)
    ending = f"-{int(match['tc']):05d}_" if match["tc"] else ""
    return [p for p in found if ending in p.request]


def find_records(catalog: Any, request: int | str) -> list[ScienceRequest]:
    """Records of the requests of a number, of a number with that of the telecommand, or of an id.

    Raises
    ------
    ParameterError
        If the number is 0.
    """
    text = str(request).strip()
    match = _NUMBERS.fullmatch(text)
    if match is None:
        product = catalog.products.get(text) if text[:1] == "L" else None
        record = catalog.requests.get(text if product is None else product.request)
        return [] if record is None else [record]
    if not int(match["request"]):
        raise ParameterError("request_id: expected a number above 0, or the id of a request; found 0")
    ending = f"-{int(match['tc']):05d}_" if match["tc"] else ""
    return [r for r in catalog.requests.find(request_id=int(match["request"])) if ending in r.id]


def _open_between(
    catalog: Any, archive: Archive, type: str, span: tuple[np.datetime64, np.datetime64], origin: str | None
) -> xr.Dataset:
    """The one data request that has data of a time range."""
    low, high = span
    times = {"start": to_datetime(low), "end": to_datetime(high)}
    found = catalog.products.find(type=type, level="L1", origin=origin, **times)
    there = [o for o in ORIGINS if any(p.origin == o for p in found)]
    if not there:
        raise nothing_there(catalog, type, low, high, origin)
    found = [p for p in found if p.origin == there[0]]
    requests = list(dict.fromkeys(p.request for p in found))
    if len(requests) > 1:
        raise SchemaError(
            f"{type}: {len(requests)} data requests have data of the range, each with energies and pixels of its own: "
            f"{_some(requests)}; open one of them with request_id="
        )
    ds = _put_together(archive, type, found)
    first, last = np.searchsorted(ds["time"].to_numpy(), np.array([low, high]))
    if first == last:
        raise nothing_there(catalog, type, low, high, origin)
    _tell_others(there[1:], stack=6)
    return ds.isel(time=slice(int(first), int(last)))


def _put_together(archive: Archive, type: str, products: list[Product]) -> xr.Dataset:
    from stixlab.products.formats.zarr import open_many

    ordered = sorted(products, key=lambda p: (p.start, p.product_id))
    try:
        return open_many([archive.path(p.zarr) for p in ordered])
    except SchemaError as error:
        if len(ordered) == 1:
            raise
        parts = _some([p.product_id for p in ordered])
        raise SchemaError(
            f"{type}: the energies changed during the request, {error.message}; its parts are {parts}:"
            " open one of them with request_id="
        ) from error


def _some(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def read_span(
    catalog: Any, type: str, start: Time | None, end: Time | None, origin: str | None
) -> tuple[np.datetime64, np.datetime64]:
    """The range asked for, or the last day there is."""
    known_type(type)
    low = None if start is None else to_datetime64(start)
    high = None if end is None else to_datetime64(end)
    if low is not None and high is not None and low >= high:
        raise ParameterError(f"time range: expected start before end; found {low} and {high}")
    if low is None or high is None:
        latest = catalog.products.latest(type=type, origin=origin)
        if latest is None:
            raise NotInCatalogError(f"{type}: there is none yet; `stixlab ingest` takes telemetry files")
        last = np.datetime64(latest.end.replace(tzinfo=None), "ns")
        high = high if high is not None else (last if low is None else max(last, low + _DAY))
        low = low if low is not None else high - _DAY
    return low, high


def _tell_others(origins: list[str], *, stack: int) -> None:
    if origins:
        others = ", ".join(f"origin={o!r}" for o in origins)
        warnings.warn(
            f"the range holds data of other origins, too, which are left out; {others} gives them",
            stacklevel=stack,
        )


def nothing_there(
    catalog: Any, type: str, low: np.datetime64, high: np.datetime64, origin: str | None
) -> NotInCatalogError:
    """What to raise where there is nothing in a range: it says what there is near it."""
    near = catalog.products.nearest(type=type, time=to_datetime(low), origin=origin)
    there = (
        f"the nearest is {near.start:%Y-%m-%dT%H:%M:%S} to {near.end:%Y-%m-%dT%H:%M:%S}"
        if near is not None
        else "there is none at all yet"
    )
    kind = f" ({origin})" if origin else ""
    return NotInCatalogError(
        f"{type}{kind}: nothing from {np.datetime_as_string(low, 's')} to {np.datetime_as_string(high, 's')}; {there}",
        nearest=near,
    )
