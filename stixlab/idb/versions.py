"""The definitions of all versions of the flight database, chosen by on-board time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.idb.definitions import Definitions

__all__ = ["Era", "Versions"]


@dataclass(frozen=True, slots=True)
class Era:
    """A time during which one version of database and flight software was in force."""

    index: int
    """Number of the era, in the order of time."""
    start_scet: int
    """On-board seconds of its first second; it lasts until the next one begins."""
    idb_version: str
    asw_version: int
    """Version of the application software on board."""


class Versions:
    """Definitions by era.

    Parameters
    ----------
    eras
        In the order of time, the first from 0.
    definitions
        One for each era; the same object where eras share a version.
    """

    def __init__(self, eras: Sequence[Era], definitions: Sequence[Definitions]) -> None:
        self.eras = tuple(eras)
        self._definitions = tuple(definitions)

    @classmethod
    def single(cls, definitions: Definitions) -> Versions:
        """One version for all times."""
        return cls([Era(0, 0, definitions.version, 0)], [definitions])

    def __getitem__(self, era: int) -> Definitions:
        return self._definitions[era]

    @property
    def latest(self) -> Definitions:
        """Definitions of the last era."""
        return self._definitions[-1]

    def eras_at(self, scet_coarse: ArrayLike) -> NDArray[np.uint8]:
        """Era of each on-board time (without synchronisation bit): same shape."""
        starts = np.array([era.start_scet for era in self.eras])
        found = np.searchsorted(starts, np.asarray(scet_coarse).astype(np.int64), side="right") - 1
        return np.asarray(found, dtype=np.uint8)

    def at(self, scet_coarse: int) -> Definitions:
        """Definitions in force at an on-board time."""
        return self[int(self.eras_at(scet_coarse))]

    @cached_property
    def known_services(self) -> NDArray[np.uint8]:
        """(65536,) nonzero for every ``service * 256 + subtype`` that some version has."""
        known = np.zeros(65536, dtype=np.uint8)
        for definitions in self.distinct:
            known |= definitions.known_services.astype(np.uint8)
        return known

    @cached_property
    def distinct(self) -> Mapping[Definitions, tuple[int, ...]]:
        """The definitions that differ, with the eras that use them."""
        found: dict[Definitions, tuple[int, ...]] = {}
        for era, definitions in enumerate(self._definitions):
            found[definitions] = (*found.get(definitions, ()), era)
        return found
