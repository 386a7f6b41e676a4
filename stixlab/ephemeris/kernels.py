"""Orbit and attitude from the SPICE kernels of the user. The only place that names spiceypy."""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris.attitude import Attitude, no_attitude
from stixlab.ephemeris.clock import find_kernels
from stixlab.ephemeris.scales import to_dynamical
from stixlab.ephemeris.states import KERNEL
from stixlab.errors import SettingsError, TimeError
from stixlab.timing import parse_utc

__all__ = ["KernelSet", "load_kernels"]

_SPACECRAFT, _EARTH, _SUN = -144, 399, 10
_BODY_AXES = -144_000
"""The reference axes of the spacecraft (SRF) in the frame kernels."""
_ORBIT_AXES = "SOLO_SUN_RTN"
_ORDER = (".tls", ".tpc", ".tsc", ".tf", ".ti", ".bpc", ".bc", ".bsp")
_TOLERANCE_TICKS = 65_536.0
"""Attitude at most one second from the time asked for."""
_FLOWN_KM = 10.0
_LONG_TERM = re.compile(r"_L\d{3}_")
"""Part of the name of an orbit kernel that was computed years ahead."""
_LONGEST_NAME = 255
_LOCK = threading.RLock()
"""The kernel pool of SPICE is one for the process and knows no threads."""

Vectors = NDArray[np.float64]
Windows = tuple[tuple[float, float], ...]


