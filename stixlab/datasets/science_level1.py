"""Declarations of the science products of level 1: counts with errors, triggers, live time, energies in keV."""

from __future__ import annotations

from stixlab.datasets import pixel_data, spectrogram, visibility
from stixlab.datasets.aspect import ASPECT
from stixlab.datasets.construction import TIME_FIELDS
from stixlab.datasets.requests import (
    ACCUMULATOR,
    CHANNELS,
    COUNTS_SCHEME,
    DETECTOR,
    ENERGY,
    TRIGGERS_SCHEME,
)
from stixlab.datasets.visibility import FLUX_SCHEME
from stixlab.vocabulary import DatasetSpec, Field

__all__ = [
    "ASPECT",
    "COMPRESSED_PIXEL_DATA",
    "RAW_PIXEL_DATA",
    "SPECS",
    "SPECTROGRAM",
    "SUMMED_PIXEL_DATA",
    "VISIBILITY",
]

_CUBE = ("time", "detector", "pixel", "energy")
_PARTS = ("time", "detector", "energy")
_ACCUMULATED = ("time", "accumulator")
_BOTH = "standard deviation of the {}, compression and Poisson"
_COMPRESSION = "standard deviation of the {}, compression only"


def _counts(dims: tuple[str, ...], parameter: str, *, compressed: bool = True) -> tuple[Field, ...]:
    own, total = "counts_compression_error", "counts_error"
    fields = [
        Field(
            "counts", dims, "uint32", "count", "counts; 0 where nothing was sent, see counts_valid and the masks",
            source_parameter=parameter, ancillary=f"{total} {own}" if compressed else total, fits_name="counts",
        ),
        Field(total, dims, "float32", "count", _BOTH.format("counts") if compressed else "standard deviation of the counts, Poisson"),
    ]  # fmt: skip
    if compressed:
        fields.append(
            Field(own, dims, "float32", "count", _COMPRESSION.format("counts"), fits_name="counts_comp_err")
        )
    return tuple(fields)


def _triggers(
    dims: tuple[str, ...], text: str, parameter: str, *, compressed: bool = True
) -> tuple[Field, ...]:
    fields = [
        Field(
            "triggers", dims, "uint32", "1", text, source_parameter=parameter,
            ancillary="triggers_error" if compressed else "", fits_name="triggers",
        )
    ]  # fmt: skip
    if compressed:
        fields.append(
            Field(
                "triggers_error",
                dims,
                "float32",
                "1",
                _COMPRESSION.format("triggers"),
                fits_name="triggers_comp_err",
            )
        )
    return tuple(fields)


def _livetime(dims: tuple[str, ...]) -> tuple[Field, ...]:
    return (
        Field(
            "exposure_time", ("time",), "float32", "s",
            "time over which counts and triggers were collected: that of the bin, or of the one before it where "
            "attribute time_bin_shift is 1; 0: not known",
        ),
        Field(
            "livetime_fraction", dims, "float32", "1", "part of the exposure in which events were recorded",
            ancillary="livetime_fraction_error",
        ),
        Field(
            "livetime_fraction_error", dims, "float32", "1",
            "half of what the live time changes between triggers less and plus their error",
        ),
        Field(
            "livetime_valid", dims, "bool", "1",
            "whether there is a live time: exposure known, triggers below saturation, detector in use",
        ),
    )  # fmt: skip


_BY_ACCUMULATOR = _triggers(_ACCUMULATED, "triggers of each accumulator", "NIX00242 to NIX00257")
_SCHEMES = (COUNTS_SCHEME, TRIGGERS_SCHEME)
_DETECTOR_LIVETIME = _livetime(("time", "detector"))
_PIXEL_AXES = (*TIME_FIELDS, DETECTOR, pixel_data.PIXEL, ACCUMULATOR, *CHANNELS, *ENERGY)
_COMPRESSED = (
    *_PIXEL_AXES,
    *_counts(_CUBE, "NIX00260"),
    *_BY_ACCUMULATOR,
    *pixel_data.SETTINGS,
    *_DETECTOR_LIVETIME,
    *_SCHEMES,
)

RAW_PIXEL_DATA = DatasetSpec(
    "sci-xray-rpd",
    "STIX raw pixel data",
    (
        *_PIXEL_AXES,
        *_counts(_CUBE, "NIX00065", compressed=False),
        *_triggers(_ACCUMULATED, "triggers of each accumulator", "NIX00408 to NIX00423", compressed=False),
        *pixel_data.SETTINGS,
        *_DETECTOR_LIVETIME,
    ),
)
"""Level 1 of raw pixel data."""
COMPRESSED_PIXEL_DATA = DatasetSpec("sci-xray-cpd", "STIX compressed pixel data", _COMPRESSED)
"""Level 1 of compressed pixel data."""
SUMMED_PIXEL_DATA = DatasetSpec("sci-xray-scpd", "STIX summed pixel data", _COMPRESSED)
"""Level 1 of summed pixel data."""
SPECTROGRAM = DatasetSpec(
    "sci-xray-spec",
    "STIX spectrogram",
    (
        *TIME_FIELDS,
        *CHANNELS,
        *ENERGY,
        *_counts(("time", "energy"), "NIX00268"),
        *_triggers(("time",), "triggers summed over the accumulators", "NIX00267"),
        *spectrogram.SETTINGS,
        *_livetime(("time",)),
        *_SCHEMES,
    ),
)
"""Level 1 of a spectrogram."""


def _part(name: str, text: str, parameter: str) -> tuple[Field, Field]:
    return (
        Field(
            f"visibility_{name}", _PARTS, "int32", "count", text, source_parameter=parameter,
            ancillary=f"visibility_{name}_error", fits_name=name,
        ),
        Field(
            f"visibility_{name}_error", _PARTS, "float32", "count", _COMPRESSION.format(text), fits_name=f"{name}_comp_err"
        ),
    )  # fmt: skip


VISIBILITY = DatasetSpec(
    "sci-xray-vis",
    "STIX visibilities",
    (
        *TIME_FIELDS,
        DETECTOR,
        ACCUMULATOR,
        *CHANNELS,
        *ENERGY,
        *_part("real", "real part of the visibility", "NIX00263"),
        *_part("imaginary", "imaginary part of the visibility", "NIX00264"),
        Field(
            "flux", ("time", "energy"), "uint32", "count", "counts over the detectors of the request",
            source_parameter="NIX00261", ancillary="flux_error flux_compression_error", fits_name="flux",
        ),
        Field("flux_error", ("time", "energy"), "float32", "count", _BOTH.format("flux")),
        Field(
            "flux_compression_error", ("time", "energy"), "float32", "count", _COMPRESSION.format("flux"),
            fits_name="flux_comp_err",
        ),
        *_BY_ACCUMULATOR,
        *visibility.SETTINGS,
        *_DETECTOR_LIVETIME,
        COUNTS_SCHEME,
        FLUX_SCHEME,
        TRIGGERS_SCHEME,
    ),
)  # fmt: skip
"""Level 1 of visibilities."""

SPECS = (RAW_PIXEL_DATA, COMPRESSED_PIXEL_DATA, SUMMED_PIXEL_DATA, VISIBILITY, SPECTROGRAM, ASPECT)
"""All of them."""
