"""Level 0: what packets say, codes and on-board times as sent. It is not stored; packets are decoded when it is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.client.opening import check_origin, find_records, nothing_there, read_span
from stixlab.client.packets import check_access
from stixlab.datasets.report import BuildReport
from stixlab.errors import NotInCatalogError, ParameterError, SchemaError
from stixlab.ingest.provenance import parts_by_energies
from stixlab.ingest.receive import decode_once
from stixlab.telemetry.frames import PacketBlock
from stixlab.timing import to_datetime
from stixlab.vocabulary import ORIGINS, PRODUCT_TYPES, product_type

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.client.data import Data
    from stixlab.model import RawFile, ScienceRequest
    from stixlab.telemetry.decode import Columns

__all__ = ["LONGEST", "open_level0"]

Time = str | datetime | np.datetime64
LONGEST = timedelta(days=31)
"""Level 0 is made of no longer ranges at once."""
_MARGIN = timedelta(days=1)
"""Packets are sent after the data in them: headers are looked for this far beyond the range on both sides."""


def open_level0(
    lab: Data,
    type: str,
    span: tuple[Time | None, Time | None],
    *,
    origin: str | None = None,
    request_id: int | str | None = None,
) -> xr.Dataset:
    """Level 0 data of a time range or a data request, made from stored packets; see `stixlab.client.Lab.open`.

    Parameters
    ----------
    lab
    type
        Archive name of a product type that packets lead to.
    span
        UTC, start and end; bins whose middle lies in ``[start, end)``, in the order of the on-board time, each once.
    origin, request_id
        As of `open`.

    Raises
    ------
    AccessError
        If this process has the rights of the public only.
    NotInCatalogError
        If no packets of the range or the request are stored.
    SchemaError
        If the energies change within the range, it holds several requests, or the product type is unknown.
    ParameterError
        If the range is longer than `LONGEST`.
    ArchiveError, FormatError
        If stored packets are missing or damaged.
    """
    check_access(lab.settings, f"level 0 of {type}")
    group = product_type(type).group
    check_origin(origin)
    if request_id is not None:
        if str(request_id).strip()[:1] == "L":
            lab.check_shown(lab.catalog.products.get(str(request_id).strip()))
        return _of_request(lab, _the_request(lab, type, request_id, origin))
    low, high = read_span(lab.catalog, type, *span, origin)
    if group == "SCI":
        ds = _of_request(lab, _request_between(lab, type, (low, high), origin))
        return _within(ds, low, high)
    if high - low > np.timedelta64(LONGEST):
        raise ParameterError(
            f"level 0 of {type}: expected a range of at most {LONGEST.days} days; found {low} to {high}; level 0 is"
            " decoded from packets when it is asked for: open it piece by piece"
        )
    return _of_times(lab, type, low, high, origin)


def _of_times(
    lab: Data, type: str, low: np.datetime64, high: np.datetime64, origin: str | None
) -> xr.Dataset:
    start, end = to_datetime(low), to_datetime(high)
    found = lab.catalog.raw_files.find(start=start - _MARGIN, end=end + _MARGIN)
    days = {str(d) for d in np.arange(low.astype("datetime64[D]"), high, dtype="datetime64[D]")}
    wanted = [origin] if origin is not None else list(ORIGINS)
    contributors = {o: [f for f in found if _has_days(lab, f, type, o, days)] for o in wanted}
    there = [o for o in wanted if contributors[o]]
    for number, chosen in enumerate(there):
        ds = _decoded(lab, type, (low, high), chosen, contributors[chosen])
        if ds is not None:
            if others := there[number + 1 :]:
                told = ", ".join(f"origin={o!r}" for o in others)
                warnings.warn(f"the range holds packets of other origins, too, which are left out; {told} gives them", stacklevel=5)  # fmt: skip
            return ds
    error = nothing_there(lab.catalog, type, low, high, origin)
    raise NotInCatalogError(
        f"level 0 of {error.message}; it is made from packets: imported products have none",
        nearest=error.nearest,
    )


def _has_days(lab: Data, file: RawFile, type: str, origin: str, days: set[str]) -> bool:
    return any(f"{type}/{origin}/{day}" in file.days for day in days) and lab.archive.has_packets(file.sha256)


def _decoded(
    lab: Data,
    type: str,
    span: tuple[np.datetime64, np.datetime64],
    origin: str,
    contributors: Sequence[RawFile],
) -> xr.Dataset | None:
    """The bins of a range; none if no packet has one."""
    from stixlab.datasets.registry import BUILDERS
    from stixlab.products.merging import merge

    files = sorted(contributors, key=lambda f: f.sha256)
    blocks = [_packets(lab, f, type, span, origin) for f in files]
    decoded, _ = decode_once(PacketBlock.concatenate(blocks), lab.versions)
    report = BuildReport()
    build = BUILDERS[PRODUCT_TYPES[type].packet].build
    made = [ds for columns in decoded.values() for ds in _built(lab, columns, build, report)]
    attrs = {"origin": origin, "clock": lab.clock.source, "source_level": "telemetry", "source_sha256": " ".join(f.sha256 for f in files)}  # fmt: skip
    groups = [merge([_in_order(ds.assign_attrs(attrs)) for ds in g]) for g in parts_by_energies(made)]
    parts = [part for ds in groups if (part := _cut(ds, *span)).sizes["time"]]
    if len(parts) > 1:
        times = "; ".join(
            f"{p.attrs['time_coverage_start']} to {p.attrs['time_coverage_end']}" for p in parts
        )
        raise SchemaError(
            f"level 0 of {type}: expected the same energies in the whole range; they change: {times}; open these apart"
        )
    return parts[0].chunk() if parts else None


def _built(lab: Data, columns: Columns, build: Any, report: BuildReport) -> Iterable[xr.Dataset]:
    """Level 0 datasets with the definitions that were in force."""
    for definitions, eras in lab.versions.distinct.items():
        chosen = np.isin(columns.block.era, eras)
        if chosen.any():
            part = columns if chosen.all() else columns.select(chosen)
            for ds in build(part, lab.clock, report):
                yield ds.assign_attrs(idb_version=definitions.version)


def _packets(
    lab: Data, file: RawFile, type: str, span: tuple[np.datetime64, np.datetime64], origin: str
) -> PacketBlock:
    """Packets of the product, repeated ones included, whose header lies within the margin around the range."""
    packets = lab.archive.open_packets(file.sha256)
    service, subtype, ssid = PRODUCT_TYPES[type].packet
    chosen = np.flatnonzero(
        (packets["service"] == service)
        & (packets["subtype"] == subtype)
        & (packets["ssid"] == ssid)
        & packets["synchronised"]
    )
    utc = lab.clock.to_utc(packets["scet_coarse"][chosen], packets["scet_fine"][chosen])
    margin = np.timedelta64(_MARGIN)
    block = packets.read(chosen[(utc >= span[0] - margin) & (utc < span[1] + margin)])
    return block.select(block.origin == ORIGINS.index(origin))


def _in_order(ds: xr.Dataset) -> xr.Dataset:
    """Bins in the order of time, each on-board time once."""
    from stixlab.products.merging import time_arrays, unique_order

    order = unique_order(time_arrays(ds)[0])
    return ds if order is None else ds.isel(time=order)


def _cut(ds: xr.Dataset, low: np.datetime64, high: np.datetime64) -> xr.Dataset:
    from stixlab.datasets.construction import coverage

    first, last = np.searchsorted(ds["time"].to_numpy(), np.array([low, high]))
    part = ds.isel(time=slice(int(first), int(last)))
    return part.assign_attrs(coverage({"time_bounds": part["time_bounds"].to_numpy()}))


def _within(ds: xr.Dataset, low: np.datetime64, high: np.datetime64) -> xr.Dataset:
    part = _cut(ds, low, high)
    if not part.sizes["time"]:
        raise NotInCatalogError(
            f"level 0 of {ds.attrs['product']}: nothing from {low} to {high}; the request has data of"
            f" {ds.attrs['time_coverage_start']} to {ds.attrs['time_coverage_end']}"
        )
    return part


def _the_request(lab: Data, type: str, request: int | str, origin: str | None) -> ScienceRequest:
    found = [r for r in find_records(lab.catalog, request) if r.type == type and origin in (None, r.origin)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(r.id for r in found[:8])
        raise NotInCatalogError(
            f"{type}: several data requests have the number {request}: {ids}; give the id of one"
        )
    raise NotInCatalogError(
        f"level 0 of {type}: expected a data request of {request!r}{f' ({origin})' if origin else ''} whose packets are stored;"
        " there is none; `stixlab requests` lists the requests"
    )


def _request_between(
    lab: Data, type: str, span: tuple[np.datetime64, np.datetime64], origin: str | None
) -> ScienceRequest:
    start, end = map(to_datetime, span)
    found = lab.catalog.requests.find(type=type, start=start, end=end, origin=origin)
    there = [o for o in ORIGINS if any(r.origin == o for r in found)]
    found = [r for r in found if r.origin == there[0]]
    if not found:
        raise nothing_there(lab.catalog, type, *span, origin)
    if len(found) > 1:
        ids = ", ".join(r.id for r in found[:8])
        raise SchemaError(
            f"{type}: {len(found)} data requests have data of the range: {ids}; open one of them with request_id="
        )
    only: ScienceRequest = found[0]
    return only


def _of_request(lab: Data, record: ScienceRequest) -> xr.Dataset:
    from stixlab.datasets.science import build_request
    from stixlab.ingest.requests import RequestKeeper, assemble_request

    keeper = RequestKeeper(lab.catalog, lab.archive, lab.versions, lab.clock)
    assembled = assemble_request(record, keeper)
    report = BuildReport()
    ds = build_request(assembled, lab.clock, report)
    if ds is None or not ds.sizes["time"]:
        why = "; ".join(f"{n['packets']} packets: {reason}" for reason, n in report.as_document().items())
        raise NotInCatalogError(
            f"level 0 of request {record.id}: its packets give no data ({why or 'no bins'})"
        )
    attrs = {"origin": record.origin, "clock": lab.clock.source, "source_level": "telemetry", "source_sha256": " ".join(record.sources)}  # fmt: skip
    return ds.assign_attrs(attrs).chunk()
