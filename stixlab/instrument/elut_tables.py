"""One energy look-up table (ELUT): what a file of it says, and the energies that follow from it.

When which table held is in `stixlab.instrument.elut`.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError, SchemaError
from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS

__all__ = ["ADC_PER_CHANNEL", "N_EDGES", "Elut", "EnergyCalibration", "read_elut", "table_name"]

N_EDGES = 31
"""Edges that a table sets: between the 32 science channels."""
ADC_PER_CHANNEL = 4
"""Steps of the converter as the tables count them (4096) in one channel of a calibration spectrum (1024)."""
_TOLERANCE_ADC = 1.5
"""Edges are rounded or cut to whole steps; what is further off has no business in the table."""
_ENERGY = re.compile(r"(\d+(?:\.\d+)?)\s*keV", re.IGNORECASE)


@dataclass(frozen=True)
class EnergyCalibration:
    """What a calibration run says of each pixel: channel = offset + gain * energy."""

    offset: NDArray[np.float64]
    """(detector, pixel), channels of 1024."""
    gain: NDArray[np.float64]
    """(detector, pixel), channels of 1024 per keV; about 2.3."""
    start: np.datetime64
    """UTC."""
    end: np.datetime64
    """UTC."""
    elut: str
    """Name of the table that was on board, such as ``20241114``; empty if it is not told."""
    source: str
    """Name of the file or run."""


@dataclass(frozen=True)
class Elut:
    """A look-up table, and when it held."""

    name: str
    """Date of the table, ``yyyymmdd``."""
    offset: NDArray[np.float64]
    """(detector, pixel), converter steps of 4096 at 0 keV: what the table was made from."""
    gain: NDArray[np.float64]
    """(detector, pixel), keV per converter step; about 0.11."""
    adc_edges: NDArray[np.int32]
    """(detector, pixel, edge), converter steps of 4096: what the instrument goes by. Edge 1 to 31."""
    nominal_edges: NDArray[np.float64]
    """(edge,), keV: what the edges were meant to be."""
    comment: str
    """What the file says of itself."""
    source: str
    """Where the file comes from: ``imported``, or a package and its version."""
    start: np.datetime64 | None = None
    """UTC from which it held; None: not told."""
    end: np.datetime64 | None = None
    """UTC up to which it held; None: still, as far as the tables at hand know."""
    note: str = ""
    """What is not certain about the span."""

    def true_edges(self, calibration: EnergyCalibration | None = None) -> NDArray[np.float64]:
        """Energies at which the channels of each pixel really begin and end.

        Parameters
        ----------
        calibration
            Of a run near the time. None: the offset and gain that the table was made from; the edges then differ
            from the nominal ones by what rounding to whole steps does, up to 0.06 keV.

        Returns
        -------
        (detector, pixel, edge), keV

        Raises
        ------
        SchemaError
            If the calibration is of another table: its energies would be of other edges.
        """
        if calibration is None:
            return np.asarray((self.adc_edges - self.offset[..., None]) * self.gain[..., None])
        if calibration.elut and calibration.elut != self.name:
            raise SchemaError(
                f"true edges: expected a calibration made with table {self.name}; {calibration.source} was made with"
                f" {calibration.elut}; take one of the time of the data"
            )
        channel = self.adc_edges / ADC_PER_CHANNEL
        return np.asarray((channel - calibration.offset[..., None]) / calibration.gain[..., None])


def table_name(path: Path) -> str:
    """Name of the table in a file: its date for those of the instrument team."""
    return re.sub(r"^elut_(table_)?", "", path.stem)


def read_elut(path: Path, source: str = "") -> Elut:
    """Table of a CSV file: of the instrument team (offset, gain, pixel, detector, edges) or of a calibration run.

    Parameters
    ----------
    source
        What to call where it comes from; the name of the file if empty.

    Raises
    ------
    FormatError
        If it is no such table, a pixel is missing, or edges do not follow from offset and gain.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), skipinitialspace=True))
    except (OSError, UnicodeError, csv.Error) as error:
        raise FormatError(f"ELUT {path.name}: cannot be read: {error}", path=path) from error
    heading = next((n for n, row in enumerate(rows) if len(_columns(row)) == 5), None)
    if heading is None:
        raise FormatError(
            f"ELUT {path.name}: expected a line that names offset, gain or slope, pixel and detector; found none;"
            " is it a table of the STIX configuration files?",
            path=path,
        )
    columns = _columns(rows[heading])
    edges = [n for n, text in enumerate(rows[heading]) if _ENERGY.search(text)]
    nominal = np.array([float(_ENERGY.findall(rows[heading][n])[0]) for n in edges])
    if len(edges) != N_EDGES or (np.diff(nominal) <= 0).any():
        raise FormatError(
            f"ELUT {path.name}: expected {N_EDGES} rising energies in its heading; found {len(edges)}",
            path=path,
        )
    data = [row for row in rows[heading + 1 :] if any(cell.strip() for cell in row)]
    values = _numbers(path, data, [*(columns[c] for c in _NAMES), *edges])
    offset, gain = values[:, 0], values[:, 1]
    if columns["slope"]:
        # Of a calibration run: channels of 1024, and channels per keV.
        offset, gain = offset * ADC_PER_CHANNEL, 1 / (gain * ADC_PER_CHANNEL)
    place = _places(path, values[:, 2], values[:, 3])
    _check_edges(path, values, offset, gain, nominal)
    shape = (N_DETECTORS, N_PIXELS)
    comment = " ".join(" ".join(row[0].split()) for row in rows[:heading] if row and row[0].strip())
    return Elut(
        name=table_name(path),
        offset=offset[place].reshape(shape),
        gain=gain[place].reshape(shape),
        adc_edges=values[place, 4:].astype(np.int32).reshape(*shape, N_EDGES),
        nominal_edges=nominal,
        comment=comment.strip(' ",'),
        source=source or path.name,
    )


