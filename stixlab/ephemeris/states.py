"""An orbit as a table of positions and velocities; in between, motion along the Kepler ellipses of the two neighbours."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris.kepler import propagate
from stixlab.ephemeris.scales import from_dynamical, to_dynamical
from stixlab.errors import TimeError

__all__ = ["KERNEL", "PRODUCT", "TABLE", "OrbitStates", "load_shipped_orbit"]

KERNEL, PRODUCT, TABLE = "kernel", "product", "table"
"""Kinds of sources, in the order of trust."""
_DRIFT_KM_PER_DAY2 = 1.0
"""Beyond the last state: planets and sunlight pull by about 2e-7 m/s2."""
_DAY_S = 86_400.0

Vectors = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OrbitStates:
    """Positions and velocities at some times, and what lies between and near them."""

    seconds: NDArray[np.float64]
    """(n,) dynamical seconds since J2000, ascending."""
    position: Vectors
    """(n, 3) km relative to the Sun, axes of J2000."""
    velocity: Vectors
    """(n, 3) km/s."""
    accuracy_km: NDArray[np.float64]
    """(n,) how far a position may be off."""
    kind: str
    """`PRODUCT` or `TABLE`."""
    names: tuple[str, ...]
    """(n,) or one: where each comes from."""
    reach_s: float = 0.0
    """How far before the first and behind the last state it may be used, and from a state to the next: 0 means
    from the first to the last without a gap."""

    def __post_init__(self) -> None:
        n = len(self.seconds)
        shapes = (self.position.shape, self.velocity.shape, self.accuracy_km.shape)
        if not n or shapes != ((n, 3), (n, 3), (n,)) or len(self.names) not in {1, n}:
            raise TimeError(
                f"orbit {self.names[:1]}: expected a position, a velocity and an accuracy for each of {n} times; "
                f"found shapes {shapes}"
            )
        if (np.diff(self.seconds) <= 0).any():
            raise TimeError(f"orbit {self.names[0]}: expected times that ascend; found some that go back")

    @property
    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """UTC of the first and the last time covered; there may be gaps in between."""
        return (
            from_dynamical(self.seconds[0] - self.reach_s),
            from_dynamical(self.seconds[-1] + self.reach_s),
        )

    def covers(self, seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which times it can be asked for, (n,)."""
        if not self.reach_s:
            return np.asarray((seconds >= self.seconds[0]) & (seconds <= self.seconds[-1]))
        return self._distance(seconds) <= self.reach_s

    def _distance(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        after = np.clip(np.searchsorted(self.seconds, seconds), 0, len(self.seconds) - 1)
        before = np.maximum(after - 1, 0)
        return np.minimum(np.abs(seconds - self.seconds[after]), np.abs(seconds - self.seconds[before]))

    def state(self, seconds: NDArray[np.float64]) -> tuple[Vectors, Vectors, NDArray[np.float64]]:
        """Positions, velocities and accuracies at times that are covered.

        Parameters
        ----------
        seconds : (n,), dynamical seconds since J2000

        Returns
        -------
        position, velocity, accuracy : (n, 3) km, (n, 3) km/s, (n,) km
        """
        last = len(self.seconds) - 1
        right = np.searchsorted(self.seconds, seconds, side="right")
        left, right = np.maximum(right - 1, 0), np.minimum(right, last)
        span = self.seconds[right] - self.seconds[left]
        inside = span > 0
        if self.reach_s:
            inside &= span <= 2 * self.reach_s
            nearer = np.abs(seconds - self.seconds[right]) < np.abs(seconds - self.seconds[left])
            left = np.where(~inside & nearer, right, left)
        span = np.where(inside, span, 1.0)
        part = np.where(inside, (seconds - self.seconds[left]) / span, 0.0)
        weight = (part * part * (3 - 2 * part))[:, None]
        growth = (6 * part * (1 - part) / span)[:, None]
        r, v = propagate(self.position[left], self.velocity[left], seconds - self.seconds[left])
        accuracy = self.accuracy_km[left] + part * (self.accuracy_km[right] - self.accuracy_km[left])
        if inside.any():
            r2, v2 = propagate(self.position[right], self.velocity[right], seconds - self.seconds[right])
            r2, v2 = np.where(inside[:, None], r2, r), np.where(inside[:, None], v2, v)
            r, v = r + weight * (r2 - r), v + weight * (v2 - v) + growth * (r2 - r)
        days = np.where(inside, 0.0, np.abs(seconds - self.seconds[left]) / _DAY_S)
        return r, v, accuracy + _DRIFT_KM_PER_DAY2 * days**2

    def name_at(self, seconds: NDArray[np.float64]) -> list[str]:
        """Where the answer for each time comes from: its nearest state."""
        if len(self.names) == 1:
            return list(self.names) * len(seconds)
        after = np.clip(np.searchsorted(self.seconds, seconds), 0, len(self.seconds) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.abs(seconds - self.seconds[after]) < np.abs(seconds - self.seconds[before])
        return [self.names[i] for i in np.where(nearer, after, before).tolist()]

    @classmethod
    def joined(cls, parts: Sequence[OrbitStates]) -> OrbitStates:
        """Several tables of the same kind as one, in the order of time; of two states of one time the first stays."""
        names = [n for p in parts for n in (p.names * len(p.seconds) if len(p.names) == 1 else p.names)]
        seconds = np.concatenate([p.seconds for p in parts])
        _, order = np.unique(np.round(seconds, 3), return_index=True)
        return cls(
            seconds=seconds[order],
            position=np.concatenate([p.position for p in parts])[order],
            velocity=np.concatenate([p.velocity for p in parts])[order],
            accuracy_km=np.concatenate([p.accuracy_km for p in parts])[order],
            kind=parts[0].kind,
            names=tuple(names[i] for i in order.tolist()),
            reach_s=min(p.reach_s for p in parts),
        )


@lru_cache(maxsize=1)
def load_shipped_orbit() -> OrbitStates:
    """The orbit shipped, 2020-02-10 to 2030-11-18; its origin and accuracy stand in the head of ``data/orbit.csv``."""
    path = Path(__file__).parent / "data" / "orbit.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    values = np.array([[float(r[c]) for c in ("x", "y", "z", "vx", "vy", "vz", "accuracy_km")] for r in rows])
    return OrbitStates(
        seconds=to_dynamical(np.array([r["utc"] for r in rows], dtype="datetime64[ns]")),
        position=values[:, :3],
        velocity=values[:, 3:6],
        accuracy_km=values[:, 6],
        kind=TABLE,
        names=tuple(f"orbit table of stixlab ({r['basis']})" for r in rows),
    )
