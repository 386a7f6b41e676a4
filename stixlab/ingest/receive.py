"""From a file to stored packets: what is done once for each content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stixlab.archive import Archive
from stixlab.datasets.registry import BUILDERS
from stixlab.datasets.report import BuildReport
from stixlab.errors import FormatError
from stixlab.idb import Versions
from stixlab.ingest.context import context_product, context_type
from stixlab.model import Product, RawFile, Telecommand
from stixlab.packets.page import covered_times
from stixlab.telemetry.decode import Columns, decode_all
from stixlab.telemetry.duplicates import mark_duplicates
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.requests import request_keys
from stixlab.telemetry.schemes import SchemeProblem, scheme_problems
from stixlab.telemetry.sources import Kind, iter_packets, recognise
from stixlab.telemetry.streams import unpacked
from stixlab.telemetry.telecommands import read_telecommands
from stixlab.timing import ClockTable, to_datetime, to_datetime64
from stixlab.vocabulary import CONTEXT_TYPES, ORIGINS, PRODUCT_TYPES

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "DayKey",
    "Received",
    "decode_once",
    "level1_by_day",
    "receive_fits",
    "receive_telemetry",
]

DayKey = tuple[str, str, str]
"""Product type, origin, UTC day (``YYYY-MM-DD``)."""
_CHUNK_BYTES = 1 << 23
_FITS_BEGIN = b"SIMPLE  ="
_SCHEME_REASONS = {
    SchemeProblem.IMPOSSIBLE: "expected a compression scheme of at most 8 bits; its counts have no value",
    SchemeProblem.NO_SIGN: "expected a compression scheme with a sign bit, as the data have negative values",
}


@dataclass
class Received:
    """A stored file, and what it touches."""

    raw_file: RawFile
    days: dict[DayKey, list[xr.Dataset]] = field(default_factory=dict)
    """Product type, origin and day, with the datasets that the file alone gives of it (none: to be made from what
    is stored)."""
    commands: list[Telecommand] = field(default_factory=list)
    """Telecommands that it reports."""
    request: xr.Dataset | None = None
    """The data request that an imported product holds."""
    context: Product | None = None
    """Record of an imported product of context: orbit and attitude, or calibration."""


@dataclass
class _Taken:
    """What the packets of a file led to, piece by piece."""

    days: dict[DayKey, list[xr.Dataset]] = field(default_factory=dict)
    requests: set[str] = field(default_factory=set)
    left_out: BuildReport = field(default_factory=BuildReport)
    times: list[NDArray[np.datetime64]] = field(default_factory=list)
    n_blocks: int = 0
    origins: set[int] = field(default_factory=set)

    def take(self, block: PacketBlock, versions: Versions, clock: ClockTable) -> PacketBlock:
        """Look at some packets; they come back with their final statuses."""
        decoded, block = decode_once(block, versions)
        self._note_schemes(decoded)
        days = level1_by_day(decoded, clock, versions, self.left_out)
        for ds in (d for parts in days.values() for d in parts):
            bounds = ds["time_bounds"].to_numpy()
            self.times.append(np.array([bounds.min(), bounds.max()]))
        self.n_blocks += 1
        # what was made of one of several pieces is not kept in memory: it is made anew from what is stored
        self.days = days if self.n_blocks == 1 else {key: [] for key in {*self.days, *days}}
        self.requests |= request_keys(block, versions)
        self.origins |= set(np.unique(block.origin).tolist())
        return block

    def _note_schemes(self, decoded: Mapping[int, Columns]) -> None:
        """Compression that makes no sense: the counts of such packets are flagged, the rest of them stays."""
        for columns in decoded.values():
            problems = scheme_problems(columns)
            for problem, reason in _SCHEME_REASONS.items():
                faulty = problems & problem != 0
                self.left_out.leave_out(faulty, columns.block.source_offset, reason)

    @property
    def coverage(self) -> tuple[datetime | None, datetime | None]:
        """Earliest and latest time of packets and data; none if nothing has a time."""
        if not self.times:
            return None, None
        return to_datetime(min(t.min() for t in self.times)), to_datetime(max(t.max() for t in self.times))


def receive_telemetry(
    source: bytes | Path,
    name: str,
    sha256: str,
    *,
    archive: Archive,
    versions: Versions,
    clock: ClockTable,
) -> Received:
    """Store a telemetry file and its packets; nothing is stored of a file that is no telemetry.

    Parameters
    ----------
    source
        Its content, or for what is too large for memory, a file that holds it.
    name, sha256
        Name under which it arrived, hash of its content.
    archive, versions, clock

    Raises
    ------
    FormatError
        If the content is of no kind that is known.
    ArchiveError
        If it cannot be stored.
    """
    report = DecodeReport(name=name)
    taken = _Taken()
    with archive.write_packets(sha256, versions) as writer:
        for block in iter_packets(source, name, versions, report, chunk_bytes=_CHUNK_BYTES):
            writer.append(taken.take(block, versions, clock))
        commands: list[Telecommand] = []
        if report.kind == Kind.EDDS_TC:
            report = DecodeReport(name=name, kind=report.kind)
            commands = list(read_telecommands(source, name, report))
            taken.times += [np.array([to_datetime64(c.time)]) for c in commands if c.time is not None]
        if isinstance(source, bytes):
            archive.store_raw(source)
    packets = archive.open_packets(sha256)
    if len(packets):
        report.count_packets(packets.block)
        span = covered_times(packets, clock)
        taken.times += [np.array(span)] if span else []
    start, end = taken.coverage
    raw_file = RawFile(
        sha256=sha256,
        names=(name,),
        kind=report.kind,
        size_bytes=report.size_bytes,
        origin=ORIGINS[max(taken.origins, default=0)] if len(taken.origins) < 2 else ORIGINS[0],
        received=datetime.now(UTC).replace(microsecond=0),
        packets=dict(report.packets),
        structures=dict(report.structures),
        days=tuple(sorted(map("/".join, taken.days))),
        requests=tuple(sorted(taken.requests)),
        start=start,
        end=end,
        report={**report.as_document(), "left_out": taken.left_out.as_document()},
    )
    return Received(raw_file, taken.days, commands)


def receive_fits(content: bytes, path: Path, *, archive: Archive, clock: ClockTable) -> Received:
    """Store a FITS file made by others.

    Raises
    ------
    FormatError
        If it is not a FITS file, or of a product or dialect that is not read.
    ArchiveError
        If it cannot be stored.
    """
    from stixlab.products.formats.fits_dialects import read_fits
    from stixlab.products.formats.fits_layout import is_request
    from stixlab.products.level1 import split_days

    plain = unpacked(content)
    if not plain.startswith(_FITS_BEGIN):
        raise FormatError(
            f"{path.name}: expected a FITS product (SIMPLE = T at its begin, gzip or not); found none;"
            " `stixlab ingest` takes telemetry, `stixlab elut import` tables of energies"
        )
    kind = recognise(content, path.name)
    if kind is not Kind.FITS:
        raise FormatError(f"{path.name}: expected a FITS product, found {kind}; use `stixlab ingest` for it")
    ds = read_fits(path, clock, content=plain)
    product, origin = ds.attrs["product"], ds.attrs["origin"]
    around = context_type(ds, path.name)
    if not around and product not in PRODUCT_TYPES:
        raise FormatError(
            f"{path.name}: expected a product of {', '.join((*PRODUCT_TYPES, *CONTEXT_TYPES))}; found {product}, level"
            f" {ds.attrs['level']}"
        )
    request = ds if is_request(product) else None
    by_day = not around and request is None
    days: dict[DayKey, list[xr.Dataset]] = {
        (product, origin, str(day)): [part] for day, part in (split_days(ds) if by_day else ())
    }
    sha256, _ = archive.store_raw(content)
    bounds = ds["time_bounds"].to_numpy()
    raw_file = RawFile(
        sha256=sha256,
        names=(path.name,),
        kind=str(kind),
        size_bytes=len(content),
        origin=origin,
        received=datetime.now(UTC).replace(microsecond=0),
        start=to_datetime(bounds.min()),
        end=to_datetime(bounds.max()),
        days=tuple(sorted(map("/".join, days))),
        report={"dialect": ds.attrs.get("dialect", ""), "level": ds.attrs.get("source_level", "")},
    )
    context = context_product(ds, path.name, sha256) if around else None
    return Received(raw_file, days, request=request, context=context)


def level1_by_day(
    decoded: Mapping[int, Columns],
    clock: ClockTable,
    versions: Versions,
    left_out: BuildReport,
) -> dict[DayKey, list[xr.Dataset]]:
    """Level 1 datasets of decoded packets by product type, origin and UTC day.

    Packets that give no data, such as those whose on-board time is not synchronised, are noted in `left_out`.
    A day has several datasets when the energies changed within it.
    """
    from stixlab.products.level1 import make_level1, split_days

    days: dict[DayKey, list[xr.Dataset]] = {}
    for columns in decoded.values():
        structure = _structure(columns)
        if structure not in BUILDERS:
            continue
        product = BUILDERS[structure].product
        origins = columns.block.origin
        for index in np.unique(origins).tolist():
            chosen = origins == index
            part = columns if chosen.all() else columns.select(chosen)
            for ds in make_level1(part, clock, versions, origin=ORIGINS[index], report=left_out):
                for day, piece in split_days(ds):
                    days.setdefault((product, ORIGINS[index], str(day)), []).append(piece)
    return days


def _structure(columns: Columns) -> tuple[int, int, int] | None:
    """Service, subservice and structure of decoded packets; None if there are none."""
    block = columns.block
    return (int(block.service[0]), int(block.subtype[0]), int(block.ssid[0])) if len(columns) else None


def decode_once(block: PacketBlock, versions: Versions) -> tuple[dict[int, Columns], PacketBlock]:
    """Decoded columns by SPID with each packet once, and the block with its final statuses.

    Which copy of a repeated packet is good is known when all of them were decoded.
    """
    decoded, block = decode_all(block.as_received(), versions, keep_trailing=True)
    marked = mark_duplicates(block)
    if np.array_equal(marked.status, block.status):
        return decoded, block
    again = np.where(marked.status == Status.TRAILING, Status.OK, marked.status).astype(np.uint8)
    return decode_all(marked.with_status(again), versions, keep_trailing=True)
