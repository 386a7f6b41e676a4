"""FITS products of others as they are needed to make packets of them again: tables, on-board times, codes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError, ParameterError
from stixlab.fits_files import FITS_ERRORS, open_fits
from stixlab.telemetry.compression import compress, decompress
from stixlab.timing import to_datetime64
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable

__all__ = ["FitsProduct", "one_word", "open_product", "row_masks"]

_SECONDS = {"s": 1.0, "cs": 0.01, "": 1.0}
_SHORTEST_FOR_RATE_S = 600.0
_RATE_TOLERANCE = 1e-3
_TENTH = FINE_PER_SECOND / 10
_SSIDS = {"location_status": 34, "variance": 33, "spectra": 32, "visibility": 23, "ubsd": 43}
"""Columns that only one product has."""
_N_ENERGIES = 32


@dataclass(frozen=True, eq=False)
class FitsProduct:
    """A product: its tables in memory."""

    name: str
    header: dict[str, Any]
    control: dict[str, NDArray[Any]]
    data: dict[str, NDArray[Any]]
    units: dict[str, str]
    """Of the columns of the data."""
    clock: ClockTable

    def fail(self, text: str) -> FormatError:
        """An error that names the file."""
        return FormatError(f"{self.name}: {text}")

    def __contains__(self, name: str) -> bool:
        return name in self.control or name in self.data

    def rows(self, *names: str) -> NDArray[Any]:
        """A column of CONTROL, or of DATA: of the first name that is there.

        Raises
        ------
        FormatError
            If none is there, or it has no rows.
        """
        for name in names:
            for table in (self.control, self.data):
                if name in table and len(table[name]):
                    return table[name]
        raise self.fail(
            f"expected a column {' or '.join(names)}; found none; is it an L1 product of the instrument?"
        )

    def first(self, *names: str) -> NDArray[Any]:
        """The first row of such a column."""
        return np.asarray(self.rows(*names)[0])

    @property
    def ssid(self) -> int:
        """Which packets it was made from, told by its columns."""
        for name, ssid in _SSIDS.items():
            if name in self.data:
                return ssid
        counts = self.data.get("counts")
        if counts is None:
            raise self.fail("expected a column counts, spectra or variance in DATA; found none of them")
        if "request_id" not in self.control:
            return 41 if counts.ndim == 4 else 30 if "detector_mask" in self.control else 31
        if counts.ndim == 2:
            return 24
        if "compression_scheme_counts_skm" not in self.control:
            return 20
        masks = self.rows("pixel_masks")
        return 21 if masks.ndim == 2 or masks.shape[1] == masks.shape[2] else 22

    def integers(self, name: str) -> NDArray[np.int64]:
        """A column of DATA as whole numbers.

        Raises
        ------
        FormatError
            If it is missing or holds fractions.
        """
        if name not in self.data:
            raise self.fail(f"expected a column {name} in DATA; found {', '.join(self.data)}")
        values = np.asarray(self.data[name])
        whole = np.rint(values.astype(np.float64)) if values.dtype.kind == "f" else values
        if values.dtype.kind == "f" and not np.array_equal(whole, values):
            raise self.fail(
                f"expected whole numbers in {name}, as packets hold them; found fractions: rates?"
            )
        return np.ascontiguousarray(whole, dtype=np.int64)

    def scheme(self, *names: str) -> tuple[int, int, int]:
        """The (s, k, m) of all rows.

        Raises
        ------
        FormatError
            If they differ from row to row.
        """
        for name in names:
            if name in self.control:
                rows = np.unique(self.control[name].reshape(len(self.control[name]), 3), axis=0)
                if len(rows) > 1:
                    raise self.fail(
                        f"expected one scheme in {name}; found {rows.tolist()}; cut the file apart"
                    )
                s, k, m = (int(x) for x in rows[0])
                return s, k, m
        raise self.fail(
            f"expected {' or '.join(names)} in CONTROL; found neither; this product is not compressed"
        )

    @property
    def holds_codes(self) -> bool:
        """Old files without errors hold the codes themselves."""
        return not any(name.endswith("err") for name in self.data)

    def counts_of(self, name: str, scheme: tuple[int, int, int]) -> NDArray[np.int64]:
        """Counts of a column; codes of old files decompressed.

        Raises
        ------
        FormatError
            If a value is none that the scheme can give: it was changed since it was decompressed.
        """
        values = self.integers(name)
        if self.holds_codes:
            if values.min() < 0 or values.max() > 255:
                raise self.fail(
                    f"expected codes from 0 to 255 in {name}, as no column of errors is there; found {values.max()}"
                )
            return decompress(values.astype(np.uint8), *scheme)[0]
        if scheme == (0, 0, 7):
            return values
        again = decompress(compress(values, *scheme), *scheme)[0]
        wrong = np.flatnonzero((again != values).ravel())
        if len(wrong):
            raise self.fail(
                f"expected values of {name} that the scheme {scheme} can give; found {len(wrong)} others, the first "
                f"{values.ravel()[wrong[0]]}; was the file corrected after decompression?"
            )
        return values

    @property
    def _begin(self) -> tuple[float, float]:
        """On-board seconds at which the times of bins begin, and on-board seconds for each second."""
        begin = self._obt("OBT_BEG")
        utc = [self.header.get(f"DATE-{k}", self.header.get(f"DATE_{k}")) for k in ("BEG", "END")]
        if not utc[0]:
            raise self.fail("expected DATE-BEG or DATE_BEG in the header; found neither")
        first = to_datetime64(utc[0])
        if begin is None:
            coarse, fine = self.clock.to_scet(np.array([first]))
            return int(coarse[0]) + int(fine[0]) / FINE_PER_SECOND, 1.0
        end = self._obt("OBT_END")
        if end is not None and utc[1]:
            span = float((to_datetime64(utc[1]) - first) / np.timedelta64(1, "s"))
            if span > _SHORTEST_FOR_RATE_S and abs((end - begin) / span - 1) < _RATE_TOLERANCE:
                return begin, (end - begin) / span
        return begin, 1.0

    def _obt(self, keyword: str) -> float | None:
        """On-board seconds: a number, or seconds and fractions with a colon; others are not used."""
        value = self.header.get(keyword)
        if isinstance(value, int | float):
            return float(value)
        coarse, _, fine = str(value or "").partition(":")
        if coarse.isdigit() and (fine.isdigit() or not fine):
            return int(coarse) + int(fine or 0) / FINE_PER_SECOND
        return None

    def _seconds(self, name: str) -> NDArray[np.float64]:
        unit = self.units.get(name, "")
        if unit not in _SECONDS:
            raise self.fail(f"expected {name} in s or cs; found {unit}")
        return self.rows(name).astype(np.float64) * _SECONDS[unit]

    def ticks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(n,) on-board start and length of the bins, 1/65536 s."""
        begin, rate = self._begin
        length = self._seconds("timedel")
        start = (self._seconds("time") - length / 2) * rate
        return (
            round(begin * FINE_PER_SECOND) + np.rint(start * FINE_PER_SECOND).astype(np.int64),
            np.rint(length * FINE_PER_SECOND).astype(np.int64),
        )

    def tenths(self, time_stamp: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(n,) start of the bins after a time stamp and their length, 0.1 s."""
        start, length = self.ticks()
        since = np.rint((start - time_stamp * FINE_PER_SECOND) / _TENTH).astype(np.int64)
        if len(since) and int(since.min()) < 0:
            raise self.fail(f"expected bins after the time stamp {time_stamp}; found some before it")
        return since, np.rint(length / _TENTH).astype(np.int64)

    def channels(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Lowest and highest science channel of each energy, and where it stands on the axis of energies.

        Parameters
        ----------
        n
            Length of that axis: all 32 channels, or only those of the file.
        """
        mask = self.first("energy_bin_edge_mask", "energy_bin_mask").astype(bool)
        if len(mask) == _N_ENERGIES:
            low = high = np.flatnonzero(mask)
        else:
            edges = np.flatnonzero(mask)
            low, high = edges[:-1], edges[1:] - 1
        if n not in (_N_ENERGIES, len(low)):
            raise self.fail(f"expected {len(low)} energies, as the mask has, or all 32; found {n}")
        return low, high, low if n == _N_ENERGIES else np.arange(n)


def open_product(path: Path, clock: ClockTable) -> FitsProduct:
    """The tables of a FITS product.

    Raises
    ------
    FormatError
        If it is no FITS file, is damaged, or is of a level that holds no counts.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_fits(path) as found:
                header = dict(found[0].header)
                tables: list[dict[str, NDArray[Any]]] = [
                    {n.lower(): np.asarray(found[t].data[n]) for n in found[t].columns.names}
                    for t in ("CONTROL", "DATA")
                ]
                units = {c.name.lower(): c.unit or "" for c in found["DATA"].columns}
    except FITS_ERRORS as error:
        raise FormatError(
            f"{path}: expected a FITS product with the tables CONTROL and DATA; found {error}"
        ) from error
    level = str(header.get("LEVEL", "")).strip()
    if level not in ("L1", "L1A"):
        raise FormatError(
            f"{path.name}: expected a product of level L1 or L1A; found {level or 'none'}; packets are made from counts"
        )
    product = FitsProduct(path.name, header, tables[0], tables[1], units, clock)
    if not len(next(iter(product.data.values()), ())):
        raise FormatError(f"{path.name}: expected rows in DATA; found none; there is nothing to encode")
    return product


def row_masks(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Words of masks given as rows of 0 and 1, lowest bit first."""
    weights = 1 << np.arange(rows.shape[-1], dtype=np.int64)
    words: NDArray[np.int64] = (np.asarray(rows).astype(bool) * weights).sum(axis=-1)
    return words


def one_word(words: NDArray[np.int64], what: str, product: FitsProduct) -> int:
    """The mask that all bins share.

    Raises
    ------
    ParameterError
        If they differ.
    """
    if len(np.unique(words)) != 1:
        raise ParameterError(
            f"{product.name}: expected one {what} in all bins; found {len(np.unique(words))}"
        )
    return int(words.flat[0])
