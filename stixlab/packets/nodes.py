"""The inside of one packet as a tree: its fields nested as its structure nests them, each at its bits.

A group whose fields hold no further group is one node for each field, with the values of all repeats
side by side: a packet of pixel data has a dozen thousand values, but some hundred nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.engineering.calibration import is_calibrated, state_table, to_physical, to_state
from stixlab.errors import PacketError
from stixlab.idb import Definitions, Field
from stixlab.idb.program import HEADER_BITS, LONGEST_WORD_BITS
from stixlab.telemetry.decode import Columns
from stixlab.telemetry.schemes import compressed_parameters, decompress_column

__all__ = ["Node", "nodes_of"]


@dataclass(frozen=True)
class Node:
    """A field of a packet, or one repeat of a group of fields."""

    name: str
    """Name of the parameter; ``[1]``, ``[2]``... for the repeats of a group."""
    title: str
    """What it is, in words."""
    raw: tuple[int, ...] = ()
    """Raw values: one, or those of all repeats of the group around it; none for a repeat."""
    offset_bits: int = 0
    """Where the first value stands, from the start of the packet."""
    width_bits: int = 0
    """Bits of one value."""
    step_bits: int = 0
    """From one value to the next; 0 if there is one."""
    decompressed: tuple[int | None, ...] = ()
    """What compressed counts stand for, None where that makes no sense; empty if not compressed."""
    variance: tuple[float, ...] = ()
    """Of each decompressed value."""
    engineering: tuple[float, ...] = ()
    """Calibrated values; empty if there is no calibration."""
    unit: str = ""
    """Of the calibrated values, as astropy writes it."""
    state: tuple[str, ...] = ()
    """Words for the raw values; empty if it is no state."""
    children: tuple[Node, ...] = ()
    """Of a counter: the fields that repeat, or the repeats; of a repeat: its fields."""

    def as_document(self) -> dict[str, Any]:
        """The node in plain types; what it has not is left out, one value stands without a list."""
        document: dict[str, Any] = {"name": self.name, "title": self.title}
        several = bool(self.step_bits)
        for key in ("raw", "decompressed", "variance", "engineering", "state"):
            values = getattr(self, key)
            if values or (key == "raw" and several):
                plain = [_finite(v) for v in values]
                document[key] = plain if several else plain[0]
        if self.engineering:
            document["unit"] = self.unit
        if self.width_bits:
            document |= {"offset_bits": self.offset_bits, "width_bits": self.width_bits}
        if several:
            document["step_bits"] = self.step_bits
        if self.children:
            document["children"] = [child.as_document() for child in self.children]
        return document


def nodes_of(columns: Columns, definitions: Definitions) -> tuple[Node, ...]:
    """The fields of a decoded packet.

    Parameters
    ----------
    columns
        Of exactly one packet.
    definitions
        Those it was decoded with.

    Raises
    ------
    PacketError
        If the columns do not hold what the structure says; they were decoded with other definitions.
    """
    if len(columns) != 1:
        raise PacketError(f"tree of a packet: expected columns of one packet; found {len(columns)}")
    walk = _Walk(columns, definitions)
    nodes = walk.fields(definitions.structures[columns.spid])
    walk.check()
    return nodes


@dataclass
class _Values:
    """All values of one parameter in the packet, and how many of them have been handed out."""

    title: str
    width_bits: int
    unit: str
    lists: dict[str, list[Any]]
    n: int
    used: int = 0

    def take(self, start: int, stop: int, step: int) -> dict[str, Any]:
        """Some of the values, in every form there is."""
        return {key: tuple(values[start:stop:step]) for key, values in self.lists.items()}


@dataclass
class _Walk:
    """Goes through a structure in packet order; columns hold their values in the same order."""

    columns: Columns
    definitions: Definitions
    at_bits: int = HEADER_BITS
    values: dict[str, _Values] = field(default_factory=dict)

    def __post_init__(self) -> None:
        compressed = compressed_parameters(self.columns.spid)
        for name in self.columns:
            self.values[name] = self._values_of(name, compressed=name in compressed)

    def fields(self, structure: Sequence[Field]) -> tuple[Node, ...]:
        """Nodes of the fields of one level."""
        nodes, i = [], 0
        while i < len(structure):
            size = structure[i].group_size
            node = self._one(structure[i], structure[i + 1 : i + 1 + size])
            nodes.append(node)
            i += 1 + size
        return tuple(nodes)

    def check(self) -> None:
        """See that every value was handed out once."""
        left = [f"{name}: {v.used} of {v.n}" for name, v in self.values.items() if v.used != v.n]
        if left:
            raise PacketError(
                f"structure {self.columns.spid}: expected as many values as its fields say; used {', '.join(left[:5])}; "
                f"were they decoded with other definitions than {self.definitions.version}?"
            )

    def _one(self, one: Field, group: Sequence[Field]) -> Node:
        values = self._of(one)
        self.at_bits += one.gap_bits
        offset = self.at_bits
        self.at_bits += values.width_bits
        mine = values.take(values.used, values.used + 1, 1)
        values.used += 1
        children: tuple[Node, ...] = ()
        if group:
            n = mine["raw"][0] if mine["raw"] else 0
            flat = not any(f.group_size for f in group)
            children = self._side_by_side(group, n) if flat else self._repeats(group, n)
        return Node(
            one.parameter,
            values.title,
            offset_bits=offset,
            width_bits=values.width_bits,
            unit=values.unit,
            children=children,
            **mine,
        )

    def _repeats(self, group: Sequence[Field], n: int) -> tuple[Node, ...]:
        return tuple(
            Node(f"[{i + 1}]", f"repeat {i + 1} of {n}", children=self.fields(group)) for i in range(n)
        )

    def _side_by_side(self, group: Sequence[Field], n: int) -> tuple[Node, ...]:
        """One node for each field of a group that holds no other, with the values of all repeats."""
        if not n:
            return ()
        step_bits = sum(f.gap_bits + self._of(f).width_bits for f in group)
        times = {f.parameter: sum(g.parameter == f.parameter for g in group) for f in group}
        seen: dict[str, int] = {}
        nodes, at = [], self.at_bits
        for one in group:
            values = self._of(one)
            k, j = times[one.parameter], seen.get(one.parameter, 0)
            seen[one.parameter] = j + 1
            at += one.gap_bits
            nodes.append(
                Node(
                    one.parameter,
                    values.title,
                    offset_bits=at,
                    width_bits=values.width_bits,
                    step_bits=step_bits,
                    unit=values.unit,
                    **values.take(values.used + j, values.used + k * n, k),
                )
            )
            at += values.width_bits
        for name, k in times.items():
            self.values[name].used += k * n
        self.at_bits += n * step_bits
        return tuple(nodes)

    def _of(self, one: Field) -> _Values:
        return self.values[one.parameter]

    def _values_of(self, name: str, *, compressed: bool) -> _Values:
        parameter = self.definitions.parameters[name]
        column = self.columns[name]
        lists: dict[str, list[Any]] = {"raw": _integers(column)}
        unit = ""
        if compressed and (pair := decompress_column(self.columns, name)) is not None:
            known = np.isfinite(pair[1]).tolist()
            lists["variance"] = pair[1].tolist()
            lists["decompressed"] = [v if k else None for v, k in zip(pair[0].tolist(), known, strict=True)]
        if is_calibrated(name, self.definitions) and parameter.width_bits <= LONGEST_WORD_BITS:
            physical, unit = to_physical(name, column, self.definitions, spid=self.columns.spid)
            lists["engineering"] = _shortest(physical)
        elif state_table(name, self.definitions):
            lists["state"] = to_state(name, column, self.definitions).tolist()
        return _Values(parameter.title, parameter.width_bits, unit, lists, len(column))


def _integers(column: NDArray[Any]) -> list[int]:
    """Raw values; a field longer than an integer is one big number."""
    if column.ndim > 1:
        return [int.from_bytes(row.tobytes(), "big") for row in column]
    return [int(v) for v in column.tolist()]


def _finite(value: Any) -> Any:
    """JSON knows no infinity and no NaN."""
    return None if isinstance(value, float) and not isfinite(value) else value


def _shortest(values: NDArray[Any]) -> list[float]:
    """Numbers with no more digits than their precision has: 0.1, not 0.10000000149."""
    if values.dtype == np.float32:
        return [float(str(v)) for v in values]
    return [float(v) for v in values.tolist()]
