"""A FITS file in memory, and its tables: columns in the byte order of the machine, units as they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError

__all__ = ["FitsFile", "FitsTable"]

_SCALES = {"s": 1_000_000_000, "ds": 100_000_000, "cs": 10_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}
"""Nanoseconds in units of time."""


class FitsTable:
    """Columns of a binary table.

    Parameters
    ----------
    hdu
        An `astropy.io.fits.BinTableHDU` whose file is still open.
    name
        Of the file, for messages.
    """

    def __init__(self, hdu: Any, name: str) -> None:
        self.file_name = name
        self.name = str(hdu.name).upper()
        self.units = {c.name: str(c.unit or "").strip() for c in hdu.columns}
        data = hdu.data
        self._columns = {c: np.asarray(data[c]) for c in self.units} if data is not None else {}

    def __contains__(self, column: str) -> bool:
        return column in self._columns

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __getitem__(self, column: str) -> NDArray[Any]:
        if column not in self._columns:
            raise FormatError(
                f"{self.file_name}: expected a column {column} in {self.name}; found {', '.join(self._columns) or 'none'}"
            )
        values = self._columns[column]
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))

    def first_of(self, columns: Sequence[str]) -> str | None:
        """Name of the first of some columns that is there."""
        return next((c for c in columns if c in self._columns), None)

    def one_of(self, columns: Sequence[str]) -> str:
        """As `first_of`, where one of them has to be there.

        Raises
        ------
        FormatError
            If there is none of them.
        """
        found = self.first_of(columns)
        if found is None:
            raise FormatError(
                f"{self.file_name}: expected a column {' or '.join(columns)} in {self.name}; found neither"
            )
        return found

    def nanoseconds(self, column: str) -> NDArray[np.int64]:
        """A column of durations in ns, by its own unit.

        Raises
        ------
        FormatError
            If the column is missing, or has no unit of time.
        """
        values, unit = self[column], self.units[column]
        scale = _SCALES.get(unit)
        if scale is None:
            raise FormatError(
                f"{self.file_name}: expected a unit of time ({', '.join(_SCALES)}) for {self.name}.{column}; found {unit or 'none'!r}"
            )
        if values.dtype.kind in "iu":
            return values.astype(np.int64) * scale
        if not np.isfinite(values).all():
            raise FormatError(
                f"{self.file_name}: expected numbers in {self.name}.{column}; some are not finite"
            )
        return np.rint(values.astype(np.float64) * scale).astype(np.int64)


@dataclass(frozen=True, eq=False)
class FitsFile:
    """Keywords of the primary header, and tables."""

    name: str
    """For messages."""
    header: dict[str, Any]
    """Without COMMENT and HISTORY."""
    tables: dict[str, FitsTable]
    """By name, in capitals."""
    comments: tuple[str, ...] = ()
    """Cards COMMENT of the primary header."""

    def table(self, wanted: str) -> FitsTable:
        """The table of that name.

        Raises
        ------
        FormatError
            If it is missing.
        """
        if wanted not in self.tables:
            raise FormatError(
                f"{self.name}: expected a table {wanted}; found {', '.join(self.tables) or 'no table'}; is it complete?"
                " fetch it again"
            )
        return self.tables[wanted]

    @property
    def control(self) -> FitsTable:
        """Table CONTROL: what holds for packets, or for runs of bins."""
        return self.table("CONTROL")

    @property
    def data(self) -> FitsTable:
        """Table DATA: what holds for each bin."""
        return self.table("DATA")
