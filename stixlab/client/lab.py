"""The Python client, in process: everything by name and time, lazily."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.client.opening import check_origin
from stixlab.client.places import Places
from stixlab.client.runs import NoDesk, RunDesk
from stixlab.errors import AccessError, ArchiveError, NotInCatalogError, ParameterError
from stixlab.files import new_file, sha256_of
from stixlab.model import Flare, Product, Run, ScienceRequest, Telecommand
from stixlab.settings import Settings
from stixlab.timing import ClockTable, to_datetime, to_datetime64
from stixlab.vocabulary import CONTEXT_TYPES, known_type

if TYPE_CHECKING:
    import xarray as xr
    from astropy.table import QTable

    from stixlab.client.explain import Explanation
    from stixlab.idb import Versions
    from stixlab.packets.table import PacketTable
    from stixlab.packets.tree import PacketTree
    from stixlab.telemetry.assembly import Assembled

__all__ = ["Lab"]

Time = str | datetime | np.datetime64
"""A time in UTC: ISO text, datetime (without zone: UTC), or numpy."""


@dataclass(frozen=True)
class Lab(Places):
    """Connection to a data center on this machine.

    Made by `stixlab.connect()`; holds no open file and no lock.
    """

    settings: Settings
    catalog: Any
    """Stores of records (`raw_files`, `products`, `flares`, `runs`)."""
    archive: Archive
    clock: ClockTable
    run_pipeline: Callable[[str, dict[str, Any]], Run]
    desk: RunDesk = field(default=NoDesk("public"))
    """Where runs are asked for, in the name of whoever this is."""

    def open(
        self,
        type: str,
        start: Time | None = None,
        end: Time | None = None,
        *,
        origin: str | None = None,
        request_id: int | str | None = None,
    ) -> xr.Dataset:
        """Level 1 data of a time range or of a data request, lazily.

        Parameters
        ----------
        type
            Archive name of the product type, such as ``ql-lightcurve``; also ``aux-ephemeris``, ``asp-ephemeris`` and
            ``cal-energy``, as far as they were imported or made.
        start, end
            UTC; bins whose middle lies in ``[start, end)``. By default the last day there is. Of science data the
            range must hold a single request.
        origin
            ``flight``, ``simulated`` or ``reencoded``. By default what the instrument measured, and simulated data only
            where the range holds nothing else.
        request_id
            Number of a data request, alone or as ``2312148821-51759``, its id, or the id of one of its products;
            instead of a time range.

        Returns
        -------
        xarray.Dataset
            Backed by dask; ``attrs["origin"]`` says which kind it is. ``ds.stix.to_timeseries()`` makes a sunpy time
            series of it, ``ds.to_netcdf(path, engine="h5netcdf")`` a file.

        Raises
        ------
        NotInCatalogError
            If there is nothing in the range or of the request; the message says what there is near it.
        SchemaError
            If the energies change within the range, it holds several requests, or the product type is unknown.
        ParameterError
            If both a range and a request are given.
        """
        import stixlab.analysis.accessor  # noqa: F401  (gives datasets their `stix`)
        from stixlab.client.context import open_context
        from stixlab.client.opening import open_request, open_times
        from stixlab.datasets.construction import encode_times

        if request_id is not None:
            if start is not None or end is not None:
                raise ParameterError(
                    "open: expected a range of time or a request; found both; give one of them"
                )
            if isinstance(request_id, str) and request_id.strip()[:1] == "L":
                self.check_shown(self.catalog.products.get(request_id.strip()))
            ds = open_request(self.catalog, self.archive, type, request_id, origin=origin)
        elif type in CONTEXT_TYPES:
            ds = open_context(self.catalog, self.archive, self.clock, type, (start, end))
        else:
            ds = open_times(self.catalog, self.archive, type, start, end, origin=origin)
        return encode_times(ds)

    def products(
        self,
        *,
        type: str | None = None,
        level: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        origin: str | None = None,
    ) -> list[Product]:
        """Products that touch a time range, earliest first.

        Parameters
        ----------
        type, level, origin
            Only products of this type (``ql-lightcurve``), level (``L1``), origin.
        start, end
            UTC; open where None.

        Raises
        ------
        SchemaError
            If type or origin is unknown.
        ParameterError
            If the range ends before it starts.
        TimeError
            If a time cannot be read.
        """
        check_origin(origin)
        if type is not None:
            known_type(type)
        low, high = _range(start, end)
        return list(self.catalog.products.find(type=type, level=level, start=low, end=high, origin=origin))

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
            ``flight``, ``simulated`` or ``reencoded``; by default all, and the column ``origin`` says which.

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
        check_origin(origin)
        low, high = _range(start, end)
        return list(self.catalog.flares.find(start=low, end=high, min_counts=min_counts, origin=origin))

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
        AccessError
            If an operator has hidden it, for all but operators.
        """
        if not isinstance(product, Product | str):
            return [self._fetch_one(p, Path(out)) for p in product]
        return self._fetch_one(product, Path(out))

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

    def explain(self, identity: str) -> Explanation:
        """What a product, data request, flare or packet was made from; see `stixlab.client.explain.explain`."""
        from stixlab.client.explain import explain

        return explain(self, identity)

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
        """Run a pipeline and wait for it, with a bar of its cells; interrupted, it goes on without being waited for.

        Operators run it here, or wait for the worker that was quicker. Members of the team have the data center run
        it. The same run again gives what is there.

        Returns
        -------
        Run
            What became of it. If it failed, `status` says so and `error` why; the bar shows it, too.

        Raises
        ------
        ParameterError
            If a parameter is unknown, missing or wrong; nothing is started.
        PipelineError
            If there is no such pipeline.
        AccessError
            If this role may only read.

        Examples
        --------
        >>> run = lab.run("flare_list", start="2021-06-06", end="2021-06-07")
        """
        return self.run_pipeline(pipeline, parameters)

    def submit(self, pipeline: str, **parameters: Any) -> Run:
        """Ask for a run of a pipeline without waiting for it; errors as of `run`."""
        return self.desk.submit(pipeline, parameters)

    def cancel(self, run_id: str) -> Run:
        """Ask a run to stop; members their own, operators any.

        Raises
        ------
        NotInCatalogError, AccessError, ConflictError
            If there is no such run, it is somebody else's, or it has ended.
        """
        return self.desk.cancel(run_id)

    def retry(self, run_id: str) -> Run:
        """Have a run that failed or was cancelled tried again; errors as of `cancel`."""
        return self.desk.retry(run_id)

    @property
    def db(self) -> Any:
        """The pymongo database, with the rights of this role."""
        return self.catalog.database

    def check_shown(self, product: Product | None) -> None:
        """Refuse what an operator has hidden to all but operators; nothing is refused that is not there.

        Raises
        ------
        AccessError
            If it is hidden and this process has not the role of an operator.
        """
        if product is not None and product.hidden and self.settings.access != "operator":
            raise AccessError(
                f"product {product.product_id}: an operator has hidden it; ask an operator, who may show it again"
                " (`stixlab trash list`)"
            )

    def _fetch_one(self, product: Product | str, out: Path) -> Path:
        identity = product.product_id if isinstance(product, Product) else product
        known = self.catalog.products.get(identity)
        record = product if isinstance(product, Product) else known
        if record is None:
            raise NotInCatalogError(
                f"product {product!r}: not in the catalogue; `stixlab products` lists them"
            )
        self.check_shown(known)
        if not record.fits:
            raise NotInCatalogError(
                f"product {record.product_id}: it has no FITS form; open it by its type and time, or its request"
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


def _range(start: Time | None, end: Time | None) -> tuple[datetime | None, datetime | None]:
    """A range as the catalogue takes it.

    Raises
    ------
    ParameterError
        If it ends before it starts.
    TimeError
        If a time cannot be read.
    """
    low, high = (None if t is None else to_datetime(to_datetime64(t)) for t in (start, end))
    if low is not None and high is not None and low >= high:
        raise ParameterError(f"time range: expected start before end; found {start} and {end}")
    return low, high
