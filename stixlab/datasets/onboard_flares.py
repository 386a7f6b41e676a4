"""State of the archive on board and the list of flares in it (TM(21,6) SSID 43). One packet is one time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.datasets.bins import times_of_packets
from stixlab.datasets.construction import TIME_FIELDS, make_dataset
from stixlab.datasets.flare_flags import LOCATION_TEXT
from stixlab.datasets.report import BuildReport
from stixlab.telemetry.decode import Columns
from stixlab.timing.scet import ClockTable
from stixlab.vocabulary import DatasetSpec, Field

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FLARE_LIST", "FLARE_LIST_L0", "N_LISTED", "build_flare_list"]

N_LISTED = 255
"""Places of the list: more flares no packet can count."""
_N_FLARES = "NIX00294"
_BY_FLARE = ("time", "flare")
# Source of the processing states: flight database, CIXT0293TM; of their words: stixpy's reader of these files.
_PROCESSING = {
    "flag_masks": [1, 2, 4, 8, 16, 32, 64, 128],
    "flag_meanings": "imaging_started imaging_ended spectroscopy_started spectroscopy_ended publication_started"
    " publication_ended cancelled new_entry",
}


def _listed(name: str, source: str, kind: tuple[str, str], text: str, column: str, **attrs: Any) -> Field:
    """Declaration of what each flare of the list has; `kind` is type and unit."""
    return Field(name, _BY_FLARE, *kind, text, source_parameter=source, fits_name=column, attrs=attrs)


_FIELDS = (
    *TIME_FIELDS,
    Field("flare", ("flare",), "uint8", "1", "place in the list, from 1", coordinate=True),
    Field(
        "science_data_counter",
        ("time",),
        "uint32",
        "1",
        "counter of the bulk science data asked for by users (UBSD)",
        source_parameter="NIX00285",
        fits_name="ubsd",
    ),
    Field(
        "selected_data_counter",
        ("time",),
        "uint32",
        "1",
        "counter of the bulk science data selected on board (PALD)",
        source_parameter="NIX00286",
        fits_name="pald",
    ),
    Field("n_flares", ("time",), "uint8", "1", "flares in the list", source_parameter=_N_FLARES),
    Field("flare_valid", _BY_FLARE, "bool", "1", "whether there is a flare at this place of the list"),
    Field("flare_start", _BY_FLARE, "datetime64[ns]", "", "start of the flare, UTC at the spacecraft"),
    Field("flare_end", _BY_FLARE, "datetime64[ns]", "", "end of the flare, UTC at the spacecraft"),
    _listed(
        "flare_start_scet",
        "NIX00287",
        ("uint32", "s"),
        "on-board time of the flare's start",
        "start_scet_coarse",
    ),
    _listed(
        "flare_end_scet", "NIX00288", ("uint32", "s"), "on-board time of the flare's end", "end_scet_coarse"
    ),
    _listed("highest_flag", "NIX00289", ("uint8", "1"), "highest flag of the flare", "highest_flareflag"),
    _listed("telemetry_volume", "NIX00290", ("uint32", "byte"), "telemetry of the flare", "tm_byte_volume"),
    _listed(
        "location_z",
        "NIX00291",
        ("int16", "arcmin"),
        "mean flare location Z in the frame of the flight software",
        "average_z_loc",
    ),
    _listed(
        "location_y",
        "NIX00292",
        ("int16", "arcmin"),
        f"mean flare location Y {LOCATION_TEXT}",
        "average_y_loc",
    ),
    _listed(
        "processing_status",
        "NIX00293",
        ("uint8", "1"),
        "how far the data of the flare are processed, bit by bit",
        "processing_mask",
        **_PROCESSING,
    ),
)

FLARE_LIST_L0 = DatasetSpec("ql-tmstatusflarelist", "STIX list of flares on board, raw", _FIELDS)
"""Level 0 of the flare list; its numbers are those of level 1."""
FLARE_LIST = DatasetSpec("ql-tmstatusflarelist", "STIX list of flares on board", _FIELDS)
"""Level 1 of the flare list."""


def build_flare_list(columns: Columns, clock: ClockTable, report: BuildReport) -> list[xr.Dataset]:
    """Level 0 flare lists of packets.

    Parameters
    ----------
    columns
        Decoded packets of TM(21,6) SSID 43.
    clock
        On-board time to UTC.
    report
        Gets the packets that are left out: those whose time is not synchronised.

    Returns
    -------
    list of xarray.Dataset
        One, or none if no packet is left. A list without a flare still says the state of the archive.
        Places of the list that hold no flare are 0, their times those of on-board time 0.
    """
    packets, arrays = times_of_packets(columns, clock, report)
    if not packets.size:
        return []
    n_flares = columns[_N_FLARES][packets]
    valid = np.arange(N_LISTED) < n_flares[:, None]
    arrays |= {
        "flare": np.arange(1, N_LISTED + 1, dtype=np.uint8),
        "n_flares": n_flares.astype(np.uint8),
        "flare_valid": valid,
    }
    place = (columns.splits["NIX00287"][:-1][packets][:, None] + np.arange(N_LISTED))[valid]
    for field in _FIELDS:
        if field.name in arrays or not field.source_parameter:
            continue
        values = columns[field.source_parameter]
        if field.dims == _BY_FLARE:
            arrays[field.name] = np.zeros(valid.shape, dtype=field.dtype)
            arrays[field.name][valid] = values[place]
        else:
            arrays[field.name] = values[packets].astype(field.dtype)
    for end in ("start", "end"):
        arrays[f"flare_{end}"] = np.asarray(clock.to_utc(arrays[f"flare_{end}_scet"]), dtype="datetime64[ns]")
    return [make_dataset(FLARE_LIST_L0, arrays, level="L0", attrs={})]
