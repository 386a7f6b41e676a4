"""Decoded packets of one structure as columns: selected, joined, looked at one packet at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import PacketError
from stixlab.telemetry.frames import PacketBlock

__all__ = ["Columns", "common_dtype"]


def common_dtype(dtypes: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """Smallest integer dtype that holds the values of all; fields have 56 bits at most."""
    found = np.result_type(*dtypes)
    return np.dtype("<i8") if found.kind == "f" else found


@dataclass(frozen=True, eq=False)
class Columns:
    """Decoded packets of one structure."""

    spid: int
    block: PacketBlock
    """The packets, in order."""
    values: dict[str, NDArray[Any]]
    """Raw values of each parameter, all packets one behind the other, in the order of the packet.
    A field longer than 56 bits is (n, bytes)."""
    splits: dict[str, NDArray[np.int64]]
    """(n + 1,) for each parameter: the part of packet i is ``values[name][splits[i]:splits[i + 1]]``.
    Empty parts where the version of the packet has no such parameter."""
    asw_version: NDArray[np.uint16] | None = None
    """(n,) version of the application software that made each packet; 0 or None: not known."""

    def __len__(self) -> int:
        return len(self.block)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def counts(self, name: str) -> NDArray[np.int64]:
        """(n,) how often a parameter occurs in each packet."""
        return np.diff(self.splits[name])

    def of_packet(self, name: str, index: int) -> NDArray[Any]:
        """Values of a parameter in one packet."""
        splits = self.splits[name]
        return self.values[name][splits[index] : splits[index + 1]]

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.integer[Any]] | slice) -> Columns:
        """Some of the packets with their part of every column.

        Parameters
        ----------
        chosen
            Mask (n,), indices, or a slice.
        """
        index = np.arange(len(self))[chosen]
        values, splits = {}, {}
        parts: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        for name, column in self.values.items():
            old = self.splits[name]
            if id(old) not in parts:
                parts[id(old)] = _parts(old, index)
            splits[name], place = parts[id(old)]
            values[name] = column[place]
        return Columns(
            spid=self.spid,
            block=self.block.select(index),
            values=values,
            splits=splits,
            asw_version=None if self.asw_version is None else self.asw_version[index],
        )

    def single(self, name: str) -> NDArray[Any]:
        """(n,) a parameter that stands once in each packet.

        Raises
        ------
        PacketError
            If it occurs another number of times in some packet.
        """
        values = self.values[name]
        if (
            len(values) != len(self)
            or (self.splits[name][-1:] != len(self)).any()
            or (self.counts(name) != 1).any()
        ):
            raise PacketError(
                f"structure {self.spid}: expected {name} once in each packet; found it {len(values)} times in "
                f"{len(self)} packets; use its splits",
                parameter=name,
            )
        return values

    @classmethod
    def concatenate(cls, parts: Sequence[Columns]) -> Columns:
        """All packets of several parts, in order; a parameter that a part lacks has no elements there.

        Parameters
        ----------
        parts
            At least one; all of the same structure.

        Raises
        ------
        PacketError
            If there is no part, or their structures differ.
        """
        spids = sorted({part.spid for part in parts})
        if len(spids) != 1:
            raise PacketError(f"columns: expected parts of one structure to join; found {spids or 'no part'}")
        if len(parts) == 1:
            return parts[0]
        values, splits = {}, {}
        for name in dict.fromkeys(name for part in parts for name in part.values):
            having = [part.values[name] for part in parts if name in part]
            dtype = common_dtype([column.dtype for column in having])
            values[name] = np.concatenate(having).astype(dtype, copy=False)
            counts = [
                part.counts(name) if name in part else np.zeros(len(part), dtype=np.int64) for part in parts
            ]
            splits[name] = np.zeros(sum(map(len, parts)) + 1, dtype=np.int64)
            np.cumsum(np.concatenate(counts), out=splits[name][1:])
        unknown = [part.asw_version is None for part in parts]
        software = [
            np.zeros(len(part), dtype=np.uint16) if part.asw_version is None else part.asw_version
            for part in parts
        ]
        return cls(
            spid=spids[0],
            block=PacketBlock.concatenate([part.block for part in parts]),
            values=values,
            splits=splits,
            asw_version=None if all(unknown) else np.concatenate(software),
        )


def _parts(
    splits: NDArray[np.int64], index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits of some packets, and the elements that belong to them."""
    counts = np.diff(splits)[index]
    chosen = np.zeros(len(index) + 1, dtype=np.int64)
    np.cumsum(counts, out=chosen[1:])
    place = np.arange(chosen[-1]) + np.repeat(splits[:-1][index] - chosen[:-1], counts)
    return chosen, place
