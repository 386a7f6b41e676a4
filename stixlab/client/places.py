"""Time, place and energies for users: the part of the client that asks clocks, orbits and tables."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.settings import Settings
from stixlab.timing import ClockTable, format_scet, parse_scet, to_datetime64

if TYPE_CHECKING:
    import xarray as xr

    from stixlab.client.times import ConvertedTime
    from stixlab.ephemeris.attitude import Attitude
    from stixlab.ephemeris.flares import FlareGeometry
    from stixlab.ephemeris.orbit import Ephemeris

__all__ = ["Places"]

Time = str | datetime | np.datetime64


class Places:
    """What `stixlab.client.Lab` answers about time, place and energies."""

    settings: Settings
    catalog: Any
    archive: Archive
    clock: ClockTable

    def to_utc(self, scet: str | float) -> np.datetime64:
        """UTC of an on-board time, given as ``coarse:fine`` or in seconds, by the clock of the products made here.

        `convert_time` says which clock that is, how accurate, and whether another is to be trusted more.

        Raises
        ------
        TimeError
            If it is no on-board time.
        """
        coarse, fine = parse_scet(str(scet))
        return np.datetime64(int(self.clock.to_utc(coarse, fine).astype(np.int64)), "ns")

    def to_scet(self, utc: Time) -> str:
        """On-board time of a UTC, as ``coarse:fine``; see `to_utc`.

        Raises
        ------
        TimeError
            If it cannot be read, or lies before the start of the clock.
        """
        coarse, fine = self.clock.to_scet(to_datetime64(utc))
        return format_scet(int(coarse), int(fine))

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
