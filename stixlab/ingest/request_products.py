"""Products of data requests: one for each table of energy channels, made again when its packets change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stixlab.archive import Archive
from stixlab.datasets.report import BuildReport
from stixlab.datasets.science import REQUEST_BUILDERS, build_request
from stixlab.errors import SchemaError
from stixlab.idb import Versions
from stixlab.ingest.completeness import is_told_alike
from stixlab.ingest.headers import PlaceSources, place_sources
from stixlab.ingest.provenance import changed_inputs, describe, inputs_of
from stixlab.ingest.repair import drop_damaged, is_fits_sound
from stixlab.ingest.request_files import write_request_fits
from stixlab.ingest.requests import FoundRequest
from stixlab.model import Product, ScienceRequest
from stixlab.products.completeness import span_of_bins
from stixlab.timing import ClockTable
from stixlab.vocabulary import PRODUCT_TYPES

__all__ = [
    "RequestProducts",
    "import_inputs",
    "imported_record",
    "products_up_to_date",
    "request_inputs",
    "request_place",
    "request_product_id",
]

log = logging.getLogger(__name__)

_LAUNCH = datetime(2020, 2, 10, tzinfo=UTC)
"""Stands for the time of requests that have none: nothing was sent before."""


def request_product_id(request: str, part: int = 0, level: str = "L1") -> str:
    """Identity of a product of a data request; further parts have other energies.

    Parameters
    ----------
    request
        `ScienceRequest.id`.
    part
        From 0.
    level

    Examples
    --------
    >>> request_product_id("sci-xray-cpd_2312148821-51759_flight", 1)
    'L1_sci-xray-cpd_2312148821-51759_flight-2'
    """
    return f"{level}_{request}" + (f"-{part + 1}" if part else "")


def request_inputs(
    record: ScienceRequest, versions: Versions, clock: ClockTable, place: PlaceSources | None = None
) -> dict[str, str]:
    """Hashes of all that decides about the products of a data request; see `stixlab.ingest.provenance`."""
    start, end = _span(record)
    data = [record.content_sha256, f"complete {record.complete}", record.why]
    return inputs_of(start, end, data=data, versions=versions, clock=clock, place=place)


def request_place(catalog: Any, record: ScienceRequest, spice: Path | None) -> PlaceSources:
    """Where the headers of the products of a data request take the place of the spacecraft from.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    start, end = record.start or _LAUNCH, record.end or _LAUNCH
    return place_sources(catalog, spice, start, end)


