"""Time, place and energies for users: the part of the client that asks clocks, orbits and tables."""

from __future__ import annotations

import warnings
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from stixlab.archive import Archive
from stixlab.settings import Settings
from stixlab.timing import ClockTable

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.client.times import ConvertedTime, ConvertedTimes
    from stixlab.ephemeris.attitude import Attitude
    from stixlab.ephemeris.flares import FlareGeometry
    from stixlab.ephemeris.orbit import Ephemeris

    Times = list[Any] | tuple[Any, ...] | NDArray[Any] | xr.DataArray
    """Several of them, of any shape."""

__all__ = ["Places"]

Time = str | datetime | np.datetime64


class Places:
    """What `stixlab.client.Lab` answers about time, place and energies."""

    settings: Settings
    catalog: Any
    archive: Archive
    clock: ClockTable

    @overload
    def to_utc(self, scet: str | float) -> np.datetime64: ...
    @overload
    def to_utc(self, scet: Times, fine: Times | int | None = None) -> NDArray[np.datetime64]: ...
    def to_utc(
        self, scet: str | float | Times, fine: Times | int | None = None
    ) -> np.datetime64 | NDArray[np.datetime64]:
        """UTC of on-board times, by the clock of the products made here.

        `convert_time` and `convert_times` say which clock that is, how accurate, and whether another is to be trusted more.

        Parameters
        ----------
        scet : any shape
            ``coarse:fine`` or seconds; with `fine` the whole seconds, such as ``ds.scet_coarse``.
        fine : same shape, 1/65536 s

        Returns
        -------
        numpy.datetime64, or array of datetime64[ns] of the same shape
            Where the top bit is set, which a warning tells, that of the other bits: the clock was not synchronised.

        Raises
        ------
        TimeError
            If one is no on-board time.

        Examples
        --------
        >>> lab.to_utc(ds.scet_coarse, ds.scet_fine)  # of every bin
        """
        from stixlab.client.onboard_times import NOT_SYNCHRONISED, read_scet

        coarse, parts, synchronised = read_scet(scet, fine)
        if not synchronised.all():
            n = int((~synchronised).sum())
            warnings.warn(f"{n} of {synchronised.size} on-board times: {NOT_SYNCHRONISED}", stacklevel=2)
        utc = self.clock.to_utc(coarse, parts)
        return utc if utc.ndim else np.datetime64(int(utc.astype(np.int64)), "ns")

    @overload
    def to_scet(self, utc: Time) -> str: ...
    @overload
    def to_scet(self, utc: Times) -> NDArray[np.str_]: ...
    def to_scet(self, utc: Time | Times) -> str | NDArray[np.str_]:
        """On-board times of UTC, as ``coarse:fine``; see `to_utc`.

        Parameters
        ----------
        utc
            Text, datetime, numpy or astropy time, or several of them, such as ``ds.time``.

        Returns
        -------
        str, or array of str of the same shape

        Raises
        ------
        TimeError
            If one cannot be read, or lies before the start of the clock.
        """
        from stixlab.client.onboard_times import format_scets
        from stixlab.ephemeris.scales import as_times

        found = format_scets(*self.clock.to_scet(as_times(utc)))
        return found if found.ndim else str(found)

    def convert_times(self, times: Any) -> ConvertedTimes:
        """Several times on board and in UTC, with source and accuracy of each; see `stixlab.client.times.convert_times`.

        By kernel and tables; `convert_time` asks the packets of those days as well, one time after the other.

        Raises
        ------
        TimeError
            If one cannot be read, or some are UTC and some on-board times.

        Examples
        --------
        >>> lab.convert_times(ds.time).accuracy_s.max()
        """
        from stixlab.client.times import convert_times

        return convert_times(times, self.clock)

    def convert_time(self, time: str | float | datetime | np.datetime64) -> ConvertedTime:
        """A time on board and in UTC, with the source and the accuracy; see `stixlab.client.times.convert_time`.

        The order of trust is: SCLK kernel, correlation table from published products, times of the control centre beside
        the packets of those days.

        Examples
        --------
        >>> print(lab.convert_time("664146182:58990"))
        664146182:58990: 2021-01-16T21:03:51.361... by clock table of stixlab (pairs), accurate to 0.5 s
        """
        from stixlab.client.times import convert_time

        return convert_time(time, self.clock, catalog=self.catalog, archive=self.archive)

    def ephemeris(self, time: Any, *, kind: str | None = None) -> Ephemeris:
        """Where spacecraft and Earth are, with source and accuracy.

        Parameters
        ----------
        time
            UTC at the spacecraft: text, datetime, numpy or astropy time, or several of them.
        kind
            ``kernel``, ``product`` or ``table`` to ask one kind of source only. Otherwise, for each time: kernels of the
            orbit as flown, auxiliary products that were imported, kernels that predict, the table shipped.

        Raises
        ------
        TimeError
            If a time cannot be read, or nothing covers it; the message says what is covered.
        """
        from stixlab.client.ephemeris import get_ephemeris

        return get_ephemeris(
            time, settings=self.settings, catalog=self.catalog, archive=self.archive, kind=kind
        )

    def attitude(self, time: Any) -> Attitude:
        """How the spacecraft is turned and where STIX points; `valid` is false where nothing says so.

        Known from kernels as flown and from auxiliary products that were imported.

        Raises
        ------
        TimeError
            If a time cannot be read. `Attitude.required` raises where there is no attitude.
        """
        from stixlab.client.ephemeris import get_attitude

        return get_attitude(time, settings=self.settings, catalog=self.catalog, archive=self.archive)

    def flare_geometry(self, time: Any, x: float, y: float, *, observer: str = "stix") -> FlareGeometry:
        """A flare as spacecraft and Earth see it: coordinates, angles, light times.

        Parameters
        ----------
        time
            UTC at the observer.
        x, y
            Helioprojective, arcsec, as the observer sees it.
        observer
            ``stix`` or ``earth``.

        Raises
        ------
        TimeError
            If the time cannot be read, or nothing covers it.
        ParameterError
            If observer or direction cannot be used.
        """
        from stixlab.client.ephemeris import get_flare

        return get_flare(
            time, x, y, settings=self.settings, observer=observer, catalog=self.catalog, archive=self.archive
        )

    def elut(self, time: Time, *, calibration: Path | str | None = None) -> xr.Dataset:
        """Energy look-up table in force at a time, and the energies at which each pixel's channels really begin.

        Parameters
        ----------
        time
            UTC.
        calibration
            A CAL file. By default the nearest of those imported that was made with this table; without one the
            calibration that the table was made from. ``attrs["calibration"]`` says which.

        Returns
        -------
        xarray.Dataset
            See `stixlab.client.elut.elut_dataset`.

        Raises
        ------
        NotInCatalogError
            If no table covers the time, or the given calibration is of another table.
        FormatError
            If a file is damaged.
        TimeError
            If the time cannot be read.
        """
        from stixlab.client.elut import get_elut, imported_calibrations

        home = self.settings.home
        if calibration is not None:
            return get_elut(time, home=home, calibration=calibration)
        found = imported_calibrations(time, self.catalog, self.archive, home=home)
        return get_elut(time, home=home, calibration=found or None)
