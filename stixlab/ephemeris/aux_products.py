"""L2 auxiliary products (ephemeris, attitude and aspect by the minute), read from FITS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris import frames
from stixlab.ephemeris.scales import to_dynamical
from stixlab.ephemeris.states import PRODUCT, OrbitStates
from stixlab.errors import FormatError, TimeError
from stixlab.fits_files import check_instrument, open_whole_fits
from stixlab.timing import parse_utc

__all__ = ["AuxProduct", "is_aux_product", "read_aux"]

_REACH_S = 43_200.0
"""How far from its middle the state in a header may be used: half a day, the length of a product."""
_HEADER_ACCURACY_KM = 10.0
_COLUMN_ACCURACY_KM = 30.0
_DISAGREEMENT_KM = 1000.0
"""Header and columns are taken to be of different times when they differ by more."""
_NEEDED = ("roll_angle_rpy", "y_srf", "z_srf")
_POSITIONS = ("solo_loc_heeq_zxy", "solo_loc_heeq")
_DEGREE = 6
_OBSERVATION, _UNKNOWN = ("OBS_ID", "OBS_MODE", "OBS_TYPE"), ("", "none")


@dataclass(frozen=True, eq=False)
class AuxProduct:
    """What an auxiliary product says, by time."""

    name: str
    """File name."""
    time: NDArray[np.datetime64]
    """(n,) UTC, datetime64[ns], ascending; everything holds at this moment."""
    roll_pitch_yaw: NDArray[np.float64]
    """(n, 3) degrees; pitch and yaw relative to the direction of the Sun."""
    aspect: NDArray[np.float64]
    """(n, 2) arcsec, solution of the aspect system (`y_srf`, `z_srf`); NaN where there is none."""
    aspect_valid: NDArray[np.bool_]
    """(n,) whether there is a solution (and the product calls it good)."""
    states: OrbitStates
    """The orbit."""
    kernels: str
    """Meta-kernels that it was made with, as far as it says."""
    observation: tuple[tuple[str, str], ...] = ()
    """Keywords that tell what was observed that day, and their values. Not those of the campaign (SOOPNAME, SOOPTYPE):
    requests of the day that belong to none have a day's product that names one."""


def is_aux_product(path: Path) -> bool:
    """Whether a file has the name of an auxiliary product, old or new."""
    return re.search(r"stix-(aux|asp)-ephemeris.*\.fits(\.gz)?$", path.name.lower()) is not None


def read_aux(path: Path, *, content: bytes | None = None) -> AuxProduct:
    """Read an auxiliary product (``stix-aux-ephemeris``, ``stix-asp-ephemeris``).

    Parameters
    ----------
    path
    content
        The bytes of the file, where they have been read already.

    Raises
    ------
    FormatError
        If it is no such product, is damaged, or lacks something; the message says what.
    """
    header, columns, units = _load(path, content)
    _check(path.name, header, columns)
    time = _times(path.name, header, columns, units)
    order = np.argsort(time, kind="stable")
    order = order[np.concatenate([[True], np.diff(time[order]) > np.timedelta64(0, "ns")])]
    aspect = np.stack([columns["y_srf"], columns["z_srf"]], axis=1).astype(np.float64)
    valid: NDArray[np.bool_] = np.asarray(np.isfinite(aspect).all(axis=1))
    if "sas_ok" in columns:
        valid &= np.asarray(columns["sas_ok"].astype(np.float64) == 1)
    angles = columns["roll_angle_rpy"].astype(np.float64).reshape(len(time), 3)
    return AuxProduct(
        name=path.name,
        time=time[order],
        roll_pitch_yaw=angles[order],
        aspect=aspect[order],
        aspect_valid=valid[order],
        states=_states(path.name, header, columns, time, order),
        kernels=str(header.get("SPICE_MK", "")),
        observation=tuple(
            (k, v) for k in _OBSERVATION if (v := str(header.get(k, "")).strip()) not in _UNKNOWN
        ),
    )


def _load(
    path: Path, content: bytes | None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, str]]:
    """Primary header, columns of DATA and their units; checksums verified."""
    with open_whole_fits(path, content, expected="an auxiliary product, whole") as hdus:
        header = dict(hdus[0].header)
        table = next((h for h in hdus[1:] if str(h.name).upper() == "DATA"), None)
        columns = {} if table is None else {n: _native(table.data[n]) for n in table.columns.names}
        units = {} if table is None else {c.name: str(c.unit or "").strip() for c in table.columns}
    return header, columns, units


