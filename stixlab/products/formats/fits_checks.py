"""What FITS products have to be before they are read: whole, of a known maker, with rows in the order of time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.fits_files import check_instrument, open_whole_fits
from stixlab.products.formats.fits_table import FitsFile, FitsTable
from stixlab.vocabulary import DatasetSpec

__all__ = ["check_keywords", "check_rows", "check_tables", "load_file"]

_STIXCORE, _OWN = "stixcore", "stixlab"
_KEYWORDS = {"LEVEL": "L1", "CREATOR": _STIXCORE}
"""Without which it cannot be told what a file is, and an example of each."""
_TABLES = ("CONTROL", "DATA")
_ROUNDING_NS = 500_000_000
"""Bins of real files lie over each other by up to 0.4 s: times and lengths are rounded apart."""
_REPEATED = ("cal-spectra", "ql-tmstatusflarelist")
"""Products with several rows for one time: reports of one run, flares of one list."""
_WITHOUT_ENERGIES = ("hk-mini", "hk-maxi", "cal-spectra", "sci-aspect-burst")
"""Products of stixcore that have no table of energies; of calibration spectra only the old ones had one."""


def load_file(path: Path, content: bytes | None) -> FitsFile:
    """Keywords of the primary header and tables by name, in memory.

    Raises
    ------
    FormatError
        If it cannot be read, its length or checksums are wrong, or it is of another instrument.
    """
    from astropy.io import fits

    with open_whole_fits(path, content) as hdus:
        cards = list(hdus[0].header.items())
        header = {k: v for k, v in cards if k not in ("COMMENT", "HISTORY", "")}
        comments = tuple(str(v) for k, v in cards if k == "COMMENT")
        tables = {
            str(hdu.name).upper(): FitsTable(hdu, path.name)
            for hdu in hdus[1:]
            if isinstance(hdu, fits.BinTableHDU)
        }
    check_instrument(header, path.name)
    return FitsFile(path.name, header, tables, comments)


def check_keywords(file: FitsFile) -> None:
    """That the keywords are there which say what a file is.

    Raises
    ------
    FormatError
        Naming the first that is not.
    """
    for keyword, example in _KEYWORDS.items():
        if not str(file.header.get(keyword, "")).strip():
            raise FormatError(
                f"{file.name}: expected keyword {keyword}, such as {example!r}; there is none; fetch the file again"
            )


def check_tables(file: FitsFile, level: str, product: str, spec: DatasetSpec | None) -> None:
    """That a file has all tables that files of its maker have: one that was cut between two of them is valid else.

    Parameters
    ----------
    file
    level, product
        What it is.
    spec
        Declaration of the product, if it has bins.

    Raises
    ------
    FormatError
        Naming the first that is missing.
    """
    maker = str(file.header.get("CREATOR", "")).strip()
    # Auxiliary products have been of level ANC, with the table DATA alone, since they are no longer of level L2.
    needed = ["DATA"] if level == "ANC" and maker != _OWN else list(_TABLES)
    if maker in (_STIXCORE, _OWN) and level != "ANC":
        needed.append("IDB_VERSIONS")
    if spec is not None:
        names = {f.name for f in spec.fields}
        if (
            (maker == _OWN and names & {"energy_bounds", "energy_mask"})
            or (maker == _STIXCORE and level == "L1" and product not in _WITHOUT_ENERGIES)
            or (maker not in (_STIXCORE, _OWN) and level != "L0" and product == "ql-lightcurve")
        ):
            needed.append("ENERGIES")
    for each in needed:
        file.table(each)


def check_rows(data: FitsTable, begin: np.datetime64, product: str, *, own: bool) -> None:
    """That the rows of DATA follow each other in time, and none lies over the one before it, beyond rounding.

    Parameters
    ----------
    data
        Table with ``time`` (middle) and ``timedel``.
    begin
        UTC that its times count from.
    product
    own
        Files of ours are as they were written: bins that lay over each other in the telemetry still do.

    Raises
    ------
    FormatError
        Naming the first row that does not, and the times.
    """
    time = data.nanoseconds("time").reshape(-1)
    length = data.nanoseconds("timedel").reshape(-1)
    back = np.diff(time) < 0
    over = np.zeros(len(back), dtype=bool)
    start = time - length // 2
    if not own and product not in _REPEATED:
        most = np.minimum(_ROUNDING_NS, np.minimum(length[:-1], length[1:]) // 2)
        over = start[:-1] + length[:-1] - start[1:] > most
    wrong = np.flatnonzero(back | over)
    if not wrong.size:
        return
    row = int(wrong[0]) + 1
    at, before = _utc(begin, time[row]), _utc(begin, time[row - 1])
    if back[row - 1]:
        told = f"row {row} (from 0), at {at}, runs back behind row {row - 1}, at {before}"
    else:
        first, end = _utc(begin, start[row]), _utc(begin, start[row - 1] + length[row - 1])
        told = f"row {row} (from 0) begins at {first}, before row {row - 1} ends at {end}"
    raise FormatError(
        f"{data.file_name}: expected the rows of DATA one after the other; {told}; what was written is wrong: take another"
        " version of the file, or the telemetry"
    )


def _utc(begin: np.datetime64, since_ns: np.int64 | NDArray[np.int64]) -> str:
    time = begin.astype("datetime64[ns]") + np.timedelta64(int(since_ns), "ns")
    return str(np.datetime_as_string(time, unit="ms"))
