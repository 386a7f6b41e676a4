"""Quicklook light curves and background of other makers' FITS files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.instrument.energy_channels import band_bounds, band_centres, energy_edges
from stixlab.products.counts import to_counts, to_triggers, total_error
from stixlab.products.formats.fits_bins import begin_of, bin_times, control_rows, scet_of_bins, whole_numbers
from stixlab.products.formats.fits_layout import control_columns
from stixlab.products.formats.fits_table import FitsTable
from stixlab.timing import ClockTable
from stixlab.vocabulary import DatasetSpec

__all__ = ["COUNTS_ERRORS", "TRIGGERS_ERRORS", "read_lightcurve", "settings_of_rows"]

COUNTS_ERRORS = ("counts_comp_err", "counts_err")
"""Both names stand for the compression error alone."""
TRIGGERS_ERRORS = ("triggers_comp_err", "triggers_err")
_LARGEST = np.iinfo(np.uint32).max


def read_lightcurve(
    spec: DatasetSpec, header: dict[str, Any], tables: dict[str, FitsTable], clock: ClockTable, name: str
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays of a light curve or the background by variable, bins as in the file, and attributes.

    Parameters
    ----------
    spec
        Which of the two.
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
    begin = begin_of(header, clock, name)
    time, bounds, length = bin_times(data, begin)
    row = control_rows(control, data, name)
    tenths = np.rint(length.astype(np.int64) / 1e8).astype(np.int64)
    if (tenths <= 0).any():
        raise FormatError(
            f"{name}: expected DATA.timedel above 0; found {length.min().astype(np.int64) / 1e9} s"
        )
    arrays: dict[str, NDArray[Any]] = {"time": time, "time_bounds": bounds}
    arrays["integration_time"] = (tenths / 10).astype(np.float32)
    arrays |= settings_of_rows(spec, control, row, name)
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
    if "rcr" in {f.fits_name for f in spec.fields}:
        arrays["rate_control_state"] = (
            whole_numbers(data, "rcr", np.iinfo(np.uint8).max).reshape(-1).astype(np.uint8)
        )
    energy_bounds = _energy_bounds(tables, arrays, name)
    if len(energy_bounds) != arrays["counts"].shape[1]:
        raise FormatError(
            f"{name}: expected as many energies as DATA.counts has, {arrays['counts'].shape[1]}; found {len(energy_bounds)}"
        )
    arrays |= {"energy": band_centres(energy_bounds), "energy_bounds": energy_bounds}
    kind = f"{str(header.get('LEVEL', '')).strip()} of {str(header.get('CREATOR', 'unknown')).strip()}"
    return arrays, {"dialect": f"{kind} (codes)"} if codes else {}


def settings_of_rows(
    spec: DatasetSpec, control: FitsTable, row: NDArray[np.int64], name: str
) -> dict[str, NDArray[Any]]:
    """Settings that stand in CONTROL as rows of small integers, for each row of DATA.

    Raises
    ------
    FormatError
        If a column is missing, or its rows have another length.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for each in control_columns(spec):
        values = control[each.column]
        if values.ndim != 2 or values.shape[1] != each.length:
            raise FormatError(
                f"{name}: expected {each.length} numbers in a row of CONTROL.{each.column}; found shape {values.shape}"
            )
        arrays[each.field] = each.from_rows(values, spec[each.field].dtype)[row]
    return arrays


def _read_counts(data: FitsTable, arrays: dict[str, NDArray[Any]], name: str) -> bool:
    """Counts and triggers with their errors, into `arrays`; whether the file holds codes."""
    counts = whole_numbers(data, "counts", _LARGEST)
    counts = counts.reshape(len(counts), -1)
    triggers = whole_numbers(data, "triggers", _LARGEST).reshape(-1)
    counts_error, triggers_error = data.first_of(COUNTS_ERRORS), data.first_of(TRIGGERS_ERRORS)
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
            f"{name}: expected an error column for counts ({' or '.join(COUNTS_ERRORS)}) and for triggers"
            f" ({' or '.join(TRIGGERS_ERRORS)}), or 8-bit codes with their compression scheme; found neither"
        )
    found = to_counts(counts.astype(np.uint8), scheme)
    arrays["counts"], arrays["counts_error"], arrays["counts_compression_error"] = found
    arrays["triggers"], arrays["triggers_error"] = to_triggers(
        triggers.astype(np.uint8),
        arrays["triggers_scheme"],
        integration_time=arrays["integration_time"],
        # The background is of one detector, which has one accumulator.
        detector_mask=arrays.get("detector_mask", np.ones(len(counts), dtype=np.uint32)),
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
