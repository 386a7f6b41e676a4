"""From stored packets to the products of a day. A product is a function of the set of packets, not of their arrival."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.datasets.report import BuildReport
from stixlab.idb import Versions
from stixlab.ingest.headers import DayPlaces, PlaceSources, place_keywords
from stixlab.ingest.provenance import changed_inputs, describe, inputs_of, is_placed_alike, parts_by_energies
from stixlab.ingest.receive import DayKey, decode_once, level1_by_day
from stixlab.ingest.repair import drop_damaged, is_fits_sound
from stixlab.model import Product, RawFile
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.packet_file import PacketFile
from stixlab.telemetry.sources import Kind
from stixlab.telemetry.streams import unpacked
from stixlab.timing import ClockTable, to_datetime
from stixlab.vocabulary import FLIGHT, ORIGINS, PRODUCT_TYPES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DayTask", "commit", "inputs_of_day", "make_day", "plan_day", "product_id"]

_MARGIN = timedelta(days=1)
"""Packets are dumped after the data in them: headers are looked for this far beyond the day on both sides."""
_ONE = threading.Lock()
"""What collects warnings, as the reader of FITS does, collects those of all threads."""
_TRUST = {"L2": 0, "L1": 1, "L1A": 2, "L0": 3}
"""Which level of an imported file comes first where several cover a time."""


def product_id(level: str, product_type: str, day: str, origin: str, part: int = 0) -> str:
    """Identity of the product of a day; further parts of a day have other energies."""
    suffix = f"-{part + 1}" if part else ""
    return f"{level}_{product_type}_{day.replace('-', '')}_{origin}{suffix}"


@dataclass
class DayTask:
    """All that is needed to make the products of a day, without asking the catalogue again."""

    key: DayKey
    contributors: list[RawFile]
    """Files that have data of the day."""
    known: Mapping[str, Product]
    """Products of the day as they are catalogued, by id."""
    fresh: list[xr.Dataset]
    """Datasets of the day if a single new file has all of it; none: to be made from what is stored."""
    place: PlaceSources = field(default_factory=PlaceSources)
    """Where headers take the place of the spacecraft from."""
    again: bool = False
    """Whether files that are there are looked at, and written anew if they are damaged."""


@dataclass
class DayMade:
    """Products of a day as they are now."""

    key: DayKey
    changed: list[Product]
    unchanged: int
    touched: list[Product]
    """Those to be written to the catalogue."""


def plan_day(catalog: Any, key: DayKey, fresh: list[xr.Dataset], source: str, places: DayPlaces) -> DayTask:
    """Ask the catalogue what belongs to a day.

    Parameters
    ----------
    catalog
    key
        Product type, origin, day.
    fresh
        Datasets that one file alone gives for that day.
    source
        Hash of that file.
    places
        Says where headers take the place of the spacecraft from.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    product_type, origin, day = key
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    found = catalog.raw_files.find(start=start - _MARGIN, end=start + 2 * _MARGIN)
    contributors = [f for f in found if "/".join(key) in f.days]
    if not any(f.sha256 == source for f in contributors):
        mine = catalog.raw_files.get(source)
        contributors += [mine] if mine is not None else []
    known = catalog.products.find(
        type=product_type, origin=origin, start=start, end=start + timedelta(days=1), hidden=None
    )
    alone = all(f.sha256 == source for f in contributors)
    records = {p.product_id: p for p in known}
    return DayTask(key, contributors, records, fresh if alone else [], places.of(start))


def commit(catalog: Any, archive: Archive, made: DayMade) -> None:
    """Write what was made to the catalogue, then remove what it replaced from the archive."""
    for product in made.touched:
        catalog.products.save(product)
    product_type, _origin, day = made.key
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    named = catalog.products.find(type=product_type, start=start, end=start + timedelta(days=1), hidden=None)
    archive.remove_superseded("L1", product_type, np.datetime64(day, "D"), {p.zarr for p in named})


def make_day(task: DayTask, archive: Archive, versions: Versions, clock: ClockTable) -> DayMade:
    """Make the products of a day and write them to the archive; the catalogue is not touched.

    Raises
    ------
    ArchiveError
        If something cannot be read or written.
    """
    from stixlab.products.level1 import merge

    parts = task.fresh or _gather(task, archive, versions, clock)
    sources = tuple(sorted(f.sha256 for f in task.contributors))
    inputs = inputs_of_day(task, versions, clock)
    made = DayMade(task.key, [], 0, [])
    for number, group in enumerate(parts_by_energies(parts)):
        ds = merge(group).assign_attrs(source_sha256=" ".join(sources))
        product, same = _store(task, number, ds, archive, inputs)
        known = task.known.get(product.product_id)
        if same:
            made.unchanged += 1
        else:
            made.changed.append(product)
        if product is not known:
            made.touched.append(product)
    return made


def inputs_of_day(task: DayTask, versions: Versions, clock: ClockTable) -> dict[str, str]:
    """Hashes of all that decides about the products of a day."""
    start = datetime.fromisoformat(task.key[2]).replace(tzinfo=UTC)
    data = [f.sha256 for f in task.contributors]
    day = start + timedelta(days=1)
    return inputs_of(start, day, data=data, versions=versions, clock=clock, place=task.place)


