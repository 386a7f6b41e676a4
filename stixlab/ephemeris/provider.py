"""Position and attitude at any time, from the best source that covers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris import frames
from stixlab.ephemeris.attitude import Attitude, attitude_from_products
from stixlab.ephemeris.aux_products import AuxProduct, read_aux
from stixlab.ephemeris.kernels import KernelSet, load_kernels
from stixlab.ephemeris.keywords import ephemeris_cards
from stixlab.ephemeris.orbit import Ephemeris
from stixlab.ephemeris.scales import as_times, from_dynamical, to_dynamical
from stixlab.ephemeris.states import KERNEL, PRODUCT, TABLE, OrbitStates, load_shipped_orbit
from stixlab.errors import TimeError
from stixlab.timing import format_utc

__all__ = ["Ephemerides", "load_ephemerides"]

_UNKNOWN_KM = 5e6
"""Accuracy of a prediction of which nothing else is known, 3 % of an astronomical unit."""
_TELL_KM = 50_000.0
"""A user is told of an accuracy worse than this."""
_KINDS = (KERNEL, PRODUCT, TABLE)


@dataclass(frozen=True)
class Ephemerides:
    """Sources of orbit and attitude; made by `load_ephemerides`.

    For each time, in this order: kernels of the orbit as flown; L2 auxiliary products; kernels that predict; the table
    shipped. Attitude: flown kernels, then products; otherwise there is none.
    """

    kernels: KernelSet | None = None
    products: tuple[AuxProduct, ...] = ()
    table: OrbitStates | None = None

    @cached_property
    def product_states(self) -> OrbitStates | None:
        """Orbit of all products; where two have the same time the later one in the sequence counts."""
        states = [p.states for p in reversed(self.products)]
        return OrbitStates.joined(states) if states else None

    def at(self, time: Any, *, kind: str | None = None) -> Ephemeris:
        """Where spacecraft and Earth are.

        Parameters
        ----------
        time
            UTC at the spacecraft: text, datetime, numpy or astropy time, or several of them.
        kind
            ``kernel``, ``product`` or ``table`` to ask one kind of source only.

        Raises
        ------
        TimeError
            If a time cannot be read, or no source covers it; the message says what is covered.
        """
        times = as_times(time)
        seconds = np.atleast_1d(to_dynamical(times)).ravel()
        if kind is not None and kind not in _KINDS:
            raise TimeError(f"ephemeris: expected kind to be one of {', '.join(_KINDS)}; found {kind!r}")
        found = _Found(len(seconds))
        for source in self._sources(kind):
            source.fill(seconds, found)
            if found.done.all():
                break
        if not found.done.all():
            raise self._nothing(seconds[~found.done][0], kind)
        earth = self.kernels.earth_state(seconds) if self.kernels and KERNEL in found.kinds else None
        earth_p, earth_v = earth if earth is not None else frames.earth_state(times.reshape(-1))
        shape = times.shape
        return Ephemeris(
            time=times,
            position=found.position.reshape(*shape, 3),
            velocity=found.velocity.reshape(*shape, 3),
            earth_position=np.asarray(earth_p).reshape(*shape, 3),
            earth_velocity=np.asarray(earth_v).reshape(*shape, 3),
            accuracy_km=found.accuracy.reshape(shape),
            source=", ".join(found.names),
            kind=", ".join(found.kinds),
            remark=_remark(found),
        )

    def attitude(self, time: Any) -> Attitude:
        """Attitude; `valid` is false and `source` is ``none`` where neither kernels nor products cover a time.

        Raises
        ------
        TimeError
            If a time cannot be read. `Attitude.required` raises where there is no attitude.
        """
        times = as_times(time)
        from_products = attitude_from_products(times, self.products)
        if self.kernels is None:
            return from_products
        flown = self.kernels.attitude(times)
        if not flown.valid.any():
            return from_products
        if not from_products.valid.any():
            return flown
        first = flown.valid
        return Attitude(
            time=times,
            roll=np.where(first, flown.roll, from_products.roll),
            pitch=np.where(first, flown.pitch, from_products.pitch),
            yaw=np.where(first, flown.yaw, from_products.yaw),
            aspect=from_products.aspect,
            valid=first | from_products.valid,
            source=f"{flown.source}, {from_products.source}",
            kind=f"{flown.kind}, {from_products.kind}",
        )

    def keywords(self, start: Any, end: Any, middle: Any = None) -> dict[str, tuple[Any, str]]:
        """Keywords of a FITS header; see `stixlab.ephemeris.keywords.ephemeris_cards`.

        Where there is an auxiliary product of the day of the middle, what it says was observed is among them.

        Raises
        ------
        TimeError
            If no source covers the middle.
        """
        first, last = as_times(start), as_times(end)
        centre = as_times(middle) if middle is not None else first + (last - first) // 2
        return ephemeris_cards(self.at(centre), first) | self._observation(centre)

    def _observation(self, time: NDArray[np.datetime64]) -> dict[str, tuple[Any, str]]:
        """Keywords OBS_... of the product of that UTC day; of two the later one in the sequence counts."""
        day = time.astype("datetime64[D]")
        of_the_day = [p for p in self.products if p.time[len(p.time) // 2].astype("datetime64[D]") == day]
        told = of_the_day[-1].observation if of_the_day else ()
        return {keyword: (value, "of the day, by the auxiliary product") for keyword, value in told}

    def _sources(self, kind: str | None) -> list[_Source]:
        found: list[_Source] = []
        kernels = self.kernels if self.kernels is not None and self.kernels.has_orbit else None
        table = self.table
        if kernels is not None and kind in {None, KERNEL}:
            found.append(_KernelSource(kernels, table, flown=True))
        if self.product_states is not None and kind in {None, PRODUCT}:
            found.append(_TableSource(self.product_states))
        if kernels is not None and kind in {None, KERNEL}:
            found.append(_KernelSource(kernels, table, flown=False))
        if table is not None and kind in {None, TABLE}:
            found.append(_TableSource(table))
        return found

    def _nothing(self, seconds: float, kind: str | None) -> TimeError:
        covered = []
        if self.kernels is not None and kind in {None, KERNEL}:
            windows = self.kernels.windows()
            covered += [f"kernels {_day(b)} to {_day(e)}" for b, e in windows[-2:]] or [
                "kernels without an orbit"
            ]
        if self.products and kind in {None, PRODUCT}:
            spans = [p.states.span for p in self.products]
            covered.append(
                f"{len(self.products)} products from {min(s[0] for s in spans)!s:.10} to {max(s[1] for s in spans)!s:.10}"
            )
        if self.table is not None and kind in {None, TABLE}:
            covered.append(f"table shipped {self.table.span[0]!s:.10} to {self.table.span[1]!s:.10}")
        return TimeError(
            f"ephemeris: expected a time that is covered; found {format_utc(from_dynamical(seconds), digits=0)}; covered: "
            f"{'; '.join(covered) or f'nothing of kind {kind}'}; name kernels in STIXLAB_SPICE or import the auxiliary product of the day"
        )


def _day(seconds: float) -> str:
    return str(from_dynamical(seconds))[:10]


class _Found:
    """What has been found so far."""

    def __init__(self, n: int) -> None:
        self.position = np.zeros((n, 3))
        self.velocity = np.zeros((n, 3))
        self.accuracy = np.zeros(n)
        self.done = np.zeros(n, dtype=bool)
        self.names: list[str] = []
        self.kinds: list[str] = []

    def put(
        self,
        where: NDArray[np.bool_],
        state: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
        names: Iterable[str],
        kind: str,
    ) -> None:
        self.position[where], self.velocity[where], self.accuracy[where] = state
        self.done |= where
        self.names += [n for n in dict.fromkeys(names) if n not in self.names]
        if kind not in self.kinds:
            self.kinds.append(kind)


class _Source:
    """One place to ask."""

    def fill(self, seconds: NDArray[np.float64], found: _Found) -> None:
        """Answer for the times that have no answer yet and are covered here."""
        raise NotImplementedError


class _TableSource(_Source):
    def __init__(self, states: OrbitStates) -> None:
        self.states = states

    def fill(self, seconds: NDArray[np.float64], found: _Found) -> None:
        where = ~found.done & self.states.covers(seconds)
        if where.any():
            names = self.states.name_at(seconds[where])
            found.put(where, self.states.state(seconds[where]), names, self.states.kind)


class _KernelSource(_Source):
    def __init__(self, kernels: KernelSet, table: OrbitStates | None, *, flown: bool) -> None:
        self.kernels, self.table, self.flown = kernels, table, flown

    def fill(self, seconds: NDArray[np.float64], found: _Found) -> None:
        where = ~found.done & self.kernels.covers(seconds)
        if where.any():
            where[where] = self.kernels.is_prediction(seconds[where]) != self.flown
        if not where.any():
            return
        at = seconds[where]
        position, velocity = self.kernels.state(at)
        accuracy = np.full(len(at), self.kernels.flown_accuracy_km)
        if not self.flown:
            accuracy[:] = _UNKNOWN_KM
            known = self.table.covers(at) if self.table is not None else np.zeros(len(at), dtype=bool)
            if self.table is not None and known.any():
                other, _, within = self.table.state(at[known])
                accuracy[known] = np.linalg.norm(position[known] - other, axis=1) + within
        found.put(where, (position, velocity, accuracy), [self.kernels.source(at)], KERNEL)


def _remark(found: _Found) -> str:
    worst = float(found.accuracy.max()) if len(found.accuracy) else 0.0
    if worst < _TELL_KM:
        return ""
    share = 100 * worst / float(np.linalg.norm(found.position[int(found.accuracy.argmax())]))
    text = f"the orbit is a prediction or interpolated: off by up to {worst:.2g} km ({share:.2g} % of the distance)"
    if KERNEL in found.kinds:
        text += "; the kernels are a prediction made long before; kind='table' asks the table shipped"
    return text + "; an auxiliary product of the day or kernels of the flown orbit give better"


@lru_cache(maxsize=256)
def _read_once(path: Path, _size: int, _changed_ns: int) -> AuxProduct:
    return read_aux(path)


def _read_unchanged(path: Path) -> AuxProduct:
    """The product of a file, read again only when the file has changed."""
    try:
        state = path.stat()
    except OSError:
        return read_aux(path)
    return _read_once(path, state.st_size, state.st_mtime_ns)


def load_ephemerides(spice: Path | None = None, products: Sequence[Path] = ()) -> Ephemerides:
    """Everything that is there to ask.

    Parameters
    ----------
    spice
        A meta-kernel or a folder of kernels; None for none.
    products
        FITS files of L2 auxiliary products; of two with the same time the later one counts.

    Raises
    ------
    TimeError
        If a kernel that is named is missing.
    FormatError
        If a product cannot be read.
    """
    return Ephemerides(
        kernels=None if spice is None else load_kernels(spice),
        products=tuple(_read_unchanged(p) for p in products),
        table=load_shipped_orbit(),
    )
