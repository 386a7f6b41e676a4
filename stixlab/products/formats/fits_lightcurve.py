"""Quicklook light curves of other makers' FITS files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.construction import step_ticks
from stixlab.datasets.quicklook import LIGHTCURVE
from stixlab.errors import FormatError, TimeError
from stixlab.instrument.energy_channels import band_bounds, band_centres, energy_edges
from stixlab.products.counts import to_counts, to_triggers, total_error
from stixlab.products.formats.fits_layout import control_columns
from stixlab.products.formats.fits_table import FitsTable
from stixlab.timing import ClockTable, parse_utc

__all__ = ["bin_times", "read_date", "read_lightcurve", "scet_of_bins"]

_SETTING_DTYPES = {
    "detector_mask": "uint32",
    "pixel_mask": "uint16",
    "energy_edge_mask": "uint64",
    "counts_scheme": "uint8",
    "triggers_scheme": "uint8",
}
_COUNTS_ERRORS = ("counts_comp_err", "counts_err")
"""Both names stand for the compression error alone."""
_TRIGGERS_ERRORS = ("triggers_comp_err", "triggers_err")
_LARGEST = np.iinfo(np.uint32).max


def read_lightcurve(
    header: dict[str, Any], tables: dict[str, FitsTable], clock: ClockTable, name: str
) -> tuple[dict[str, NDArray[Any]], str]:
    """Arrays of a light curve by variable, bins as in the file, and the name of its dialect.

    Parameters
    ----------
    header
        Of the primary HDU.
    tables
        CONTROL and DATA at least.
    name
        Of the file, for messages.

    Raises
    ------
    FormatError
        Naming the table, column or keyword that is missing or does not fit.
    """
    control, data = tables["CONTROL"], tables["DATA"]
    on_board = str(header.get("TIMESYS", "UTC")).strip() == "OBT"
    begin = _begin(header, clock, name)
    time, bounds, length = bin_times(data, begin)
    row = _control_rows(control, data, name)
    tenths = np.rint(length.astype(np.int64) / 1e8).astype(np.int64)
    if (tenths <= 0).any():
        raise FormatError(
            f"{name}: expected DATA.timedel above 0; found {length.min().astype(np.int64) / 1e9} s"
        )
    arrays: dict[str, NDArray[Any]] = {"time": time, "time_bounds": bounds}
    arrays["integration_time"] = (tenths / 10).astype(np.float32)
    for each in control_columns(LIGHTCURVE):
        values = control[each.column]
        if values.ndim != 2 or values.shape[1] != each.length:
            raise FormatError(
                f"{name}: expected {each.length} numbers in a row of CONTROL.{each.column}; found shape {values.shape}"
            )
        arrays[each.field] = each.from_rows(values, _SETTING_DTYPES[each.field])[row]
    ticks = scet_of_bins(control, row, bounds[:, 0], tenths, clock=clock, name=name)
    arrays["scet_coarse"], arrays["scet_fine"] = (
        (ticks >> 16).astype(np.uint32),
        (ticks & 0xFFFF).astype(np.uint16),
    )
    if on_board:
        # The file has no UTC: that of each bin follows from its on-board time.
        start = np.asarray(clock.to_utc(arrays["scet_coarse"], arrays["scet_fine"]), dtype="datetime64[ns]")
        arrays["time"], arrays["time_bounds"] = start + length // 2, np.stack([start, start + length], axis=1)
    codes = _read_counts(data, arrays, name)
    arrays["rate_control_state"] = _whole(data, "rcr", np.iinfo(np.uint8).max).reshape(-1).astype(np.uint8)
    energy_bounds = _energy_bounds(tables, arrays, name)
    if len(energy_bounds) != arrays["counts"].shape[1]:
        raise FormatError(
            f"{name}: expected as many energies as DATA.counts has, {arrays['counts'].shape[1]}; found {len(energy_bounds)}"
        )
    arrays |= {"energy": band_centres(energy_bounds), "energy_bounds": energy_bounds}
    kind = f"{str(header.get('LEVEL', '')).strip()} of {str(header.get('CREATOR', 'unknown')).strip()}"
    return arrays, kind + (" (codes)" if codes else "")


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


def _begin(header: dict[str, Any], clock: ClockTable, name: str) -> np.datetime64:
    """UTC that the times of a file count from."""
    text = str(header.get("DATE-BEG", header.get("DATE_BEG", ""))).strip()
    coarse, colon, fine = text.partition(":")
    if colon and coarse.isdigit() and fine.isdigit():
        utc = clock.to_utc(np.array([int(coarse)], dtype=np.uint32), np.array([int(fine)], dtype=np.uint16))
        return np.datetime64(np.asarray(utc, dtype="datetime64[ns]")[0])
    return read_date(text, name)


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


def _control_rows(control: FitsTable, data: FitsTable, name: str) -> NDArray[np.int64]:
    """Row of CONTROL that holds for each row of DATA."""
    wanted = data["control_index"].reshape(-1).astype(np.int64)
    index = control["index"].reshape(-1).astype(np.int64) if "index" in control else np.arange(len(control))
    order = np.argsort(index, kind="stable")
    place = np.searchsorted(index[order], wanted)
    found = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(0, dtype=np.int64)
    if len(found) != len(wanted) or (index[found] != wanted).any():
        raise FormatError(
            f"{name}: expected each DATA.control_index in CONTROL.index; some are not there; is it complete?"
        )
    return np.asarray(found, dtype=np.int64)


def scet_of_bins(
    control: FitsTable,
    row: NDArray[np.int64],
    start: NDArray[np.datetime64],
    tenths: NDArray[np.int64],
    *,
    clock: ClockTable | None,
    name: str,
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
    name
        Of the file, for messages.

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
                f"{name}: expected CONTROL.num_samples bins in each run; some are missing; is it complete?"
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


def _whole(data: FitsTable, column: str, largest: int) -> NDArray[np.float64]:
    """A column of whole numbers from 0 on, whatever type it is stored as."""
    values = data[column].astype(np.float64)
    if not ((values >= 0) & (values <= largest) & (values == np.rint(values))).all():
        raise FormatError(
            f"{data.file_name}: expected whole numbers from 0 to {largest} in DATA.{column}; others are there"
        )
    return values


def _read_counts(data: FitsTable, arrays: dict[str, NDArray[Any]], name: str) -> bool:
    """Counts and triggers with their errors, into `arrays`; whether the file holds codes."""
    counts = _whole(data, "counts", _LARGEST)
    counts = counts.reshape(len(counts), -1)
    triggers = _whole(data, "triggers", _LARGEST).reshape(-1)
    counts_error, triggers_error = data.first_of(_COUNTS_ERRORS), data.first_of(_TRIGGERS_ERRORS)
    scheme = arrays["counts_scheme"]
    if counts_error is not None and triggers_error is not None:
        arrays["counts"], arrays["triggers"] = counts.astype(np.uint32), triggers.astype(np.uint32)
        arrays["counts_compression_error"] = data[counts_error].reshape(counts.shape).astype(np.float32)
        arrays["triggers_error"] = data[triggers_error].reshape(-1).astype(np.float32)
        arrays["counts_error"] = total_error(arrays["counts"], arrays["counts_compression_error"])
        return False
    compressed = counts.max(initial=0) <= 255 and triggers.max(initial=0) <= 255 and (scheme > 0).all()
    if not compressed or counts_error is not None or triggers_error is not None:
        raise FormatError(
            f"{name}: expected an error column for counts ({' or '.join(_COUNTS_ERRORS)}) and for triggers"
            f" ({' or '.join(_TRIGGERS_ERRORS)}), or 8-bit codes with their compression scheme; found neither"
        )
    found = to_counts(counts.astype(np.uint8), scheme)
    arrays["counts"], arrays["counts_error"], arrays["counts_compression_error"] = found
    arrays["triggers"], arrays["triggers_error"] = to_triggers(
        triggers.astype(np.uint8),
        arrays["triggers_scheme"],
        integration_time=arrays["integration_time"],
        detector_mask=arrays["detector_mask"],
    )
    return True


def _energy_bounds(
    tables: dict[str, FitsTable], arrays: dict[str, NDArray[Any]], name: str
) -> NDArray[np.float64]:
    """Bounds of the bands, keV: of the table ENERGIES, else of the edge mask."""
    if "ENERGIES" in tables:
        table = tables["ENERGIES"]
        high = table["e_high"].astype(np.float64)
        return np.column_stack([table["e_low"].astype(np.float64), np.where(np.isfinite(high), high, np.inf)])
    masks = np.unique(arrays["energy_edge_mask"])
    if len(masks) != 1:
        raise FormatError(
            f"{name}: expected one CONTROL.energy_bin_edge_mask or a table ENERGIES; found {len(masks)} masks"
        )
    return band_bounds(int(masks[0]), energy_edges(arrays["time"][0]))