_NAMES = ("offset", "gain", "pixel", "detector")


def _columns(row: list[str]) -> dict[str, int]:
    """Columns by meaning; empty if it is not the heading."""
    found: dict[str, int] = {}
    steps = 0
    for number, cell in enumerate(row[:4]):
        text = cell.strip().lower()
        for name, words in (
            ("offset", ("offset",)),
            ("gain", ("gain", "slope")),
            ("pixel", ("pixel",)),
            ("detector", ("detector",)),
        ):
            if text.startswith(words):
                found[name] = number
                steps += text.startswith("slope")
    return found | {"slope": steps} if len(found) == 4 else {}


def _numbers(path: Path, rows: list[list[str]], columns: list[int]) -> NDArray[np.float64]:
    try:
        values = np.array([[float(row[c]) for c in columns] for row in rows], dtype=np.float64)
    except (ValueError, IndexError) as error:
        raise FormatError(f"ELUT {path.name}: expected numbers in every line; {error}", path=path) from None
    if len(values) != N_DETECTORS * N_PIXELS or not np.isfinite(values).all():
        raise FormatError(
            f"ELUT {path.name}: expected {N_DETECTORS * N_PIXELS} lines of finite numbers, one a pixel;"
            f" found {len(values)}",
            path=path,
        )
    return values


def _places(path: Path, pixel: NDArray[np.float64], detector: NDArray[np.float64]) -> NDArray[np.intp]:
    """Line of each pixel, in the order of detector and pixel."""
    number = detector * N_PIXELS + pixel
    in_range = (pixel >= 0) & (pixel < N_PIXELS) & (detector >= 0) & (detector < N_DETECTORS)
    order = np.argsort(number, kind="stable")
    if not in_range.all() or (number[order] != np.arange(len(number))).any():
        raise FormatError(
            f"ELUT {path.name}: expected each of the detectors 0 to 31 and pixels 0 to 11 once; found others or some twice",
            path=path,
        )
    return order


def _check_edges(
    path: Path,
    values: NDArray[np.float64],
    offset: NDArray[np.float64],
    gain: NDArray[np.float64],
    nominal: NDArray[np.float64],
) -> None:
    adc = values[:, 4:]
    expected = offset[:, None] + nominal / np.where(gain > 0, gain, np.nan)[:, None]
    wrong = ~(np.abs(adc - expected) <= _TOLERANCE_ADC)
    wrong |= (adc != np.round(adc)) | (adc < 0) | (adc >= 4096)
    if wrong.any():
        row, edge = np.argwhere(wrong)[0]
        raise FormatError(
            f"ELUT {path.name}: detector {values[row, 3]:g}, pixel {values[row, 2]:g}: expected edge {nominal[edge]:g} keV"
            f" at about {expected[row, edge]:.1f} by its offset and gain; found {adc[row, edge]:g}; the file is damaged",
            path=path,
        )
