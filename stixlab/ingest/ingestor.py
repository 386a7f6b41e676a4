"""The whole way of files into the data center, in one call that may be repeated and may be killed."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.archive import Archive
from stixlab.archive.tables import update_tables
from stixlab.errors import ArchiveError, FormatError
from stixlab.files import sha256_of
from stixlab.idb import Versions
from stixlab.ingest.assemble import DayTask, commit, plan_day
from stixlab.ingest.context import take_context
from stixlab.ingest.days import days_of_product
from stixlab.ingest.folders import find_files
from stixlab.ingest.headers import DayPlaces
from stixlab.ingest.receive import DayKey, Received
from stixlab.ingest.report import FileResult, IngestReport
from stixlab.ingest.request_products import RequestProducts
from stixlab.ingest.requests import RequestKeeper
from stixlab.ingest.workforce import FileTask, Tools, Workforce
from stixlab.model import Product, RawFile, ScienceRequest
from stixlab.timing.scet import ClockTable

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Ingestor"]

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
Trigger = Callable[[list[DayKey]], list[dict[str, Any]]]
"""Called with the days whose products were made or looked at; returns the runs they led to."""


def _silent(_what: str, _done: int, _total: int) -> None:
    """No progress shown."""


@dataclass
class _Batch:
    """What one call has taken in so far."""

    report: IngestReport = field(default_factory=IngestReport)
    days: dict[DayKey, tuple[list[xr.Dataset], str]] = field(default_factory=dict)
    """Days that new files touch: what the last of these files alone gives, and its hash."""
    waiting: dict[str, RawFile] = field(default_factory=dict)
    """Files whose products are still to be made, by hash."""
    imported: list[tuple[xr.Dataset, str]] = field(default_factory=list)
    """Data requests of imported products, with the hashes of their files."""
    context: list[tuple[Product, FileResult]] = field(default_factory=list)
    """Records of imported products of context, with the results of their files."""
    repeated: set[DayKey] = field(default_factory=set)
    """Days of files that were there already: their pipelines may have been cut short."""
    touched: set[DayKey] = field(default_factory=set)
    """Days of products of data requests that are new or changed."""


@dataclass(frozen=True)
class Ingestor:
    """Takes files into archive and catalogue.

    Parameters
    ----------
    catalog
        Stores of records, writable.
    archive
        Opened for writing.
    versions, clock
        Packet definitions and clock table in force.
    trigger
        What to do when products changed; nothing if None.
    progress
        Called as the work goes on.
    processes
        How many to use; None: all cores when there is more than one file and enough in them.
    spice
        Kernels for the place of the spacecraft in headers; None: the orbit table shipped.
    """

    catalog: Any
    archive: Archive
    versions: Versions
    clock: ClockTable
    trigger: Trigger | None = None
    progress: Progress = field(default=_silent)
    processes: int | None = None
    spice: Path | None = None

    def ingest(self, paths: Iterable[Path]) -> IngestReport:
        """Telemetry files, or folders of them, to packets, products, catalogue and pipelines.

        A file that cannot be used is reported and the rest goes on. The same files again change nothing.

        Raises
        ------
        CatalogError
            If the database goes away; what was stored stays, and the same call goes on from there.
        ArchiveError
            If the archive cannot be written; nothing is half-written.
        """
        return self._take(paths, products=False)

    def import_files(self, paths: Iterable[Path]) -> IngestReport:
        """FITS products made by others to datasets, catalogue and pipelines.

        Raises
        ------
        CatalogError, ArchiveError
            As `ingest`.
        """
        return self._take(paths, products=True)

    def _take(self, paths: Iterable[Path], *, products: bool) -> IngestReport:
        began = time.monotonic()
        batch = _Batch()
        report = batch.report
        found = list(find_files(paths))
        if not found:
            report.problems.append("no files found: name a file, or a folder that holds some")
        with self.archive.writing():
            self.progress("reading", 0, len(found))
            tasks = list(self._plan(found, batch, products=products))
            tools = Tools(self.archive, self.versions, self.clock)
            with Workforce.assemble(tools, [task for task, _ in tasks], self.processes) as workforce:
                self._read(tasks, workforce, batch, n_files=len(found))
                self._take_context(batch)  # first: headers tell the place of the spacecraft by it
                self._make_products(workforce, batch)
            self._make_requests(batch)
            for raw_file in batch.waiting.values():
                self.catalog.raw_files.save(dataclasses.replace(raw_file, processed=True))
        if self.trigger is not None:
            report.runs = self.trigger(sorted({*batch.days, *batch.repeated, *batch.touched}))
        report.seconds = time.monotonic() - began
        log.info("ingested", extra={"n_files": len(found), "seconds": report.seconds})
        return report

    def _plan(
        self, found: list[Path], batch: _Batch, *, products: bool
    ) -> Iterator[tuple[FileTask, list[FileResult]]]:
        """Files that are new, each with the results to be filled; others are reported at once."""
        planned: dict[str, list[FileResult]] = {}
        for path in found:
            result = FileResult(str(path), "failed")
            batch.report.files.append(result)
            try:
                result.size_bytes = path.stat().st_size
                result.sha256 = sha256_of(path)
            except OSError as error:
                result.error = f"{path}: cannot be read: {error.strerror or error}"
                continue
            if result.sha256 in planned:
                planned[result.sha256].append(result)
                continue
            known = self.catalog.raw_files.get(result.sha256)
            if known is not None and known.processed and (products or self.archive.has_packets(known.sha256)):
                self._take_repeated(known, path, result, batch)
                continue
            planned[result.sha256] = [result]
            yield FileTask(path, result.sha256, result.size_bytes, products), planned[result.sha256]

    def _take_repeated(self, known: RawFile, path: Path, result: FileResult, batch: _Batch) -> None:
        """Note a file that is there already; what is stored of it is repaired if it is damaged."""
        try:
            repaired = self.archive.repair_raw(path, known.sha256)
        except ArchiveError:
            raise
        except (FormatError, OSError) as error:
            result.error = f"{path}: {getattr(error, 'strerror', None) or error}"
            return
        self._note_name(known, path.name)
        batch.repeated.update(map(_day_key, known.days))
        _describe(result, known, "repaired" if repaired else "repeated")
        if repaired:
            result.findings.append("what was stored of it was missing or damaged, and is written anew")

    def _read(
        self,
        tasks: list[tuple[FileTask, list[FileResult]]],
        workforce: Workforce,
        batch: _Batch,
        *,
        n_files: int,
    ) -> None:
        """Store the new files."""
        done = n_files - len(tasks)
        received = workforce.take([task for task, _ in tasks])
        for (_, results), outcome in zip(tasks, received, strict=True):
            if isinstance(outcome, str):
                for result in results:
                    result.error = outcome
            else:
                self._catalogue(outcome, results, batch)
            done += 1
            self.progress("reading", done, n_files)

    def _catalogue(self, received: Received, results: list[FileResult], batch: _Batch) -> None:
        raw_file = received.raw_file
        names = {*raw_file.names, *(Path(result.path).name for result in results)}
        known = self.catalog.raw_files.get(raw_file.sha256)
        if known is not None:
            raw_file = dataclasses.replace(raw_file, received=known.received)
            names |= {*known.names}
        raw_file = dataclasses.replace(raw_file, names=tuple(sorted(names)))
        self.catalog.raw_files.save(raw_file)
        batch.waiting[raw_file.sha256] = raw_file
        if received.commands:
            new, changed = self.catalog.telecommands.take(received.commands, raw_file.sha256)
            results[0].telecommands = {"new": new, "changed": changed}
        if received.request is not None:
            batch.imported.append((received.request, raw_file.sha256))
        if received.context is not None:
            batch.context.append((received.context, results[0]))
        batch.days |= {key: (parts, raw_file.sha256) for key, parts in received.days.items()}
        for number, result in enumerate(results):
            _describe(result, raw_file, "repeated" if number else "new")

    def _take_context(self, batch: _Batch) -> None:
        for product, result in batch.context:
            saved, used = take_context(self.catalog, self.archive, product)
            if used:
                batch.report.products.append(_product_document(saved))
            else:
                batch.report.unchanged += 1
                result.findings.append(
                    f"kept, not used: version {saved.version:02d} of {saved.product_id} is there"
                )

    def _note_name(self, known: RawFile, name: str) -> None:
        if name not in known.names:
            names = tuple(sorted({*known.names, name}))
            self.catalog.raw_files.save(dataclasses.replace(known, names=names))

    def _make_products(self, workforce: Workforce, batch: _Batch) -> None:
        places = DayPlaces(self.catalog, self.spice)

        def tasks() -> Iterator[DayTask]:
            for key, (parts, source) in sorted(batch.days.items(), key=lambda item: item[0]):
                yield plan_day(self.catalog, key, parts, source, places)

        self.progress("making products", 0, len(batch.days))
        for number, made in enumerate(workforce.make_overlapping(tasks())):
            commit(self.catalog, self.archive, made)
            batch.report.unchanged += made.unchanged
            batch.report.products += map(_product_document, made.changed)
            self.progress("making products", number + 1, len(batch.days))
        update_tables(self.catalog, self.archive, batch.days)

    def _make_requests(self, batch: _Batch) -> None:
        """Bring data requests and their products up to date with the new files."""
        keys = {key for f in batch.waiting.values() for key in f.requests}
        times = [t for f in batch.waiting.values() if f.packets for t in (f.start, f.end) if t is not None]
        products = RequestProducts(self.catalog, self.archive, self.versions, self.clock, spice=self.spice)
        for ds, sha256 in batch.imported:
            products.take_import(ds, sha256)
        if keys or times:
            self._assemble(batch, keys, times, products)
        batch.report.products += map(_product_document, products.made)
        batch.touched.update(key for product in products.made for key in days_of_product(product))
        batch.report.unchanged += products.unchanged
        batch.report.problems += products.problems

    def _assemble(
        self, batch: _Batch, keys: set[str], times: list[datetime], products: RequestProducts
    ) -> None:
        self.progress("assembling requests", 0, 1)
        keeper = RequestKeeper(self.catalog, self.archive, self.versions, self.clock)
        low, high = min(times, default=None), max(times, default=None)
        changed, _ = keeper.make(keys, start=low, end=high, then=products.take)
        batch.report.requests += map(_request_document, changed)
        self.progress("assembling requests", 1, 1)


def _request_document(request: ScienceRequest) -> dict[str, Any]:
    return {
        "type": "request",
        "request": request.id,
        "product": request.type,
        "n_packets": request.n_packets,
        "n_missing": request.n_missing,
        "complete": request.complete,
        "why": request.why,
    }


def _product_document(product: Product) -> dict[str, Any]:
    return {
        "type": "product",
        "product_id": product.product_id,
        "version": product.version,
        "start": product.start.isoformat(),
        "end": product.end.isoformat(),
        "n_times": product.n_times,
        "fits": product.fits,
    }


def _day_key(text: str) -> DayKey:
    product_type, origin, day = text.split("/")
    return product_type, origin, day


def _describe(result: FileResult, raw_file: RawFile, status: str) -> None:
    result.status = status
    result.kind = raw_file.kind
    result.origin = raw_file.origin
    result.packets = dict(raw_file.packets)
    result.structures = dict(raw_file.structures)
    result.findings = [
        f"{remark['count']} x {reason}, first at byte {remark['first_offsets'][0]}"
        for reason, remark in raw_file.report.get("remarks", {}).items()
    ] + [
        f"{left['packets']} x packet gives no data: {reason}, first at byte {left['first_offsets_bytes'][0]}"
        for reason, left in raw_file.report.get("left_out", {}).items()
    ]
