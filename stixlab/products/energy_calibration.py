"""Energy calibration products (CAL, made from a run of the onboard source): offset and gain of every pixel."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError, NotInCatalogError
from stixlab.fits_files import FITS_ERRORS, open_fits
from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS
from stixlab.instrument.elut import EnergyCalibration
from stixlab.instrument.elut_tables import ADC_PER_CHANNEL
from stixlab.timing import ClockTable, parse_utc

__all__ = ["MIN_DURATION", "calibration_arrays", "nearest_calibration", "read_energy_calibration"]

MIN_DURATION = np.timedelta64(12, "h")
"""A run of less than this has too few counts for every pixel; the limit that the STIX team recommends."""
_GAIN_CHANNELS = (1.0, 5.0)
"""Channels of 1024 per keV that a pixel can have; 2.3 is usual."""
_GAIN_STEPS = (0.05, 0.25)
"""keV per converter step of 4096 that a pixel can have; 0.11 is usual."""


def read_energy_calibration(path: Path, *, content: bytes | None = None) -> EnergyCalibration:
    """Offset and gain of a CAL product of the STIX team (``solo_CAL_stix-cal-energy_...fits``).

    Whether gains are channels per keV or keV per converter step is told by their size: files say the former of both.

    Parameters
    ----------
    path
    content
        The bytes of the file, where they have been read already.

    Raises
    ------
    FormatError
        If it is no such product, lacks something, or holds values that no pixel can have.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what astropy thinks of the headers of others
            with open_fits(path, content) as hdus:
                header = dict(hdus[0].header)
                data = hdus["DATA"].data
                offset, gain = (
                    np.array(data[name][0], dtype=np.float64).reshape(-1) for name in ("offset", "gain")
                )
                control = hdus["CONTROL"].data
                named = "ob_elut_name" in control.names
                elut = str(control["ob_elut_name"][0]).strip() if named else ""
        start, end = (
            parse_utc(str(header.get(k) or header[k.replace("-", "_")])) for k in ("DATE-BEG", "DATE-END")
        )
    except FITS_ERRORS as error:
        raise FormatError(
            f"{path.name}: expected an energy calibration (columns offset and gain in DATA, DATE-BEG, DATE-END);"
            f" found none: {error}",
            path=path,
        ) from error
    if str(header.get("INSTRUME", "")).strip() != "STIX":
        raise FormatError(
            f"{path.name}: expected a product of STIX; found {header.get('INSTRUME', 'no INSTRUME')!r}"
        )
    offset, gain = _in_channels(path, offset, gain)
    return EnergyCalibration(
        offset=offset,
        gain=gain,
        start=start,
        end=end,
        elut=elut.removesuffix(".csv").removeprefix("elut_table_"),
        source=path.name,
    )


def _in_channels(
    path: Path, offset: NDArray[np.float64], gain: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = N_DETECTORS * N_PIXELS
    if len(offset) != n or len(gain) != n:
        raise FormatError(
            f"{path.name}: expected offset and gain of {n} pixels; found {len(offset)} and {len(gain)}"
        )
    middle = float(np.median(gain))
    if _GAIN_STEPS[0] < middle < _GAIN_STEPS[1]:
        offset, gain = offset / ADC_PER_CHANNEL, 1 / (gain * ADC_PER_CHANNEL)
    low, high = _GAIN_CHANNELS
    wrong = ~((gain > low) & (gain < high) & (offset > 0) & (offset < 1024))
    if wrong.any():
        pixel = int(wrong.argmax())
        raise FormatError(
            f"{path.name}: detector {pixel // N_PIXELS + 1}, pixel {pixel % N_PIXELS}: expected a gain of {low:g} to"
            f" {high:g} channels per keV and an offset within 1024 channels; found {gain[pixel]:g} and {offset[pixel]:g}"
        )
    shape = (N_DETECTORS, N_PIXELS)
    return offset.reshape(shape), gain.reshape(shape)


def calibration_arrays(calibration: EnergyCalibration, clock: ClockTable) -> dict[str, NDArray[Any]]:
    """Arrays of the dataset `stixlab.datasets.energy_calibration.ENERGY_CALIBRATION`: one time, the run.

    Parameters
    ----------
    calibration
    clock
        For the on-board time.
    """
    bounds = np.array([[calibration.start, calibration.end]], dtype="datetime64[ns]")
    coarse, fine = clock.to_scet(bounds[:, 0])
    return {
        "time": bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) // 2,
        "time_bounds": bounds,
        "scet_coarse": coarse,
        "scet_fine": fine,
        "detector": np.arange(1, N_DETECTORS + 1, dtype=np.uint8),
        "pixel": np.arange(N_PIXELS, dtype=np.uint8),
        "offset": calibration.offset.reshape(1, N_DETECTORS, N_PIXELS),
        "gain": calibration.gain.reshape(1, N_DETECTORS, N_PIXELS),
    }


def nearest_calibration(
    calibrations: Iterable[EnergyCalibration], time: np.datetime64, *, elut: str
) -> EnergyCalibration:
    """The calibration to use for data of a time: of the same table, long enough, nearest by its middle.

    Parameters
    ----------
    time
        UTC.
    elut
        Name of the table in force at that time, such as ``20241114``.

    Raises
    ------
    NotInCatalogError
        If there is none; the message says what there is.
    """
    given = list(calibrations)
    fit = [c for c in given if c.end - c.start >= MIN_DURATION and c.elut in {"", elut}]
    if not fit:
        found = ", ".join(f"{c.source} (table {c.elut or 'not told'})" for c in given) or "none at all"
        raise NotInCatalogError(
            f"energy calibration at {np.datetime_as_string(time, 's')}: expected a run of 12 h or more with table {elut};"
            f" found {found}"
        )
    return min(fit, key=lambda c: abs((c.start + (c.end - c.start) / 2) - time))
