"""Data and products for users: the part of the client that opens, lists and copies them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.client.opening import check_origin
from stixlab.errors import AccessError, ArchiveError, NotInCatalogError, ParameterError
from stixlab.files import new_file, sha256_of
from stixlab.model import Product
from stixlab.settings import Settings
from stixlab.timing import ClockTable, to_datetime, to_datetime64
from stixlab.vocabulary import CONTEXT_TYPES, known_type

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.archive.forms import DataSpan
    from stixlab.idb import Versions

__all__ = ["Data", "read_range"]

Time = str | datetime | np.datetime64
"""A time in UTC: ISO text, datetime (without zone: UTC), or numpy."""
Span = tuple[Time | None, Time | None]
_LEVELS = ("L0", "L1")


class Data:
    """What `stixlab.client.Lab` opens, lists and copies."""

    settings: Settings
    catalog: Any
    archive: Archive
    clock: ClockTable

    @cached_property
    def versions(self) -> Versions:
        """Packet definitions, by the time from which they hold."""
        from stixlab.idb import IMPORTED, load_versions

        return load_versions(self.settings.idb, self.settings.home / IMPORTED)

    def open(
        self,
        type: str,
        start: Time | None = None,
        end: Time | None = None,
        *,
        origin: str | None = None,
        request_id: int | str | None = None,
        level: str = "L1",
    ) -> xr.Dataset:
        """Data of a time range or of a data request, lazily.

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
        level
            ``L1``: counts with errors, physical values. ``L0``: what the packets say, codes and on-board times as sent,
            made from the stored packets when it is asked for; for the team, of 31 days at most.

        Returns
        -------
        xarray.Dataset
            Backed by dask. Where the bounds of energy bands change within the range, ``energy_bounds (time, energy,
            bound)`` has those of each time, and a warning says which times have which. ``attrs["origin"]`` says which kind it is. ``ds.stix.to_timeseries()`` makes a sunpy time
            series of it, ``ds.to_netcdf(path, engine="h5netcdf")`` a file.

        Raises
        ------
        NotInCatalogError
            If there is nothing in the range or of the request; the message says what there is near it.
        SchemaError
            If the number of energy bands changes within the range (`spans` lists what can be opened apart), it holds
            several requests, or the product type is unknown.
        ParameterError
            If both a range and a request are given, or the level is unknown.
        AccessError
            If level 0 is asked for with the rights of the public only, or an operator has hidden the product.
        """
        import stixlab.analysis.accessor  # noqa: F401  (gives datasets their `stix`)
        from stixlab.datasets.construction import encode_times

        if level not in _LEVELS:
            raise ParameterError(f"level: expected one of {', '.join(_LEVELS)}; found {level!r}")
        if request_id is not None and (start is not None or end is not None):
            raise ParameterError("open: expected a range of time or a request; found both; give one of them")
        made = self._open_level0 if level == "L0" else self._open_level1
        return encode_times(made(type, (start, end), origin, request_id))

    def _open_level0(
        self, type: str, span: Span, origin: str | None, request_id: int | str | None
    ) -> xr.Dataset:
        from stixlab.client.level0 import open_level0

        return open_level0(self, type, span, origin=origin, request_id=request_id)

    def _open_level1(
        self, type: str, span: Span, origin: str | None, request_id: int | str | None
    ) -> xr.Dataset:
        from stixlab.client.context import open_context
        from stixlab.client.opening import open_request, open_times

        if request_id is not None:
            if isinstance(request_id, str) and request_id.strip()[:1] == "L":
                self.check_shown(self.catalog.products.get(request_id.strip()))
            return open_request(self.catalog, self.archive, type, request_id, origin=origin)
        if type in CONTEXT_TYPES:
            return open_context(self.catalog, self.archive, self.clock, type, span)
        return open_times(self.catalog, self.archive, type, *span, origin=origin)

    def spans(
        self,
        type: str,
        start: Time | None = None,
        end: Time | None = None,
        *,
        origin: str | None = None,
    ) -> list[DataSpan]:
        """Stretches of time with the same energies and variables, which `open` gives as one dataset each.

        Parameters
        ----------
        type
            Archive name of a quicklook or housekeeping product.
        start, end
            UTC; open where None.
        origin
            By default that which `open` takes.

        Returns
        -------
        list of DataSpan
            Earliest first, each with its exact times and its bands; empty if there is nothing.

        Raises
        ------
        ParameterError
            If the type is not opened by time, or the range ends before it starts.
        SchemaError
            If type or origin is unknown.

        Examples
        --------
        >>> for span in lab.spans("ql-lightcurve"):
        ...     ds = lab.open("ql-lightcurve", span.start, span.end, origin=span.origin)
        """
        from stixlab.client.opening import list_spans

        return list_spans(self.catalog, self.archive, type, start, end, origin=origin)

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
        low, high = read_range(start, end)
        return list(self.catalog.products.find(type=type, level=level, start=low, end=high, origin=origin))

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


def read_range(start: Time | None, end: Time | None) -> tuple[datetime | None, datetime | None]:
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
