"""The Python client, in process: everything by name and time, lazily."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.errors import ArchiveError, NotInCatalogError, ParameterError, SchemaError
from stixlab.files import new_file, sha256_of
from stixlab.model import Flare, Product, Run, ScienceRequest, Telecommand
from stixlab.settings import Settings
from stixlab.timing import ClockTable, format_scet, parse_scet, to_datetime, to_datetime64
from stixlab.vocabulary import ORIGINS, product_type

if TYPE_CHECKING:
    import xarray as xr
    from astropy.table import QTable

    from stixlab.idb import Versions
    from stixlab.packets.table import PacketTable
    from stixlab.packets.tree import PacketTree
    from stixlab.telemetry.assembly import Assembled

__all__ = ["Lab"]

Time = str | datetime | np.datetime64
"""A time in UTC: ISO text, datetime (without zone: UTC), or numpy."""


@dataclass(frozen=True)
class Lab:
    """Connection to a data center on this machine.

    Made by `stixlab.connect()`; holds no open file and no lock.
    """

    settings: Settings
    catalog: Any
    """Stores of records (`raw_files`, `products`, `flares`, `runs`)."""
    archive: Archive
    clock: ClockTable
    run_pipeline: Callable[[str, dict[str, Any]], Run]

    def open(
        self,
        type: str,
        start: Time | None = None,
        end: Time | None = None,
        *,
        origin: str | None = None,
    ) -> xr.Dataset:
        """Level 1 data of a time range, lazily.

        Parameters
        ----------
        type
            Archive name of the product type, such as ``ql-lightcurve``.
        start, end
            UTC; bins whose middle lies in ``[start, end)``. By default the last day there is.
        origin
            ``flight`` or ``simulated``. By default what the instrument measured, and simulated data only
            where the range holds nothing else.

        Returns
        -------
        xarray.Dataset
            Backed by dask; ``attrs["origin"]`` says which kind it is.

        Raises
        ------
        NotInCatalogError
            If there is nothing in the range; the message says what there is near it.
        SchemaError
            If the energies change within the range, or the product type is unknown.
        """
        from stixlab.products.formats.zarr import open_many

        product_type(type)
        low, high = self._range(type, start, end, origin)
        found = self.products(type=type, level="L1", start=low, end=high, origin=origin)
        chosen = self._one_origin(found, origin)
        if not chosen:
            raise self._nothing(type, low, high, origin)
        keys = [self.archive.path(p.zarr) for p in chosen]
        ds = open_many(keys)
        middle = ds["time"].to_numpy()
        first, last = np.searchsorted(middle, [low, high])
        if first == last:
            raise self._nothing(type, low, high, origin)
        return ds.isel(time=slice(int(first), int(last)))

    def products(
        self,
        *,
        type: str | None = None,
        level: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        origin: str | None = None,
    ) -> list[Product]:
        """Products that touch a time range, earliest first."""
        _check_origin(origin)
        return list(
            self.catalog.products.find(
                type=type,
                level=level,
                start=None if start is None else to_datetime(to_datetime64(start)),
                end=None if end is None else to_datetime(to_datetime64(end)),
                origin=origin,
            )
        )

    def flares(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        min_counts: float = 0.0,
        origin: str | None = None,
    ) -> QTable:
        """Flares whose peak lies in ``[start, end)``, earliest first.

        Parameters
        ----------
        min_counts
            Smallest peak, 4-10 keV counts per 4 s.
        origin
            ``flight`` or ``simulated``; by default both, and the column ``origin`` says which.

        Returns
        -------
        astropy.table.QTable
            One row a flare, with units; no rows if there is none.
        """
        from stixlab.analysis.flares import flares_to_table

        return flares_to_table(self.find_flares(start, end, min_counts=min_counts, origin=origin))

    def find_flares(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        min_counts: float = 0.0,
        origin: str | None = None,
    ) -> list[Flare]:
        """The same as `flares`, as records."""
        _check_origin(origin)
        return list(
            self.catalog.flares.find(
                start=None if start is None else to_datetime(to_datetime64(start)),
                end=None if end is None else to_datetime(to_datetime64(end)),
                min_counts=min_counts,
                origin=origin,
            )
        )

    def fetch(
        self, product: Product | str | Iterable[Product | str], out: Path | str = "."
    ) -> Path | list[Path]:
        """Copy the FITS file of a product, its checksum verified.

        Returns
        -------
        Path, or list of Path for several products

        Raises
        ------
        NotInCatalogError
            If there is no such product.
        ArchiveError
            If its file is missing or damaged; nothing is left at the target then.
        """
        if not isinstance(product, Product | str):
            return [self._fetch_one(p, Path(out)) for p in product]
        return self._fetch_one(product, Path(out))

    def to_utc(self, scet: str | float) -> np.datetime64:
        """UTC of an on-board time, given as ``coarse:fine`` or in seconds."""
        coarse, fine = parse_scet(str(scet))
        return np.datetime64(int(self.clock.to_utc(coarse, fine).astype(np.int64)), "ns")

    def to_scet(self, utc: Time) -> str:
        """On-board time of a UTC, as ``coarse:fine``."""
        coarse, fine = self.clock.to_scet(to_datetime64(utc))
        return format_scet(int(coarse), int(fine))

    @cached_property
    def versions(self) -> Versions:
        """Packet definitions, by the time from which they hold."""
        from stixlab.idb import IMPORTED, load_versions

        return load_versions(self.settings.idb, self.settings.home / IMPORTED)

    def packets(self, **conditions: Any) -> PacketTable:
        """Packets that meet all conditions, a page at a time; see `stixlab.client.packets.find_packets`.

        Examples
        --------
        >>> lab.packets(start="2021-06-06", end="2021-06-07", text="light curve", limit=20)
        """
        from stixlab.client.packets import find_packets

        return find_packets(self, **conditions)

    def packet(self, identity: str) -> PacketTree:
        """A packet by its id: header, fields as a tree, bytes; see `stixlab.client.packets.get_packet`."""
        from stixlab.client.packets import get_packet

        return get_packet(self, identity)

    def requests(self, **conditions: Any) -> list[ScienceRequest]:
        """Data requests by `type`, `start`, `end`, `origin`, `complete`; see `stixlab.client.requests.find_requests`."""
        from stixlab.client.requests import find_requests

        return find_requests(self.catalog, **conditions)

    def request(self, name: str | int) -> Assembled:
        """All packets of a data request, decoded and in order; see `stixlab.client.requests.get_request`."""
        from stixlab.client.requests import get_request

        return get_request(
            name, catalog=self.catalog, archive=self.archive, versions=self.versions, clock=self.clock
        )

    def telecommands(
        self, start: Time | None = None, end: Time | None = None, **conditions: Any
    ) -> list[Telecommand]:
        """Telecommands of a time range; see `stixlab.client.telecommands.find_telecommands`."""
        from stixlab.client.telecommands import find_telecommands

        return find_telecommands(self.catalog, start, end, **conditions)

    def telecommand(self, identity: str) -> Telecommand:
        """A telecommand by its identity; see `stixlab.client.telecommands.get_telecommand`."""
        from stixlab.client.telecommands import get_telecommand

        return get_telecommand(self.catalog, identity)

    def run(self, pipeline: str, **parameters: Any) -> Run:
        """Run a pipeline and wait for it.

        Raises
        ------
        ParameterError
            If a parameter is unknown, missing or wrong; nothing is started.
        PipelineError
            If the run failed; the message says in which cell and why.
        AccessError
            If this role may only read.
        """
        return self.run_pipeline(pipeline, parameters)

    @property
    def db(self) -> Any:
        """The pymongo database, with the rights of this role."""
        return self.catalog.database

    def _fetch_one(self, product: Product | str, out: Path) -> Path:
        record = product if isinstance(product, Product) else self.catalog.products.get(product)
        if record is None:
            raise NotInCatalogError(
                f"product {product!r}: not in the catalogue; `stixlab products` lists them"
            )
        source = self.archive.path(record.fits)
        target = out / source.name if out.is_dir() or not out.suffix else out
        with new_file(target) as temporary:
            try:
                shutil.copyfile(source, temporary)
            except FileNotFoundError:
                raise ArchiveError(
                    f"{record.product_id}: its file {record.fits} is missing from the archive"
                ) from None
            found = sha256_of(temporary)
            if found != record.fits_sha256:
                raise ArchiveError(
                    f"{record.fits}: expected content {record.fits_sha256}, found {found}; the archive's file is damaged"
                )
        return target

    def _range(
        self,
        type: str,
        start: Time | None,
        end: Time | None,
        origin: str | None,
    ) -> tuple[np.datetime64, np.datetime64]:
        """The range asked for, or the last day there is."""
        low = None if start is None else to_datetime64(start)
        high = None if end is None else to_datetime64(end)
        if low is not None and high is not None and low >= high:
            raise ParameterError(f"time range: expected start before end; found {low} and {high}")
        if low is None or high is None:
            latest = self.catalog.products.latest(type=type, origin=origin)
            if latest is None:
                raise NotInCatalogError(f"{type}: there is none yet; `stixlab ingest` takes telemetry files")
            last = np.datetime64(latest.end.replace(tzinfo=None), "ns")
            day = np.timedelta64(1, "D")
            high = high if high is not None else (last if low is None else max(last, low + day))
            low = low if low is not None else high - day
        return low, high

    def _one_origin(self, found: list[Product], origin: str | None) -> list[Product]:
        if origin is not None:
            return found
        there = [o for o in ORIGINS if any(p.origin == o for p in found)]
        if len(there) > 1:
            others = ", ".join(f"origin={o!r}" for o in there[1:])
            warnings.warn(
                f"the range holds data of other origins, too, which are left out; {others} gives them",
                stacklevel=3,
            )
        return [p for p in found if p.origin == there[0]] if there else found

    def _nothing(
        self,
        type: str,
        low: np.datetime64,
        high: np.datetime64,
        origin: str | None,
    ) -> NotInCatalogError:
        near = self.catalog.products.nearest(type=type, time=to_datetime(low), origin=origin)
        there = (
            f"the nearest is {near.start:%Y-%m-%dT%H:%M:%S} to {near.end:%Y-%m-%dT%H:%M:%S}"
            if near is not None
            else "there is none at all yet"
        )
        kind = f" ({origin})" if origin else ""
        return NotInCatalogError(
            f"{type}{kind}: nothing from {np.datetime_as_string(low, 's')} to {np.datetime_as_string(high, 's')}; {there}",
            nearest=near,
        )


def _check_origin(origin: str | None) -> None:
    if origin is not None and origin not in ORIGINS:
        raise SchemaError(f"origin: expected one of {', '.join(ORIGINS)}; found {origin!r}")
