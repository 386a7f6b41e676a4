"""The definitions of all versions of the flight database, chosen by on-board time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.idb.definitions import Definitions
from stixlab.idb.program import Program

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

    def programs(self, spid: int, era: NDArray[np.integer]) -> list[tuple[Program, NDArray[np.bool_]]]:
        """The structures of packets of one type, each with the packets that have it.

        Parameters
        ----------
        spid
        era : (n,)
            Era of each packet.

        Returns
        -------
        list of (program, (n,) mask)
            Usually one; versions in which the structure is the same share it. Packets of versions that do
            not know the structure are in none.

        Raises
        ------
        UnknownPacketError
            If no version knows it.
        """
        if not any(spid in definitions.structures for definitions in self.distinct):
            self.latest.program(spid)  # raises, saying what was expected
        chosen: dict[int, tuple[Program, list[int]]] = {}
        for index in np.unique(era).tolist():
            definitions = self[index]
            if spid in definitions.structures:
                program = definitions.program(spid)
                chosen.setdefault(id(program), (program, []))[1].append(index)
        return [(program, np.isin(era, eras)) for program, eras in chosen.values()]

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