def _gather(task: DayTask, archive: Archive, versions: Versions, clock: ClockTable) -> list[xr.Dataset]:
    """Datasets of the day from all files, in the order of trust."""
    parts: list[xr.Dataset] = []
    telemetry = sorted((f for f in task.contributors if f.kind != Kind.FITS), key=lambda f: f.sha256)
    blocks = [_packets_of_day(archive.open_packets(f.sha256), task.key, clock) for f in telemetry]
    if blocks:
        decoded, _ = decode_once(PacketBlock.concatenate(blocks), versions)
        parts += level1_by_day(decoded, clock, versions, BuildReport()).get(task.key, [])
    imported = [f for f in task.contributors if f.kind == Kind.FITS]
    for each in sorted(imported, key=lambda f: (_TRUST.get(f.report.get("level", ""), 9), f.sha256)):
        found = _imported(each, task.key[2], archive, clock)
        if found is not None:
            parts.append(found)
    return parts


def _packets_of_day(packets: PacketFile, key: DayKey, clock: ClockTable) -> PacketBlock:
    """Packets of the product, repeated ones included, whose header lies within the margin around the day."""
    service, subtype, ssid = PRODUCT_TYPES[key[0]].packet
    chosen = np.flatnonzero(
        (packets["service"] == service)
        & (packets["subtype"] == subtype)
        & (packets["ssid"] == ssid)
        & packets["synchronised"]
    )
    utc = clock.to_utc(packets["scet_coarse"][chosen], packets["scet_fine"][chosen])
    middle, margin = np.datetime64(key[2], "ns"), np.timedelta64(_MARGIN)
    block = packets.read(chosen[(utc >= middle - margin) & (utc < middle + 2 * margin)])
    return block.select(block.origin == ORIGINS.index(key[1]))


def _imported(raw_file: RawFile, day: str, archive: Archive, clock: ClockTable) -> xr.Dataset | None:
    from stixlab.products.formats.fits_dialects import read_fits
    from stixlab.products.level1 import split_days

    content = unpacked(archive.read_raw(raw_file.sha256))
    with _ONE:
        ds = read_fits(Path(raw_file.names[0]), clock, content=content)
    return next((part for found, part in split_days(ds) if str(found) == day), None)


def _store(
    task: DayTask, number: int, ds: xr.Dataset, archive: Archive, inputs: dict[str, str]
) -> tuple[Product, bool]:
    """Write both forms of a product, unless they are there: its record, and whether its content is as it was."""
    from stixlab.products.formats.fits import write_fits
    from stixlab.products.formats.fits_layout import fits_folder, fits_name
    from stixlab.products.level1 import content_sha256

    product_type, origin, day = task.key
    identity = product_id("L1", product_type, day, origin, number)
    sources = tuple(sorted(f.sha256 for f in task.contributors))
    content = content_sha256(ds)
    known = task.known.get(identity)
    same = known is not None and known.content_sha256 == content
    sound = known is not None and _is_sound(known, archive, look=task.again)
    if known is not None and same and sound and _is_from(known, sources, inputs):
        return known, True
    version = known.version + (0 if same else 1) if known is not None else 1
    created = datetime.now(UTC).replace(microsecond=0)
    date = np.datetime64(day, "D")
    zarr = archive.store_dataset(ds, date, content)
    if same and sound and known is not None and is_placed_alike(known, inputs):
        fits, fits_sha256, fits_bytes = known.fits, known.fits_sha256, known.fits_bytes
        created = known.created or created
    else:
        created = known.created or created if same and known is not None else created
        name = fits_name(product_type, date, version, origin=origin, part=number)
        fits = f"{'' if origin == FLIGHT else origin + '/'}{fits_folder('L1', date, product_type)}/{name}"
        fits_sha256, fits_bytes = write_fits(
            ds,
            archive.target(fits),
            version=version,
            created=created,
            keywords=place_keywords(ds, task.place, archive),
        )
    bounds = ds["time_bounds"].to_numpy()
    product = Product(
        product_id=identity,
        type=product_type,
        level="L1",
        origin=origin,
        start=to_datetime(bounds.min()),
        end=to_datetime(bounds.max()),
        version=version,
        content_sha256=content,
        n_times=ds.sizes["time"],
        zarr=zarr,
        fits=fits,
        fits_sha256=fits_sha256,
        fits_bytes=fits_bytes,
        sources=sources,
        provenance=describe(ds, inputs),
        created=created,
        hidden=known.hidden if known is not None else "",
    )
    return product, bool(same)


def _is_sound(known: Product, archive: Archive, *, look: bool) -> bool:
    """Whether the files of a product are what they were; a dataset that is not is removed."""
    return not look or (not drop_damaged(archive, known) and is_fits_sound(archive, known))


def _is_from(known: Product, sources: tuple[str, ...], inputs: dict[str, str]) -> bool:
    return known.sources == sources and not changed_inputs(known, inputs)
