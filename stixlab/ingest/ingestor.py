"""The whole way of files into the data center, in one call that may be repeated and may be killed."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.archive import Archive
from stixlab.errors import FormatError, SchemaError
from stixlab.idb import Versions
from stixlab.ingest.assemble import Assembler
from stixlab.ingest.receive import DayKey, Received, find_files, receive_fits, receive_telemetry
from stixlab.ingest.report import FileResult, IngestReport
from stixlab.model import Product, RawFile
from stixlab.timing.scet import ClockTable

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Ingestor"]

log = logging.getLogger(__name__)

_EXPECTED = "packet kept, not decoded yet"
"""Listed apart: nothing is wrong with these packets."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
Trigger = Callable[[list[DayKey]], list[dict[str, Any]]]
"""Called with the days whose products were made or looked at; returns the runs they led to."""


Receive = Callable[[bytes, Path], Received]
"""Stores the content of a file under its name."""


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
    repeated: set[DayKey] = field(default_factory=set)
    """Days of files that were there already: their pipelines may have been cut short."""


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
    """

    catalog: Any
    archive: Archive
    versions: Versions
    clock: ClockTable
    trigger: Trigger | None = None
    progress: Progress = field(default=_silent)

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
        receive = partial(receive_telemetry, archive=self.archive, versions=self.versions, clock=self.clock)
        return self._take(paths, receive)

    def import_files(self, paths: Iterable[Path]) -> IngestReport:
        """FITS products made by others to datasets, catalogue and pipelines.

        Raises
        ------
        CatalogError, ArchiveError
            As `ingest`.
        """
        return self._take(paths, partial(receive_fits, archive=self.archive, clock=self.clock))

    def _take(self, paths: Iterable[Path], receive: Receive) -> IngestReport:
        began = time.monotonic()
        batch = _Batch()
        report = batch.report
        found = list(find_files(paths))
        if not found:
            report.problems.append("no files found: name a file, or a folder that holds some")
        with self.archive.writing():
            for number, path in enumerate(found):
                self.progress("reading", number, len(found))
                self._take_file(path, receive, batch)
            self.progress("reading", len(found), len(found))
            self._make_products(batch)
            for raw_file in batch.waiting.values():
                self.catalog.raw_files.save(dataclasses.replace(raw_file, processed=True))
        if self.trigger is not None:
            report.runs = self.trigger(sorted({*batch.days, *batch.repeated}))
        report.seconds = time.monotonic() - began
        log.info("ingested", extra={"n_files": len(found), "seconds": report.seconds})
        return report

    def _take_file(self, path: Path, receive: Receive, batch: _Batch) -> None:
        """Store one file, unless it is there already or cannot be used."""
        result = FileResult(str(path), "failed")
        batch.report.files.append(result)
        try:
            content = path.read_bytes()
        except OSError as error:
            result.error = f"{path}: cannot be read: {error.strerror or error}"
            return
        result.sha256 = hashlib.sha256(content).hexdigest()
        result.size_bytes = len(content)
        known = self.catalog.raw_files.get(result.sha256)
        if known is not None and known.processed:
            self._note_name(known, path)
            batch.repeated.update(map(_day_key, known.days))
            _describe(result, known, "repeated")
            return
        try:
            received = receive(content, path)
        except (FormatError, SchemaError) as error:
            result.error = str(error)
            return
        raw_file = received.raw_file
        if known is not None:
            names = tuple(sorted({*known.names, *raw_file.names}))
            raw_file = dataclasses.replace(raw_file, names=names, received=known.received)
        self.catalog.raw_files.save(raw_file)
        batch.waiting[raw_file.sha256] = raw_file
        batch.days |= {key: (parts, raw_file.sha256) for key, parts in received.days.items()}
        _describe(result, raw_file, "new")

    def _note_name(self, known: RawFile, path: Path) -> None:
        if path.name not in known.names:
            self.catalog.raw_files.save(
                dataclasses.replace(known, names=tuple(sorted({*known.names, path.name})))
            )

    def _make_products(self, batch: _Batch) -> None:
        assembler = Assembler(self.catalog, self.archive, self.versions, self.clock)
        for number, (key, (parts, source)) in enumerate(sorted(batch.days.items(), key=lambda item: item[0])):
            self.progress("making products", number, len(batch.days))
            changed, unchanged = assembler.make(key, parts, source)
            batch.report.unchanged += unchanged
            batch.report.products += map(_product_document, changed)
        self.progress("making products", len(batch.days), len(batch.days))


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
    result.undecoded = dict(raw_file.report.get("undecoded", {}))
    result.findings = [
        f"{remark['count']} x {reason}, first at byte {remark['first_offsets'][0]}"
        for reason, remark in raw_file.report.get("remarks", {}).items()
        if reason != _EXPECTED
    ] + [
        f"{left['packets']} x packet gives no data: {reason}, first at byte {left['first_offsets_bytes'][0]}"
        for reason, left in raw_file.report.get("left_out", {}).items()
    ]