def _native(values: Any) -> NDArray[Any]:
    array = np.asarray(values)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _check(name: str, header: dict[str, Any], columns: dict[str, Any]) -> None:
    check_instrument(header, name)
    missing = [c for c in _NEEDED if c not in columns]
    if missing or not any(c in columns for c in _POSITIONS):
        raise FormatError(
            f"{name}: expected an auxiliary product (stix-aux-ephemeris) with {', '.join(_NEEDED)} and {_POSITIONS[0]} in "
            f"DATA; found {', '.join(columns) or 'no table DATA'}"
        )
    if not len(columns[_NEEDED[0]]):
        raise FormatError(f"{name}: expected times in DATA; it is empty")


def _times(
    name: str, header: dict[str, Any], columns: dict[str, NDArray[Any]], units: dict[str, str]
) -> NDArray[np.datetime64]:
    try:
        if "time_utc" in columns:
            return np.array([parse_utc(str(t)) for t in columns["time_utc"].tolist()], dtype="datetime64[ns]")
        begin = parse_utc(str(header.get("DATE-BEG") or header.get("DATE_BEG") or ""))
        scale = {"s": 1e9, "cs": 1e7}[units.get("time", "")]
        return begin + np.rint(columns["time"] * scale).astype("timedelta64[ns]")
    except (TimeError, KeyError) as error:
        raise FormatError(
            f"{name}: expected a column time_utc, or DATE-BEG and a column time in s or cs; {error}"
        ) from error


def _states(
    name: str,
    header: dict[str, Any],
    columns: dict[str, NDArray[Any]],
    time: NDArray[np.datetime64],
    order: NDArray[np.intp],
) -> OrbitStates:
    """State at the middle: of the header, which has all digits, or else a smooth curve through the positions."""
    seconds = to_dynamical(time[order])
    heeq = (
        next(columns[c] for c in _POSITIONS if c in columns).astype(np.float64).reshape(len(time), 3)[order]
    )
    earth, _ = frames.earth_state(time[order])
    inertial = frames.rotate(np.swapaxes(frames.heeq(earth), -1, -2), heeq)
    keys = [f"HCI{axis}_{kind}" for kind in ("OBS", "VOB") for axis in "XYZ"]
    middle = header.get("DATE-AVG")
    if middle and all(isinstance(header.get(k), float) for k in keys):
        at = float(to_dynamical(np.asarray(parse_utc(str(middle)))))
        values = np.array([header[k] for k in keys]).reshape(2, 3) / 1000.0
        position, velocity = values @ frames.hci()
        states = _one_state(name, at, position, velocity, _HEADER_ACCURACY_KM)
        nearest = int(np.abs(seconds - at).argmin())
        there, _, _ = states.state(seconds[nearest : nearest + 1])
        apart = float(np.linalg.norm(there[0] - inertial[nearest]))
        if apart < _DISAGREEMENT_KM:
            return states
        raise FormatError(
            f"{name}: expected the positions of header (HCIX_OBS... at DATE-AVG) and table to agree; they are "
            f"{apart:.0f} km apart; which is right cannot be told"
        )
    if len(seconds) <= 2 * _DEGREE:
        raise FormatError(
            f"{name}: expected HCIX_OBS ... HCIZ_VOB in the header, or more than {2 * _DEGREE} times; found neither"
        )
    at, scale = float(seconds.mean()), float(max(np.ptp(seconds), 1.0))
    curve = np.polynomial.polynomial.polyfit((seconds - at) / scale, inertial, _DEGREE)
    return _one_state(name, at, curve[0], curve[1] / scale, _COLUMN_ACCURACY_KM)


def _one_state(
    name: str, at: float, position: NDArray[np.float64], velocity: NDArray[np.float64], accuracy: float
) -> OrbitStates:
    return OrbitStates(
        seconds=np.array([at]),
        position=position[None, :],
        velocity=velocity[None, :],
        accuracy_km=np.array([accuracy]),
        kind=PRODUCT,
        names=(name,),
        reach_s=_REACH_S + 600.0,
    )
