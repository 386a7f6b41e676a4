"""Axes of FITS files of all makers: times of the bins, which row of CONTROL holds for each, energies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import step_ticks
from stixlab.errors import FormatError, TimeError
from stixlab.products.formats.fits_table import FitsFile, FitsTable
from stixlab.timing import ClockTable, parse_utc

__all__ = [
    "begin_of",
    "bin_times",
    "binned",
    "control_rows",
    "energy_bounds",
    "on_board",
    "read_date",
    "scet_of_bins",
    "whole_numbers",
]


def read_date(text: str, name: str) -> np.datetime64:
    """UTC of a header keyword, ns.

    Raises
    ------
    FormatError
        If it is no ISO date and time.
    """
    try:
        return parse_utc(text)
    except TimeError:
        raise FormatError(f"{name}: expected DATE-BEG as yyyy-mm-ddThh:mm:ss.sss; found {text!r}") from None


def begin_of(file: FitsFile, clock: ClockTable) -> np.datetime64:
    """UTC that the times of a file count from."""
    text = str(file.header.get("DATE-BEG", file.header.get("DATE_BEG", ""))).strip()
    coarse, colon, fine = text.partition(":")
    if colon and coarse.isdigit() and fine.isdigit():
        utc = clock.to_utc(np.array([int(coarse)], dtype=np.uint32), np.array([int(fine)], dtype=np.uint16))
        return np.datetime64(np.asarray(utc, dtype="datetime64[ns]")[0])
    return read_date(text, file.name)


def bin_times(
    data: FitsTable, begin: np.datetime64
) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64], NDArray[np.timedelta64]]:
    """Middle, bounds and length of each bin.

    Parameters
    ----------
    data
        Table with ``time`` (middle, from `begin`) and ``timedel``.
    begin
        UTC.

    Returns
    -------
    (time,), (time, 2), (time,)
    """
    length = data.nanoseconds("timedel").reshape(-1).astype("timedelta64[ns]")
    start = begin + data.nanoseconds("time").reshape(-1).astype("timedelta64[ns]") - length // 2
    return start + length // 2, np.stack([start, start + length], axis=1), length


def binned(file: FitsFile, clock: ClockTable) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
    """Time axis and length of the bins of a quicklook file of others, and the row of CONTROL of each.

    Raises
    ------
    FormatError
        If a bin has no length, or a column is missing or does not fit.
    """
    time, bounds, length = bin_times(file.data, begin_of(file, clock))
    row = control_rows(file)
    tenths = np.rint(length.astype(np.int64) / 1e8).astype(np.int64)
    if (tenths <= 0).any():
        raise FormatError(
            f"{file.name}: expected DATA.timedel above 0; found {length.min().astype(np.int64) / 1e9} s"
        )
    ticks = scet_of_bins(file.control, row, bounds[:, 0], tenths, clock=clock)
    return {
        "time": time,
        "time_bounds": bounds,
        "integration_time": (tenths / 10).astype(np.float32),
        **on_board(ticks),
    }, row


def on_board(ticks: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """On-board times of bins as variables.

    Parameters
    ----------
    ticks : (time,), 1/65536 s
    """
    return {"scet_coarse": (ticks >> 16).astype(np.uint32), "scet_fine": (ticks & 0xFFFF).astype(np.uint16)}


def control_rows(file: FitsFile) -> NDArray[np.int64]:
    """Row of CONTROL that holds for each row of DATA."""
    control = file.control
    wanted = file.data["control_index"].reshape(-1).astype(np.int64)
    index = control["index"].reshape(-1).astype(np.int64) if "index" in control else np.arange(len(control))
    order = np.argsort(index, kind="stable")
    place = np.searchsorted(index[order], wanted)
    found = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(0, dtype=np.int64)
    if len(found) != len(wanted) or (index[found] != wanted).any():
        raise FormatError(
            f"{file.name}: expected each DATA.control_index in CONTROL.index; some are not there; is it complete?"
        )
    return np.asarray(found, dtype=np.int64)


def scet_of_bins(
    control: FitsTable,
    row: NDArray[np.int64],
    start: NDArray[np.datetime64],
    tenths: NDArray[np.int64],
    *,
    clock: ClockTable | None,
) -> NDArray[np.int64]:
    """On-board time at the start of each bin, 1/65536 s.

    The table has the on-board time of packets; within a packet bins follow in steps of their length. Of packets
    that are cut (at midnight) the first bins are missing: how many, the clock tells.

    Parameters
    ----------
    control
        With on-board time and number of bins of each packet.
    row : (time,)
        Row of `control` for each bin.
    start : (time,), UTC
    tenths : (time,)
        Length of a bin, 0.1 s.
    clock
        None if no packet is cut.

    Returns
    -------
    (time,)
    """
    n_rows = len(control)
    packet = control["scet_coarse"].astype(np.int64) << 16 | control["scet_fine"].astype(np.int64)
    length = tenths * 100_000_000
    utc = start.astype("datetime64[ns]").astype(np.int64)
    first = np.full(n_rows, np.iinfo(np.int64).max)
    np.minimum.at(first, row, utc)
    step = np.rint((utc - first[row]) / length).astype(np.int64)
    used = np.zeros(n_rows, dtype=np.int64)
    np.maximum.at(used, row, step + 1)
    total = control["num_samples"].reshape(-1).astype(np.int64) if "num_samples" in control else used
    cut = (used > 0) & (used < total)
    if cut.any():
        if clock is None:
            raise FormatError(
                f"{control.file_name}: expected CONTROL.num_samples bins in each run; some are missing; is it complete?"
            )
        expected = np.asarray(
            clock.to_utc((packet >> 16).astype(np.uint32), (packet & 0xFFFF).astype(np.uint16)),
            dtype="datetime64[ns]",
        ).astype(np.int64)
        whole = (used > 0) & (used == total)
        # The clock of the file's maker is not ours: whole packets show by how much.
        shift = np.median(first[whole] - expected[whole]) if whole.any() else 0.0
        bin_length = np.ones(n_rows, dtype=np.int64)
        bin_length[row] = length
        missing = np.rint((np.where(cut, first, expected) - expected - shift) / bin_length).astype(np.int64)
        step = step + np.where(cut, np.clip(missing, 0, total - used), 0)[row]
    return np.asarray(packet[row] + step_ticks(step, tenths))


def energy_bounds(energies: FitsTable) -> NDArray[np.float64]:
    """Bounds of the rows of the table ENERGIES of a file of others, keV, (n, 2); the last may be open.

    A row ends where that of the next channel begins: channels are cut by one row of edges. In files of 2020-05 one
    ends at 17 keV and the next begins at 18 keV; in all others, and in the tables of the instrument, it ends at 18 keV.
    """
    low, high = energies["e_low"].astype(np.float64), energies["e_high"].astype(np.float64)
    if "channel" in energies and len(low) > 1:
        next_one = np.diff(energies["channel"].reshape(-1).astype(np.int64)) == 1
        high[:-1] = np.where(next_one, low[1:], high[:-1])
    return np.column_stack([low, np.where(np.isfinite(high), high, np.inf)])


def whole_numbers(data: FitsTable, column: str, largest: int) -> NDArray[np.float64]:
    """A column of whole numbers from 0 on, whatever type it is stored as."""
    values = data[column].astype(np.float64)
    if not ((values >= 0) & (values <= largest) & (values == np.rint(values))).all():
        raise FormatError(
            f"{data.file_name}: expected whole numbers from 0 to {largest} in DATA.{column}; others are there"
        )
    return values