def import_inputs(
    catalog: Any,
    sha256: str,
    span: tuple[datetime, datetime],
    versions: Versions,
    clock: ClockTable,
    *,
    spice: Path | None,
) -> tuple[dict[str, str], PlaceSources]:
    """As `request_inputs` and `request_place`, for a data request of a file of others and the time of its data.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    start, end = span
    place = place_sources(catalog, spice, start, end)
    return inputs_of(start, end, data=[sha256], versions=versions, clock=clock, place=place), place


def _span(record: ScienceRequest) -> tuple[datetime, datetime]:
    """UTC from the first data or packet to the last."""
    times = [t for t in (record.start, record.end, record.sent_start, record.sent_end) if t is not None]
    return (min(times), max(times)) if times else (_LAUNCH, _LAUNCH)


@dataclass
class RequestProducts:
    """Makes the products of data requests and catalogues them; to be told of each request that was looked at.

    Parameters
    ----------
    catalog, archive
        Writable; `Archive.writing` is held.
    versions, clock
    again
        Whether to make also those whose inputs are what they were.
    spice
        Kernels for the place of the spacecraft in headers; None: the orbit table shipped.
    """

    catalog: Any
    archive: Archive
    versions: Versions
    clock: ClockTable
    again: bool = False
    spice: Path | None = None
    made: list[Product] = field(default_factory=list)
    """New and changed ones."""
    unchanged: int = 0
    problems: list[str] = field(default_factory=list)
    """Requests of which no product could be made, and why."""
    progress: Callable[[str], None] | None = None

    def take(self, found: Sequence[FoundRequest], gone: Sequence[str]) -> None:
        """Bring the products of some requests up to date.

        Parameters
        ----------
        found
            Requests as they are now, catalogued.
        gone
            Ids of requests that there are no more.

        Raises
        ------
        ArchiveError
            If something cannot be written.
        CatalogError
            If the database does not answer.
        """
        for identity in gone:
            self._remove(self.catalog.products.find(request=identity, hidden=None))
        for each in found:
            self._make(each)

    def take_import(self, ds: Any, sha256: str) -> str:
        """Catalogue a data request that a FITS product of others holds, unless its packets are there.

        Parameters
        ----------
        ds
            Level 1, as read.
        sha256
            Hash of the file.

        Returns
        -------
        str
            Id of the request.

        Raises
        ------
        ArchiveError
            If something cannot be written.
        CatalogError
            If the database does not answer.
        """
        record = imported_record(ds, sha256)
        known = {p.product_id: p for p in self.catalog.products.find(request=record.id, hidden=None)}
        if any("source_level" not in p.provenance for p in known.values()):
            self.unchanged += len(known)
            return record.id
        inputs, place = import_inputs(
            self.catalog, sha256, _span(record), self.versions, self.clock, spice=self.spice
        )
        told = describe(ds, inputs) | {"source_level": ds.attrs.get("source_level", ""), "n_parts": 1}
        ds = ds.assign_attrs(source_sha256=sha256)
        self._forget(record, [*known.values(), self._store(0, ds, record, told, known, place=place)])
        return record.id

    def _make(self, found: FoundRequest) -> None:
        record = found.record
        known = {p.product_id: p for p in self.catalog.products.find(request=record.id, hidden=None)}
        place = request_place(self.catalog, record, self.spice)
        inputs = request_inputs(record, self.versions, self.clock, place)
        told = all(p.sources == record.sources for p in known.values())  # their names stand in the headers
        if not self.again and told and products_up_to_date(known, inputs):
            self.unchanged += len(known)
            return
        try:
            left_out = BuildReport()
            parts = self._datasets(found, left_out)
            more: dict[str, Any] = {"n_parts": len(parts), "keys": list(record.keys)}
            more["span"] = [t.isoformat() for t in _span(record)]
            more |= {"left_out": left_out.as_document()} if left_out.offsets else {}
            products = [
                self._store(n, ds, record, describe(ds, inputs) | more, known, place=place)
                for n, ds in enumerate(parts)
            ]
        except SchemaError as error:
            self.problems.append(f"request {record.id}: no product could be made: {error.message}")
            log.warning("no product of a request", extra={"request": record.id, "error": error.message})
            return
        self._remove([p for i, p in known.items() if i not in {q.product_id for q in products}])
        self._forget(record, [*known.values(), *products])

    def _datasets(self, found: FoundRequest, left_out: BuildReport) -> list[Any]:
        from stixlab.products.science import make_science_level1

        if found.part is None or found.part.ssid not in REQUEST_BUILDERS:
            return []
        ds = build_request(found.part, self.clock, left_out)
        if ds is None or not ds.sizes["time"]:
            return []
        sources = " ".join(found.record.sources)
        return [
            part.assign_attrs(source_sha256=sources)
            for part in make_science_level1(ds, self.versions, self.clock)
            if part.sizes["time"]
        ]

    def _store(
        self,
        number: int,
        ds: Any,
        record: ScienceRequest,
        provenance: dict[str, Any],
        known: dict[str, Product],
        *,
        place: PlaceSources,
    ) -> Product:
        """Write a product, unless it is there, and catalogue it."""
        from stixlab.products.level1 import content_sha256

        identity = request_product_id(record.id, number)
        before = known.get(identity)
        content = content_sha256(ds)
        same = before is not None and before.content_sha256 == content
        sound = before is not None and (not self.again or is_fits_sound(self.archive, before))
        if before is not None and self.again:
            drop_damaged(self.archive, before)
        version = 1 if before is None else before.version + (not same)
        kept = before.created if same and before is not None else None
        created = kept or datetime.now(UTC).replace(microsecond=0)
        bounds = ds["time_bounds"].to_numpy()
        start, end = span_of_bins(bounds)
        product = Product(
            product_id=identity,
            type=record.type,
            level="L1",
            origin=record.origin,
            start=start,
            end=end,
            version=version,
            content_sha256=content,
            n_times=ds.sizes["time"],
            zarr=self.archive.store_dataset(ds, bounds.min().astype("datetime64[D]"), content),
            sources=record.sources,
            provenance=provenance,
            created=created,
            hidden=before.hidden if before is not None else "",
            request=record.id,
            request_id=record.request_id,
            complete=record.complete,
            why=record.why,
        )
        keep = same and sound and before is not None and bool(before.fits)
        if keep and before is not None and is_told_alike(before, product):
            product = replace(
                product, fits=before.fits, fits_sha256=before.fits_sha256, fits_bytes=before.fits_bytes
            )
        else:
            files = self.catalog.raw_files.get_many(record.sources)
            product = write_request_fits(
                product, ds, self.archive, part=number, place=place, sources=files.values()
            )
        self.catalog.products.save(product)
        self.unchanged += same
        self.made += [] if same else [product]
        return product

    def _remove(self, products: Sequence[Product]) -> None:
        """Take products out of the catalogue whose request there is no more, or has fewer parts."""
        for product in products:
            self.catalog.products.delete(product.product_id)
            if product.zarr:
                self.archive.mark_replaced([product.zarr])

    def _forget(self, record: ScienceRequest, products: Sequence[Product]) -> None:
        """Note which datasets are named no more."""
        named = {p.zarr for p in self.catalog.products.find(request=record.id, hidden=None)}
        self.archive.mark_replaced({p.zarr for p in products if p.zarr} - named)
        self.archive.mark_named(named)


def products_up_to_date(known: dict[str, Product], inputs: dict[str, str]) -> bool:
    """Whether all products of a request are there, made from these inputs."""
    wanted = {p.provenance.get("n_parts", 0) for p in known.values()}
    return wanted == {len(known)} and not any(changed_inputs(p, inputs) for p in known.values())


def imported_record(ds: Any, sha256: str) -> ScienceRequest:
    """What is known of a data request by a product of it; it is not catalogued, as there are no packets.

    Parameters
    ----------
    ds
        Level 1.
    sha256
        Hash of the file that holds it.
    """
    kind, origin = str(ds.attrs["product"]), str(ds.attrs["origin"])
    request, tc_sequence = (int(ds.attrs.get(n, 0)) for n in ("request_id", "tc_sequence"))
    start, end = span_of_bins(ds["time_bounds"].to_numpy())
    name = f"{request:010d}-{tc_sequence:05d}"
    if not request and not tc_sequence:
        first, last = (int(ds["scet_coarse"].to_numpy()[n]) for n in (0, -1))
        # As `stixlab.ingest.requests.identity_of` has it, where the file tells: those of others do not.
        data, sent = ds.attrs.get("time_stamp_scet", first), ds.attrs.get("sent_scet", last)
        name = f"t{int(data):010d}-{int(sent):010d}"
    return ScienceRequest(
        id=f"{kind}_{name}_{origin}",
        type=kind,
        request_id=request,
        tc_packet_id=int(ds.attrs.get("tc_packet_id", 0)),
        tc_sequence=tc_sequence,
        ssid=PRODUCT_TYPES[kind].packet[2],
        origin=origin,
        n_packets=0,
        n_missing=0,
        n_damaged=0,
        n_conflicts=0,
        complete=bool(ds.attrs.get("complete", 1)),
        why=str(ds.attrs.get("incomplete_because", "")),
        start=start,
        end=end,
        sources=(sha256,),
    )
