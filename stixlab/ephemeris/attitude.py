"""Where the spacecraft points and how it is rolled; where STIX points; where neither is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris.aux_products import AuxProduct
from stixlab.errors import TimeError
from stixlab.timing import format_utc

__all__ = ["NONE", "Attitude", "attitude_from_products", "no_attitude"]

NONE = "none"
"""Source of times that nothing covers."""
_LONGEST_GAP_S = 300.0
"""Rows of an auxiliary product that lie further apart say nothing about the time between them."""
_DISAGREEMENT_ARCSEC = 200.0
"""The aspect solution is not believed where it departs further from the attitude, in either axis (as in stixpy 0.2.1)."""
_ATTITUDE_SHIFT = np.array([26.1, 58.2])
"""Pointing of STIX relative to the spacecraft, arcsec (stixpy 0.2.1, coordinates.transforms)."""
_ASPECT_OFFSET = np.array([60.0, 8.0])
"""What remains between aspect solution and pointing, arcsec (stixpy 0.2.1, coordinates.transforms)."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Attitude:
    """Attitude at one time or several; arrays have the shape of the times, NaN where `valid` is false."""

    time: NDArray[np.datetime64]
    """UTC, datetime64[ns]."""
    roll: Numbers
    """Degrees: turn of the spacecraft about the direction of the Sun."""
    pitch: Numbers
    """Degrees off the Sun."""
    yaw: Numbers
    """Degrees off the Sun."""
    aspect: Numbers
    """(..., 2) arcsec, solution of the aspect system (`y_srf`, `z_srf`); NaN where there is none."""
    valid: NDArray[np.bool_]
    """Whether anything covers the time."""
    source: str
    """Products or kernels; `NONE` where nothing covers any of the times."""
    kind: str
    """`kernel`, `product` or `none`; several by ", "."""

    @property
    def attitude_pointing(self) -> Numbers:
        """(..., 2) arcsec: where STIX points by roll, pitch and yaw; axes as of `pointing`."""
        roll, pitch, yaw = np.radians(self.roll), self.pitch * 3600, self.yaw * 3600
        x = -yaw * np.cos(roll) + pitch * np.sin(roll)
        y = yaw * np.sin(roll) + pitch * np.cos(roll)
        return np.asarray(np.stack([x, y], axis=-1) + _ATTITUDE_SHIFT)

    @property
    def aspect_pointing(self) -> Numbers:
        """(..., 2) arcsec: where STIX points by its own aspect system; NaN where it has no solution; axes as of `pointing`."""
        return np.asarray(np.stack([self.aspect[..., 0], -self.aspect[..., 1]], axis=-1) + _ASPECT_OFFSET)

    @property
    def aspect_used(self) -> NDArray[np.bool_]:
        """Whether `pointing` is that of the aspect system: it has a solution, near the attitude."""
        apart = np.abs(self.aspect_pointing - self.attitude_pointing)
        return np.asarray((apart < _DISAGREEMENT_ARCSEC).all(axis=-1))

    @property
    def pointing(self) -> Numbers:
        """(..., 2) arcsec: where STIX points relative to the centre of the Sun, along the axes of the spacecraft.

        Without roll x is west and y is north; see `pointing_on_sun` for those. By the aspect system where it has a
        solution near the attitude, else by the attitude; NaN where not `valid`.
        """
        return np.where(self.aspect_used[..., None], self.aspect_pointing, self.attitude_pointing)

    @property
    def pointing_on_sun(self) -> Numbers:
        """(..., 2) arcsec: where STIX points, helioprojective x (west) and y (north) as seen from the spacecraft."""
        return self.to_helioprojective(np.zeros(2))

    def to_helioprojective(self, offset: Numbers) -> Numbers:
        """Helioprojective x and y of directions given relative to the axis of STIX.

        Parameters
        ----------
        offset : (..., 2), arcsec
            Along the axes of the spacecraft: x west and y north when it is not rolled.

        Returns
        -------
        (..., 2), arcsec
        """
        return _turned(np.asarray(offset) + self.pointing, self.roll)

    def from_helioprojective(self, xy: Numbers) -> Numbers:
        """Directions relative to the axis of STIX of helioprojective x and y; the inverse of `to_helioprojective`."""
        return _turned(np.asarray(xy, dtype=np.float64), -self.roll) - self.pointing

    def required(self) -> Attitude:
        """The same, if it is valid throughout.

        Raises
        ------
        TimeError
            If nothing covers some of the times; the message names the first.
        """
        if not self.valid.all():
            first = np.atleast_1d(self.time)[~np.atleast_1d(self.valid)][0]
            raise TimeError(
                f"attitude: expected an L2 auxiliary product or an attitude kernel of the spacecraft for "
                f"{format_utc(first, digits=0)}; there is none; import the solo_L2_stix-aux-ephemeris product of that day"
            )
        return self

    def __repr__(self) -> str:
        times = np.atleast_1d(self.time)
        span = format_utc(times[0], digits=0)
        if len(times) > 1:
            span += f" to {format_utc(times[-1], digits=0)}, {len(times)} times"
        valid = np.atleast_1d(self.valid)
        if not valid.any():
            return f"<Attitude {span}: no source says how the spacecraft is turned>"
        roll, pitch, yaw = (np.atleast_1d(a)[valid][0] for a in (self.roll, self.pitch, self.yaw))
        some = "" if valid.all() else f", {valid.sum()} of them covered"
        return f"<Attitude {span}{some}: roll {roll:.2f}, pitch {pitch:.4f}, yaw {yaw:.4f} deg, from {self.source}>"

    def as_document(self) -> dict[str, Any]:
        """For JSON: lists, None where nothing is known."""

        def plain(values: Numbers) -> Any:
            return [None if not np.isfinite(v) else float(v) for v in np.atleast_1d(values).ravel()]

        pointing = np.atleast_2d(self.pointing)
        return {
            "time": [format_utc(t, digits=3) for t in np.atleast_1d(self.time)],
            "roll_deg": plain(self.roll),
            "pitch_deg": plain(self.pitch),
            "yaw_deg": plain(self.yaw),
            "pointing_x_arcsec": plain(pointing[:, 0]),
            "pointing_y_arcsec": plain(pointing[:, 1]),
            "aspect_used": np.atleast_1d(self.aspect_used).tolist(),
            "valid": np.atleast_1d(self.valid).tolist(),
            "source": self.source,
            "kind": self.kind,
        }


