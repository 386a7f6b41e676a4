"""Declarations of the energy calibration spectra. Data only; datasets are built in `calibration_spectra`."""

from __future__ import annotations

from dataclasses import replace

from stixlab.datasets.construction import TIME_FIELDS
from stixlab.datasets.quicklook import LIGHTCURVE, LIGHTCURVE_L0
from stixlab.datasets.spectra import DETECTOR_FIELD
from stixlab.vocabulary import DatasetSpec, Field

__all__ = ["CALIBRATION", "CALIBRATION_L0", "N_CHANNELS", "N_SUBSPECTRA", "PARTS", "SCHEME"]

N_CHANNELS = 1024
"""Channels of the analogue-digital converter, of 10 bits."""
N_SUBSPECTRA = 8
"""Sub-spectra of a run at most."""
PARTS = tuple(f"NIXD{129 + i:04}" for i in range(3 * N_SUBSPECTRA))
"""Parameters of each sub-spectrum: points less one, channels in a point less one, lowest channel."""
SCHEME = ("NIXD0126", "NIXD0127", "NIXD0128")
_ALONG = ("time", "detector", "pixel", "channel")
_POINT = "NIX00158"

_AXES = (
    *TIME_FIELDS,
    DETECTOR_FIELD,
    Field("pixel", ("pixel",), "uint8", "1", "pixel, 0 to 11", coordinate=True),
    Field(
        "channel",
        ("channel",),
        "float64",
        "adu",
        "middle of the channels of the converter that are summed in a point, 0 to 1024",
        coordinate=True,
        attrs={"bounds": "channel_bounds"},
    ),
    Field(
        "channel_bounds",
        ("channel", "bound"),
        "float64",
        "adu",
        "lower and upper bound of these channels",
        coordinate=True,
        source_parameter=f"{PARTS[0]} to {PARTS[-1]}",
    ),
    Field(
        "subspectrum",
        ("channel",),
        "uint8",
        "1",
        "sub-spectrum that the point belongs to, from 1",
        coordinate=True,
    ),
)
_VALID = Field("counts_valid", _ALONG, "bool", "1", "whether the point was received")
_SETTINGS = (
    Field(
        "integration_time",
        ("time",),
        "float32",
        "s",
        "duration of the run, dead time included",
        source_parameter="NIX00122",
    ),
    LIGHTCURVE["detector_mask"],
    LIGHTCURVE["pixel_mask"],
    Field(
        "subspectrum_mask",
        ("time",),
        "uint8",
        "1",
        "sub-spectra that are sent, lowest bit: the first",
        source_parameter="NIX00160",
    ),
    replace(LIGHTCURVE["counts_scheme"], source_parameter=" ".join(SCHEME)),
)
_QUIET = Field(
    "quiet_time",
    ("time",),
    "uint16",
    "1",
    "time without an event before one is taken, 1/65536 s",
    source_parameter="NIX00123",
    fits_name="quiet_time",
)
_LIVE = Field(
    "live_time",
    ("time",),
    "uint32",
    "ms",
    "live time of the run",
    source_parameter="NIX00124",
    fits_name="live_time",
)
_TEMPERATURE = Field(
    "temperature",
    ("time",),
    "uint16",
    "1",
    "mean temperature of the detectors",
    source_parameter="NIX00125",
    fits_name="average_temperature",
)

CALIBRATION_L0 = DatasetSpec(
    "cal-spectra",
    "STIX energy calibration spectra, codes as transmitted",
    (
        *_AXES,
        replace(LIGHTCURVE_L0["counts_code"], dims=_ALONG, source_parameter=_POINT),
        _VALID,
        _QUIET,
        _LIVE,
        _TEMPERATURE,
        *_SETTINGS,
    ),
)
"""Level 0 of calibration runs."""

CALIBRATION = DatasetSpec(
    "cal-spectra",
    "STIX energy calibration spectra",
    (
        *_AXES,
        replace(LIGHTCURVE["counts"], dims=_ALONG, long_name="counts of each pixel", source_parameter=_POINT),
        replace(LIGHTCURVE["counts_error"], dims=_ALONG),
        replace(LIGHTCURVE["counts_compression_error"], dims=_ALONG),
        _VALID,
        replace(_QUIET, dtype="float64", units="s", long_name="time without an event before one is taken"),
        replace(_LIVE, dtype="float64", units="s"),
        replace(_TEMPERATURE, dtype="float32", units="deg_C"),
        *_SETTINGS,
    ),
)
"""Level 1 of calibration runs."""
