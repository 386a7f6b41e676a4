"""Data requests: which there are, and all packets of one put together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from stixlab.archive import Archive
from stixlab.errors import NotInCatalogError, ParameterError
from stixlab.idb import Versions
from stixlab.model import ScienceRequest
from stixlab.telemetry.assembly import Assembled
from stixlab.timing import ClockTable, to_datetime, to_datetime64
from stixlab.vocabulary import product_type

__all__ = ["find_requests", "get_record", "get_request"]

Time = str | datetime | np.datetime64
_LISTED = 5


def find_requests(
    catalog: Any,
    *,
    type: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    origin: str | None = None,
    complete: bool | None = None,
) -> list[ScienceRequest]:
    """Data requests whose data touch a time range, earliest first; without a range also those of unknown time.

    Parameters
    ----------
    catalog
        Stores of records.
    type
        Archive name of a product type, such as ``sci-xray-cpd``.
    start, end
        UTC; open where None.
    origin
        ``flight``, ``simulated`` or ``reencoded``; all if None.
    complete
        Only those of which nothing (or something) is missing.

    Raises
    ------
    SchemaError
        If the product type is unknown.
    ParameterError
        If the range ends before it starts.
    TimeError
        If a time cannot be read.
    """
    if type is not None:
        product_type(type)
    low, high = (None if t is None else to_datetime(to_datetime64(t)) for t in (start, end))
    if low is not None and high is not None and low >= high:
        raise ParameterError(f"time range: expected start before end; found {low} and {high}")
    found: list[ScienceRequest] = catalog.requests.find(
        type=type, start=low, end=high, origin=origin, complete=complete
    )
    return found


def get_record(catalog: Any, name: str | int) -> ScienceRequest:
    """Record of a request, by its id or its number.

    Raises
    ------
    NotInCatalogError
        If there is none, or several have the number.
    """
    record: ScienceRequest | None = catalog.requests.get(str(name))
    if record is not None:
        return record
    text = str(name).strip()
    found = catalog.requests.find(request_id=int(text)) if text.isdecimal() and int(text) < 1 << 32 else []
    if len(found) == 1:
        only: ScienceRequest = found[0]
        return only
    if found:
        ids = ", ".join(r.id for r in found[:_LISTED]) + (", ..." if len(found) > _LISTED else "")
        raise NotInCatalogError(f"request {text}: several have this number: {ids}; give the id of one")
    raise NotInCatalogError(
        f"request {text!r}: expected the id or the number of a data request; there is none; `stixlab requests` lists them"
    )


def get_request(
    name: str | int, *, catalog: Any, archive: Archive, versions: Versions, clock: ClockTable
) -> Assembled:
    """All packets of a data request that are stored, decoded and in order.

    Parameters
    ----------
    name
        Id of the request, or its number.
    catalog, archive, versions, clock
        Of this installation.

    Returns
    -------
    Assembled
        ``columns`` has the raw values of each parameter over all packets; ``gaps`` says what is missing.

    Raises
    ------
    NotInCatalogError
        If there is no such request, or none of its packets can be decoded.
    ArchiveError, FormatError
        If stored packets are missing or damaged.
    """
    from stixlab.ingest.requests import RequestKeeper, assemble_request

    record = get_record(catalog, name)
    return assemble_request(record, RequestKeeper(catalog, archive, versions, clock))
