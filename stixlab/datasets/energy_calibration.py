"""Declaration of the energy calibration of the pixels: the result of a run of the onboard source."""

from __future__ import annotations

from stixlab.datasets.construction import TIME_FIELDS
from stixlab.datasets.requests import DETECTOR
from stixlab.vocabulary import DatasetSpec, Field

__all__ = ["ENERGY_CALIBRATION"]

_BY_PIXEL = ("time", "detector", "pixel")

ENERGY_CALIBRATION = DatasetSpec(
    "cal-energy",
    "STIX energy calibration: offset and gain of every pixel",
    (
        *TIME_FIELDS,
        DETECTOR,
        Field("pixel", ("pixel",), "uint8", "1", "pixel, 0 to 11", coordinate=True),
        Field(
            "offset", _BY_PIXEL, "float64", "adu", "channel of 0 keV, of 1024 channels", fits_name="offset"
        ),
        Field("gain", _BY_PIXEL, "float64", "adu / keV", "channels of 1024 per keV", fits_name="gain"),
    ),
)
"""Offset and gain of every pixel."""
