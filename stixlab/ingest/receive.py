"""From a file to stored packets: what is done once for each content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stixlab.archive import Archive
from stixlab.datasets.registry import BUILDERS
from stixlab.datasets.report import BuildReport
from stixlab.errors import FormatError
from stixlab.idb import Versions
from stixlab.model import RawFile
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.sources import Kind, read_packets, recognise
from stixlab.timing import ClockTable, to_datetime
from stixlab.vocabulary import FLIGHT, SIMULATED

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "DayKey",
    "Received",
    "decode_structures",
    "find_files",
    "level1_by_day",
    "receive_fits",
    "receive_telemetry",
]

_UNFINISHED = (".part", ".tmp", ".filepart")

DayKey = tuple[str, str, str]
"""Product type, origin, UTC day (``YYYY-MM-DD``)."""


@dataclass
class Received:
    """A stored file, and the datasets that it alone gives, by product type, origin and day."""

    raw_file: RawFile
    days: dict[DayKey, list[xr.Dataset]] = field(default_factory=dict)


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files named, and files below folders named; hidden and unfinished ones within folders are left out.

    Raises
    ------
    FormatError
        If a path does not exist.
    """
    for path in paths:
        if path.is_dir():
            for each in sorted(path.rglob("*")):
                hidden = any(part.startswith(".") for part in each.relative_to(path).parts)
                if each.is_file() and not hidden and not each.name.endswith(_UNFINISHED):
                    yield each
        else:
            yield path


def receive_telemetry(
    content: bytes, path: Path, *, archive: Archive, versions: Versions, clock: ClockTable
) -> Received:
    """Store a telemetry file and its packets; nothing is stored of a file that is no telemetry.

    Raises
    ------
    FormatError
        If the content is of no kind that is known.
    ArchiveError
        If it cannot be stored.
    """
    kind = recognise(content, path.name)
    block, report = read_packets(content, path.name, versions)
    block, decoded = _decode_all(block, report, versions)
    left_out = BuildReport()
    days = level1_by_day(decoded, clock, versions, left_out)
    sha256, _ = archive.store_raw(content)
    archive.store_block(sha256, block)
    start, end = _coverage(block, clock, days)
    raw_file = RawFile(
        sha256=sha256,
        names=(path.name,),
        kind=str(kind),
        size_bytes=len(content),
        origin=SIMULATED if len(block) and bool(block.simulated.all()) else FLIGHT,
        received=datetime.now(UTC).replace(microsecond=0),
        packets=dict(report.packets),
        structures=dict(report.structures),
        days=tuple(sorted(map("/".join, days))),
        start=start,
        end=end,
        report={
            **report.as_document(),
            "undecoded": _undecoded(block),
            "left_out": left_out.as_document(),
        },
    )
    return Received(raw_file, days)


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
    from stixlab.products.level1 import split_days

    kind = recognise(content, path.name)
    if kind is not Kind.FITS:
        raise FormatError(f"{path.name}: expected a FITS product, found {kind}; use `stixlab ingest` for it")
    ds = read_fits(path, clock, content=content)
    product, origin = ds.attrs["product"], ds.attrs["origin"]
    days: dict[DayKey, list[xr.Dataset]] = {
        (product, origin, str(day)): [part] for day, part in split_days(ds)
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
    return Received(raw_file, days)


def level1_by_day(
    decoded: Mapping[tuple[int, int, int], Columns],
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
    for structure, columns in decoded.items():
        product = BUILDERS[structure].product
        simulated = columns.block.simulated
        for origin, chosen in ((FLIGHT, ~simulated), (SIMULATED, simulated)):
            if not chosen.any():
                continue
            part = columns if chosen.all() else columns.select(chosen)
            for ds in make_level1(part, clock, versions, origin=origin, report=left_out):
                for day, piece in split_days(ds):
                    days.setdefault((product, origin, str(day)), []).append(piece)
    return days


def decode_structures(
    block: PacketBlock, versions: Versions, structures: Iterable[tuple[int, int, int]]
) -> dict[tuple[int, int, int], Columns]:
    """Decoded columns of some structures; packets that are not ok are left out."""
    decoded = {}
    for service, subtype, ssid in structures:
        chosen = (
            (block.service == service)
            & (block.subtype == subtype)
            & (block.ssid == ssid)
            & (block.status == Status.OK)
        )
        if chosen.any():
            part = block.select(chosen)
            decoded[service, subtype, ssid] = decode(part, int(part.spid[0]), versions)[0]
    return decoded


def _decode_all(
    block: PacketBlock, report: DecodeReport, versions: Versions
) -> tuple[PacketBlock, dict[tuple[int, int, int], Columns]]:
    """Decode every structure that has a builder; what the decoder found wrong goes into block and report."""
    decoded = {}
    status = block.status.copy()
    for structure in BUILDERS:
        service, subtype, ssid = structure
        index = np.flatnonzero(
            (block.service == service)
            & (block.subtype == subtype)
            & (block.ssid == ssid)
            & (block.status == Status.OK)
        )
        if index.size:
            part = block.select(index)
            decoded[structure], found = decode(part, int(part.spid[0]), versions)
            status[index] = found
    block = block.with_status(status)
    report.count_packets(block)
    return block, decoded


def _undecoded(block: PacketBlock) -> dict[str, int]:
    """Packets that are whole and known but have no definition yet, by structure."""
    kept = block.select(block.status == Status.UNDECODED)
    rows = zip(kept.service.tolist(), kept.subtype.tolist(), kept.ssid.tolist(), strict=True)
    return {f"{a},{b}" + (f",{c}" if c >= 0 else ""): n for (a, b, c), n in sorted(Counter(rows).items())}


def _coverage(
    block: PacketBlock, clock: ClockTable, days: Mapping[DayKey, list[xr.Dataset]]
) -> tuple[datetime | None, datetime | None]:
    """Earliest and latest time of packet headers and data; none if no packet is synchronised."""
    times = [d["time_bounds"].to_numpy() for parts in days.values() for d in parts]
    chosen = block.synchronised & (block.status <= Status.UNDECODED)
    if chosen.any():
        times.append(clock.to_utc(block.scet_coarse[chosen], block.scet_fine[chosen]))
    if not times:
        return None, None
    return to_datetime(min(t.min() for t in times)), to_datetime(max(t.max() for t in times))
