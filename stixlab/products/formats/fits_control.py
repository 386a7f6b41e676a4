"""The CONTROL table: settings of the packets of a day in runs of bins, or of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS, mask_bits
from stixlab.products.formats.fits_columns import Column, Hdu, column, table
from stixlab.products.formats.fits_layout import (
    REQUEST_KEYWORDS,
    control_columns,
    control_runs,
    is_request,
    subspectrum_columns,
)
from stixlab.vocabulary import DatasetSpec

__all__ = ["control_table", "request_cards"]

_UNSIGNED_BELOW = {"uint16": 1 << 16, "uint32": 1 << 32}


def control_table(
    spec: DatasetSpec,
    along: Mapping[str, NDArray[Any]],
    others: Mapping[str, NDArray[Any]],
    attrs: Mapping[Any, Any],
) -> tuple[Hdu, NDArray[np.int32]]:
    """The CONTROL table, and for each time the row in it."""
    if is_request(spec.product):
        return _of_request(spec, along, attrs)
    n_times = len(along["time"])
    has_bins = "integration_time" in along
    starts = control_runs(along) if has_bins else np.arange(n_times)
    length = np.diff([*starts, n_times])
    duration = along["integration_time"][starts].astype(np.float64) if has_bins else np.zeros(n_times)
    columns = [
        column("scet_coarse", along["scet_coarse"][starts], "s"),
        column("scet_fine", along["scet_fine"][starts]),
        column("integration_time", np.round(duration, 1), "s"),
        column("index", np.arange(len(starts), dtype=np.int32)),
        *_settings(spec, along, starts),
    ]
    if "subspectrum" in others:
        columns += [column(n, np.tile(v, (len(starts), 1))) for n, v in subspectrum_columns(others).items()]
    if "energy" in others and "counts" in along:
        columns.append(
            column("num_energies", np.full(len(starts), along["counts"].shape[-1], dtype=np.int32))
        )
    if has_bins:
        columns.append(column("num_samples", length.astype(np.int32)))
    return table("CONTROL", columns), np.repeat(np.arange(len(starts), dtype=np.int32), length)


def _settings(
    spec: DatasetSpec, along: Mapping[str, NDArray[Any]], starts: NDArray[np.integer]
) -> list[Column]:
    return [column(c.column, c.to_rows(along[c.field][starts])) for c in control_columns(spec)]


def _of_request(
    spec: DatasetSpec, along: Mapping[str, NDArray[Any]], attrs: Mapping[Any, Any]
) -> tuple[Hdu, NDArray[np.int32]]:
    """One row for each run of equal settings: nearly always one."""
    n_times = len(along["time"])
    differs = np.zeros(max(n_times - 1, 0), dtype=bool)
    for each in control_columns(spec):
        differs |= along[each.field][1:] != along[each.field][:-1]
    starts = np.flatnonzero(np.concatenate([[True], differs]))
    length = np.diff([*starts, n_times])
    n = len(starts)
    columns = [
        column("tc_packet_id_ref", _same(attrs, "tc_packet_id", n, "uint16")),
        column("tc_packet_seq_control", _same(attrs, "tc_sequence", n, "uint16")),
        column("request_id", _same(attrs, "request_id", n, "uint32")),
        column("index", np.arange(n, dtype=np.int32)),
        *_settings(spec, along, starts),
        column("time_stamp", np.full(n, float(attrs.get("time_stamp_scet", 0.0))), "s"),
        column("num_samples", length.astype(np.int32)),
    ]
    # Readers of spectrograms look for the masks here, those of pixel data in DATA.
    for name, n_bits in (("detector_mask", N_DETECTORS), ("pixel_mask", N_PIXELS)):
        if name in along:
            columns.append(column(f"{name}s", mask_bits(along[name][starts], n_bits)))
    return table("CONTROL", columns), np.repeat(np.arange(n, dtype=np.int32), length)


def _same(attrs: Mapping[Any, Any], name: str, n: int, dtype: str) -> NDArray[Any]:
    """A number of the request for each row; 0 if it has none that fits."""
    value = int(attrs.get(name, 0))
    return np.full(n, value if 0 <= value < _UNSIGNED_BELOW[dtype] else 0, dtype=dtype)


def request_cards(attrs: Mapping[Any, Any]) -> list[tuple[str, Any, str]]:
    """Keywords that say which request it is and what is known of it."""
    return [(k.keyword, attrs[k.attribute], k.text) for k in REQUEST_KEYWORDS if k.attribute in attrs]
