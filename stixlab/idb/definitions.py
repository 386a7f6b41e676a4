"""The definitions of one database version: identification, structures, parameters, calibrations."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import UnknownPacketError
from stixlab.idb.program import Program, shared_program
from stixlab.idb.records import Discriminator, Field, PacketType, Parameter, State

__all__ = ["Definitions"]


@dataclass(frozen=True, eq=False)
class Definitions:
    """Everything known about packets in one version of the flight database."""

    version: str
    """Of the flight database."""
    packet_types: dict[int, PacketType]
    """By SPID."""
    discriminators: dict[tuple[int, int], Discriminator]
    """By service and subtype; a pair that is not here is no telemetry of the instrument."""
    structures: dict[int, tuple[Field, ...]]
    """By SPID; a type without one is identified but not decoded."""
    parameters: dict[str, Parameter]
    point_pairs: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    """Calibration by straight lines between points: raw values ascending, physical values."""
    polynomials: dict[str, tuple[float, ...]]
    """Calibration by a0 + a1 x + ..., lowest order first."""
    states: dict[str, tuple[State, ...]]
    note: str = ""
    """What is to be known about their origin; empty if nothing."""
    source: str = "shipped"
    """``shipped``, or the file or folder that they were read from."""
    _programs: dict[int, Program] = field(default_factory=dict, init=False, repr=False)

    def identify_many(
        self, service: NDArray[np.uint8], subtype: NDArray[np.uint8], pi1: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """SPID of each packet.

        Parameters
        ----------
        service, subtype : (n,)
        pi1 : (n,)
            -1 where the packet has none.

        Returns
        -------
        (n,)
            -1 where the database has no such packet.
        """
        wanted = _key(service, subtype, np.maximum(pi1, 0))
        keys, spids = self._sorted_kinds
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[found] == wanted, spids[found], -1).astype(np.int32)

    def program(self, spid: int) -> Program:
        """Structure as the kernels run it; compiled at its first use.

        Structures that are equal in several versions give one and the same object.

        Raises
        ------
        UnknownPacketError
            If the structure is not known.
        """
        program = self._programs.get(spid)
        if program is None:
            if spid not in self.structures:
                kind = self.packet_types.get(spid)
                raise UnknownPacketError(
                    f"structure {spid} ({kind.title if kind else 'no such packet'}): expected a definition of its "
                    f"fields in database {self.version}; found none; the packets are kept as they are",
                    spid=spid,
                )
            program = shared_program(spid, self.structures[spid], self.parameters)
            self._programs[spid] = program
        return program

    def find(self, text: str) -> set[int]:
        """SPIDs of the packet types that a text describes, as people search.

        Parameters
        ----------
        text
            Words, in any order and case, all of which stand in the title of the packet type or all in the
            name and title of one of its parameters. An empty text describes every type.
        """
        words = text.lower().split()
        if not words:
            return set(self.packet_types)
        return {spid for line, spids in self._lines if all(word in line for word in words) for spid in spids}

    @cached_property
    def _lines(self) -> list[tuple[str, tuple[int, ...]]]:
        """Texts to search in, in lower case, with the packet types that each tells about."""
        users: dict[str, set[int]] = defaultdict(set)
        for spid, fields in self.structures.items():
            for one in fields:
                users[one.parameter].add(spid)
        kinds = [(kind.title.lower(), (spid,)) for spid, kind in self.packet_types.items()]
        return kinds + [
            (f"{name} {self.parameters[name].title}".lower(), tuple(spids)) for name, spids in users.items()
        ]

    @cached_property
    def _sorted_kinds(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        kinds = list(self.packet_types.values())
        columns = np.array([(p.service, p.subtype, p.pi1, p.spid) for p in kinds], dtype=np.int64)
        keys = _key(columns[:, 0], columns[:, 1], columns[:, 2])
        order = np.argsort(keys)
        return keys[order], columns[order, 3].astype(np.int32)

    @cached_property
    def known_services(self) -> NDArray[np.bool_]:
        """(65536,) whether ``service * 256 + subtype`` is telemetry of the instrument."""
        known = np.zeros(65536, dtype=bool)
        for service, subtype in self.discriminators:
            known[service * 256 + subtype] = True
        return known


def _key(
    service: NDArray[np.integer], subtype: NDArray[np.integer], pi1: NDArray[np.integer]
) -> NDArray[np.int64]:
    return (service.astype(np.int64) << 24) | (subtype.astype(np.int64) << 16) | pi1.astype(np.int64)