class KernelSet:
    """Kernels named by a meta-kernel, or all those of a folder; loaded when first asked.

    Parameters
    ----------
    spice
        A meta-kernel or a folder.

    Raises
    ------
    TimeError
        If there is neither, or a kernel that is named is missing.
    """

    def __init__(self, spice: Path) -> None:
        self.name = spice.name
        found = [p for p in find_kernels(spice) if p.suffix.lower() in _ORDER]
        missing = [p.name for p in found if not p.is_file()]
        if missing:
            raise TimeError(
                f"kernels of {spice}: expected {', '.join(missing[:3])}; "
                f"found {'no such file' if len(missing) == 1 else 'no such files'}; correct PATH_VALUES or add them"
            )
        is_folder = spice.is_dir()
        self.files = sorted(found, key=lambda p: self._rank(p, by_name=is_folder))
        self._flown_until = _date_of(spice.name)
        self._orbit: list[tuple[Path, Windows]] | None = None
        self._earth: Windows | None = None

    @staticmethod
    def _rank(path: Path, *, by_name: bool) -> tuple[Any, ...]:
        """SPICE prefers what is loaded last: of a folder that is the newest, and predictions come first."""
        kind = _ORDER.index(path.suffix.lower())
        if not by_name:
            return (kind,)
        flown = not _LONG_TERM.search(path.name) and "pred" not in path.name.lower()
        return (kind, flown, path.name)

    @property
    def has_orbit(self) -> bool:
        """Whether there is an orbit kernel of the spacecraft."""
        return bool(self._orbit_files())

    def windows(self) -> Windows:
        """Times that the orbit kernels cover, dynamical seconds."""
        return tuple(w for _, windows in self._orbit_files() for w in windows)

    def covers(self, seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which times the orbit kernels cover, (n,)."""
        return _within(seconds, self.windows())

    def state(self, seconds: NDArray[np.float64]) -> tuple[Vectors, Vectors]:
        """Spacecraft relative to the Sun at times that are covered: (n, 3) km and (n, 3) km/s, axes of J2000.

        Raises
        ------
        TimeError
            If SPICE cannot say.
        """
        return self._relative_to_sun(_SPACECRAFT, seconds)

    def earth_state(self, seconds: NDArray[np.float64]) -> tuple[Vectors, Vectors] | None:
        """Earth relative to the Sun, as `state`; None where the kernels do not cover all of the times."""
        if self._earth is None:
            self._earth = self._coverage(_EARTH)
        if not _within(seconds, self._earth).all():
            return None
        return self._relative_to_sun(_EARTH, seconds)

    def is_prediction(self, seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the orbit of a time was computed ahead: by the name of its kernel, or behind the date of the meta-kernel."""
        ahead = np.ones(seconds.shape, dtype=bool)
        for path, windows in self._orbit_files():
            if not _LONG_TERM.search(path.name):
                ahead &= ~_within(seconds, windows)
        if self._flown_until is not None:
            ahead |= seconds > float(to_dynamical(np.asarray(self._flown_until)))
        return ahead

    @property
    def flown_accuracy_km(self) -> float:
        """Of what is no prediction."""
        return _FLOWN_KM

    def source(self, seconds: NDArray[np.float64]) -> str:
        """Names of the orbit kernels that answer for times, and of the meta-kernel."""
        names = [p.name for p, windows in self._orbit_files() if _within(seconds, windows).any()]
        return ", ".join([self.name, *names[-1:]]) if names else self.name

    def attitude(self, time: NDArray[np.datetime64]) -> Attitude:
        """Attitude where the kernels have it; elsewhere invalid. The aspect system is in no kernel.

        Notes
        -----
        The turn from `SOLO_SUN_RTN` to the axes of the spacecraft, as roll, pitch, yaw about x, y, z; x of the spacecraft
        looks at the Sun while x of RTN looks away from it, so half a turn is taken off the yaw; pitch counts north.
        """
        flat = np.atleast_1d(time).ravel()
        angles = np.full((len(flat), 3), np.nan)
        if any(p.suffix.lower() == ".bc" for p in self.files):
            with _LOCK:
                spice = self._loaded()
                for i, moment in enumerate(to_dynamical(flat).tolist()):
                    matrix = self._axes(spice, moment)
                    if matrix is not None:
                        roll, pitch, yaw = np.degrees(spice.m2eul(matrix, 1, 2, 3))
                        angles[i] = _wrapped(roll), -pitch, _wrapped(yaw - 180.0)
        valid = np.isfinite(angles[:, 0])
        if not valid.any():
            return no_attitude(np.asarray(time))
        shape = np.shape(time)
        return Attitude(
            time=np.asarray(time),
            roll=angles[:, 0].reshape(shape),
            pitch=angles[:, 1].reshape(shape),
            yaw=angles[:, 2].reshape(shape),
            aspect=np.full((*shape, 2), np.nan),
            valid=valid.reshape(shape),
            source=self.name,
            kind=KERNEL,
        )

    @staticmethod
    def _axes(spice: ModuleType, seconds: float) -> Any:
        """Axes of the spacecraft at a time, None if no kernel has them."""
        try:
            ticks = spice.sce2c(_SPACECRAFT, seconds)
            matrix, _ = spice.ckgp(_BODY_AXES, ticks, _TOLERANCE_TICKS, _ORBIT_AXES)
        except spice.exceptions.SpiceyError:
            return None
        return matrix

    def _relative_to_sun(self, body: int, seconds: NDArray[np.float64]) -> tuple[Vectors, Vectors]:
        with _LOCK:
            spice = self._loaded()
            try:
                states = [spice.spkgeo(body, t, "J2000", _SUN)[0] for t in seconds.tolist()]
            except spice.exceptions.SpiceyError as error:
                raise TimeError(
                    f"kernels of {self.name}: expected the orbit of {body} relative to the Sun; SPICE says "
                    f"{_first_line(error)}; is a planetary ephemeris (de4xx.bsp) among them?"
                ) from error
        found = np.array(states).reshape(-1, 6)
        return found[:, :3], found[:, 3:]

    def _orbit_files(self) -> list[tuple[Path, Windows]]:
        if self._orbit is None:
            orbits = [p for p in self.files if p.suffix.lower() == ".bsp"]
            found = [(p, self._windows_of(p, _SPACECRAFT)) for p in orbits]
            self._orbit = [(p, windows) for p, windows in found if windows]
        return self._orbit

    def _coverage(self, body: int) -> Windows:
        files = [p for p in self.files if p.suffix.lower() == ".bsp"]
        return tuple(w for p in files for w in self._windows_of(p, body))

    def _windows_of(self, path: Path, body: int) -> Windows:
        spice = _spiceypy()
        with _LOCK:
            try:
                window = spice.spkcov(str(path), body)
                ends = [spice.wnfetd(window, i) for i in range(spice.wncard(window))]
            except spice.exceptions.SpiceyError as error:
                raise TimeError(
                    f"kernel {path.name}: expected an orbit kernel (SPK) that is whole; SPICE says {_first_line(error)}; "
                    "fetch it again"
                ) from error
        return tuple((float(b), float(e)) for b, e in ends)

    def _loaded(self) -> ModuleType:
        """SPICE with these kernels in its pool, whoever may have emptied it in the meantime."""
        spice = _spiceypy()
        for path in self.files:
            name = str(path)
            if len(name) > _LONGEST_NAME:
                raise TimeError(
                    f"kernel {path.name}: expected a path of at most 255 letters; found {len(name)}; move it"
                )
            try:
                if not _is_loaded(spice, name):
                    spice.furnsh(name)
            except spice.exceptions.SpiceyError as error:
                raise TimeError(
                    f"kernel {path.name}: expected a SPICE kernel; SPICE says {_first_line(error)}; take it away or fetch it "
                    "again"
                ) from error
        return spice


def _is_loaded(spice: ModuleType, name: str) -> bool:
    try:
        spice.kinfo(name)
    except spice.exceptions.NotFoundError:
        return False
    return True


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "short", "") or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _within(seconds: NDArray[np.float64], windows: Windows) -> NDArray[np.bool_]:
    inside = np.zeros(np.shape(seconds), dtype=bool)
    for begin, end in windows:
        inside |= (seconds >= begin) & (seconds <= end)
    return inside


def _wrapped(degrees: float) -> float:
    return (degrees + 180.0) % 360.0 - 180.0


def _date_of(name: str) -> np.datetime64 | None:
    """Date in the name of a meta-kernel of the mission, such as ``solo_ANC_soc-flown-mk_V110_20230409_001.tm``."""
    found = re.search(r"-mk_V?\w*?_(\d{8})", name, re.IGNORECASE)
    return parse_utc(found.group(1)) if found else None


def _spiceypy() -> ModuleType:
    try:
        import spiceypy
    except ImportError as error:
        raise SettingsError(
            "STIXLAB_SPICE: expected the package spiceypy to read kernels with; found none; `pip install stixlab[spice]`, or "
            "leave STIXLAB_SPICE empty"
        ) from error
    module: ModuleType = spiceypy
    return module


@lru_cache(maxsize=4)
def load_kernels(spice: Path) -> KernelSet:
    """Kernels of a meta-kernel or a folder, found once.

    Raises
    ------
    TimeError
        As `KernelSet`.
    """
    return KernelSet(spice)
