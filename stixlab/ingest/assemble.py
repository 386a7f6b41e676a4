"""From stored packets to the products of a day. A product is a function of the set of packets, not of their arrival."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.datasets.report import BuildReport
from stixlab.idb import Versions
from stixlab.ingest.receive import DayKey, decode_structures, level1_by_day
from stixlab.model import Product, RawFile
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.sources import Kind
from stixlab.timing import ClockTable, to_datetime
from stixlab.vocabulary import FLIGHT, PRODUCT_TYPES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Assembler", "product_id"]

_MARGIN = timedelta(days=1)
"""Packets are dumped after the data in them: headers are looked for this far beyond the day on both sides."""
_TRUST = {"L2": 0, "L1": 1, "L1A": 2, "L0": 3}
"""Which level of an imported file comes first where several cover a time."""


def product_id(level: str, product_type: str, day: str, origin: str, part: int = 0) -> str:
    """Identity of the product of a day; further parts of a day have other energies."""
    suffix = f"-{part + 1}" if part else ""
    return f"{level}_{product_type}_{day.replace('-', '')}_{origin}{suffix}"


@dataclass(frozen=True)
class Assembler:
    """Makes the products of a day from everything that is stored."""

    catalog: Any
    archive: Archive
    versions: Versions
    clock: ClockTable

    def make(self, key: DayKey, fresh: list[xr.Dataset], source: str) -> tuple[list[Product], int]:
        """Make and catalogue the products of a day.

        Parameters
        ----------
        key
            Product type, origin, day.
        fresh
            Datasets that one file alone gives for that day.
        source
            Hash of that file.

        Returns
        -------
        list of Product, int
            What is new or changed, and how many came out as they were.
        """
        from stixlab.products.level1 import merge

        others = [f for f in self._contributors(key) if f.sha256 != source]
        if others:
            mine = self.catalog.raw_files.get(source)
            parts, sources = self._gather(key, [*others, *([mine] if mine else [])])
        else:
            parts, sources = fresh, {source}
        changed, unchanged = [], 0
        for number, group in enumerate(_by_energies(parts)):
            product, is_new = self._store(key, number, merge(group), sources)
            if is_new:
                changed.append(product)
            else:
                unchanged += 1
        self._remove_superseded(key)
        return changed, unchanged

    def _contributors(self, key: DayKey) -> list[RawFile]:
        start = datetime.fromisoformat(key[2]).replace(tzinfo=UTC)
        found = self.catalog.raw_files.find(start=start - _MARGIN, end=start + 2 * _MARGIN)
        return [f for f in found if "/".join(key) in f.days]

    def _gather(self, key: DayKey, contributors: list[RawFile]) -> tuple[list[xr.Dataset], set[str]]:
        """Datasets of the day from all files, in the order of trust, and the files."""
        product_type, _, day = key
        parts: list[xr.Dataset] = []
        telemetry = sorted((f for f in contributors if f.kind != Kind.FITS), key=lambda f: f.sha256)
        blocks = [self._near(self.archive.load_block(f.sha256), day) for f in telemetry]
        if blocks:
            structure = PRODUCT_TYPES[product_type].packet
            decoded = decode_structures(PacketBlock.concatenate(blocks), self.versions, [structure])
            parts += level1_by_day(decoded, self.clock, self.versions, BuildReport()).get(key, [])
        imported = [f for f in contributors if f.kind == Kind.FITS]
        for each in sorted(imported, key=lambda f: (_TRUST.get(f.report.get("level", ""), 9), f.sha256)):
            found = self._imported(each, day)
            if found is not None:
                parts.append(found)
        return parts, {f.sha256 for f in contributors}

    def _near(self, block: PacketBlock, day: str) -> PacketBlock:
        """Packets whose header lies within the margin around the day."""
        middle = np.datetime64(day, "ns")
        margin = np.timedelta64(_MARGIN)
        utc = self.clock.to_utc(block.scet_coarse, block.scet_fine)
        return block.select((utc >= middle - margin) & (utc < middle + 2 * margin) & block.synchronised)

    def _imported(self, raw_file: RawFile, day: str) -> xr.Dataset | None:
        from stixlab.products.formats.fits_dialects import read_fits
        from stixlab.products.level1 import split_days

        content = self.archive.read_raw(raw_file.sha256)
        ds = read_fits(Path(raw_file.names[0]), self.clock, content=content)
        return next((part for found, part in split_days(ds) if str(found) == day), None)

    def _store(self, key: DayKey, number: int, ds: xr.Dataset, sources: set[str]) -> tuple[Product, bool]:
        """Write both forms of a product, then its catalogue entry; nothing if it is there already."""
        from stixlab.products.formats.fits import write_fits
        from stixlab.products.formats.fits_layout import fits_folder, fits_name
        from stixlab.products.level1 import content_sha256

        product_type, origin, day = key
        identity = product_id("L1", product_type, day, origin, number)
        content = content_sha256(ds)
        known = self.catalog.products.get(identity)
        ordered = tuple(sorted(sources))
        if known is not None and known.content_sha256 == content and known.sources == ordered:
            return known, False
        same = known is not None and known.content_sha256 == content
        version = known.version + (0 if same else 1) if known is not None else 1
        created = datetime.now(UTC).replace(microsecond=0)
        date = np.datetime64(day, "D")
        ds = ds.assign_attrs(source_sha256=" ".join(ordered))
        zarr = self.archive.store_dataset(ds, date, content)
        if same and known is not None:
            fits, fits_sha256, fits_bytes, created = (
                known.fits,
                known.fits_sha256,
                known.fits_bytes,
                known.created or created,
            )
        else:
            name = fits_name(product_type, date, version, origin=origin, part=number)
            fits = f"{'' if origin == FLIGHT else origin + '/'}{fits_folder('L1', date, product_type)}/{name}"
            fits_sha256, fits_bytes = write_fits(
                ds, self.archive.path(fits), version=version, created=created
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
            sources=ordered,
            provenance={
                k: ds.attrs[k] for k in ("software_version", "idb_version", "clock") if k in ds.attrs
            },
            created=created,
        )
        self.catalog.products.save(product)
        return product, not same

    def _remove_superseded(self, key: DayKey) -> None:
        product_type, _origin, day = key
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        named = self.catalog.products.find(type=product_type, start=start, end=start + timedelta(days=1))
        self.archive.remove_superseded("L1", product_type, np.datetime64(day, "D"), {p.zarr for p in named})


def _by_energies(parts: list[xr.Dataset]) -> list[list[xr.Dataset]]:
    """Datasets grouped by their energies, groups in the order of their first time."""
    groups: dict[bytes, list[xr.Dataset]] = {}
    for ds in parts:
        bounds = ds["energy_bounds"].to_numpy().tobytes() if "energy_bounds" in ds.variables else b""
        groups.setdefault(bounds, []).append(ds)
    return sorted(groups.values(), key=lambda g: min(d["time_bounds"].to_numpy().min() for d in g))
