"""From stored packets to the products of a day. A product is a function of the set of packets, not of their arrival."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.datasets.report import BuildReport
from stixlab.idb import Versions
from stixlab.ingest.completeness import is_told_alike, judge_day, names_of_sources
from stixlab.ingest.headers import DayPlaces, PlaceSources, place_keywords
from stixlab.ingest.provenance import changed_inputs, describe, inputs_of, parts_by_energies
from stixlab.ingest.receive import DayKey, decode_once, level1_by_day
from stixlab.ingest.repair import drop_damaged, is_fits_sound
from stixlab.model import Product, RawFile
from stixlab.products.completeness import Completeness, span_of_bins
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.packet_file import PacketFile
from stixlab.telemetry.sources import Kind
from stixlab.telemetry.streams import unpacked
from stixlab.timing import ClockTable
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
    datasets = [merge(g).assign_attrs(source_sha256=" ".join(sources)) for g in parts_by_energies(parts)]
    for number, ds in enumerate(datasets):
        judged = judge_day(datasets, task.contributors, np.datetime64(task.key[2], "D"))
        product, same = _store(task, number, ds, archive, inputs, judged=judged)
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
    task: DayTask,
    number: int,
    ds: xr.Dataset,
    archive: Archive,
    inputs: dict[str, str],
    *,
    judged: Completeness,
) -> tuple[Product, bool]:
    """Write both forms of a product, unless they are there: its record, and whether its content is as it was."""
    from stixlab.products.level1 import content_sha256

    product_type, origin, day = task.key
    identity = product_id("L1", product_type, day, origin, number)
    content = content_sha256(ds)
    known = task.known.get(identity)
    same = known is not None and known.content_sha256 == content
    sound = known is not None and _is_sound(known, archive, look=task.again)
    start, end = span_of_bins(ds["time_bounds"].to_numpy())
    product = Product(
        product_id=identity,
        type=product_type,
        level="L1",
        origin=origin,
        start=start,
        end=end,
        version=known.version + (0 if same else 1) if known is not None else 1,
        content_sha256=content,
        n_times=ds.sizes["time"],
        sources=tuple(sorted(f.sha256 for f in task.contributors)),
        provenance=describe(ds, inputs),
        created=datetime.now(UTC).replace(microsecond=0),
        hidden=known.hidden if known is not None else "",
        complete=judged.complete is not False,
        why=judged.why,
    )
    if known is not None and same:
        product = replace(product, created=known.created or product.created)
        if sound and is_told_alike(known, product):
            if not changed_inputs(known, inputs):
                return known, True
            forms = {n: getattr(known, n) for n in ("fits", "fits_sha256", "fits_bytes")}
            return replace(product, zarr=_stored(ds, task, content, archive), **forms), True
    product = replace(product, zarr=_stored(ds, task, content, archive))
    return _with_fits(product, task, ds, archive, number=number, judged=judged), bool(same)


def _stored(ds: xr.Dataset, task: DayTask, content: str, archive: Archive) -> str:
    return archive.store_dataset(ds, np.datetime64(task.key[2], "D"), content)


def _with_fits(
    product: Product, task: DayTask, ds: xr.Dataset, archive: Archive, *, number: int, judged: Completeness
) -> Product:
    """Write the FITS form of a product."""
    from stixlab.products.formats.fits import write_fits
    from stixlab.products.formats.fits_layout import fits_folder, fits_name

    date = np.datetime64(task.key[2], "D")
    name = fits_name(
        product.type,
        date,
        product.version,
        complete=product.complete,
        origin=product.origin,
        part=number,
    )
    folder = fits_folder("L1", date, product.type)
    key = f"{'' if product.origin == FLIGHT else product.origin + '/'}{folder}/{name}"
    sha256, size = write_fits(
        ds,
        archive.target(key),
        version=product.version,
        created=product.created or datetime.now(UTC).replace(microsecond=0),
        **names_of_sources(task.contributors),
        complete=judged.complete,
        why=judged.why,
        keywords=place_keywords(ds, task.place, archive),
    )
    return replace(product, fits=key, fits_sha256=sha256, fits_bytes=size)


def _is_sound(known: Product, archive: Archive, *, look: bool) -> bool:
    """Whether the files of a product are what they were; a dataset that is not is removed."""
    return not look or (not drop_damaged(archive, known) and is_fits_sound(archive, known))