def _turned(xy: Numbers, degrees: Numbers) -> Numbers:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = xy[..., 0], xy[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def no_attitude(time: NDArray[np.datetime64]) -> Attitude:
    """The answer where nothing is known."""
    nothing = np.full(time.shape, np.nan)
    return Attitude(
        time=time,
        roll=nothing,
        pitch=nothing,
        yaw=nothing,
        aspect=np.full((*time.shape, 2), np.nan),
        valid=np.zeros(time.shape, dtype=bool),
        source=NONE,
        kind=NONE,
    )


def attitude_from_products(time: NDArray[np.datetime64], products: Sequence[AuxProduct]) -> Attitude:
    """Attitude between the rows of auxiliary products, in straight lines; invalid in gaps of more than 5 minutes.

    Parameters
    ----------
    time : any shape, datetime64[ns]
    products
        Of two that have the same time the later one in the sequence counts.
    """
    if not products:
        return no_attitude(time)
    rows_time = np.concatenate([p.time for p in reversed(products)]).astype(np.int64)
    rows_time, keep = np.unique(rows_time, return_index=True)
    angles = np.concatenate([p.roll_pitch_yaw for p in reversed(products)])[keep]
    aspect = np.concatenate([np.where(p.aspect_valid[:, None], p.aspect, np.nan) for p in reversed(products)])
    aspect = aspect[keep]
    owner = np.repeat(np.arange(len(products))[::-1], [len(p.time) for p in reversed(products)])[keep]
    at = np.atleast_1d(time).astype(np.int64).ravel()
    right = np.clip(np.searchsorted(rows_time, at), 0, len(rows_time) - 1)
    left = np.where(rows_time[right] == at, right, np.maximum(right - 1, 0))
    gap = np.maximum(rows_time[right] - rows_time[left], 1)
    outside = (at < rows_time[0]) | (at > rows_time[-1])
    to_nearest = np.minimum(np.abs(at - rows_time[right]), np.abs(at - rows_time[left]))
    limit = int(_LONGEST_GAP_S * 1e9)
    valid = np.where(outside, to_nearest <= limit // 4, gap <= limit)
    part = np.clip((at - rows_time[left]) / gap, 0.0, 1.0)[:, None]
    turn = np.diff(np.stack([angles[left, 0], angles[right, 0]]), axis=0)[0]
    ahead = angles[right].copy()
    ahead[:, 0] = angles[left, 0] + (turn + 180.0) % 360.0 - 180.0
    rpy = np.where(valid[:, None], angles[left] + part * (ahead - angles[left]), np.nan)
    rpy[:, 0] = (rpy[:, 0] + 180.0) % 360.0 - 180.0
    valid &= np.isfinite(rpy).all(axis=1)
    seen = aspect[left] + np.where(part > 0, part * (aspect[right] - aspect[left]), 0.0)
    used = sorted({int(i) for i in owner[left][valid]} | {int(i) for i in owner[right][valid]})
    shape = np.shape(time)
    return Attitude(
        time=time,
        roll=rpy[:, 0].reshape(shape),
        pitch=rpy[:, 1].reshape(shape),
        yaw=rpy[:, 2].reshape(shape),
        aspect=np.where(valid[:, None], seen, np.nan).reshape(*shape, 2),
        valid=valid.reshape(shape),
        source=", ".join(products[i].name for i in used) or NONE,
        kind="product" if used else NONE,
    )
