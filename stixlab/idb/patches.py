"""Named patches of the definitions: differences between database versions, and corrections of databases.

The patches themselves are data (``data/patches.csv`` and ``data/changes.csv``); here is how they are applied.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stixlab.errors import FormatError
from stixlab.idb.definitions import Definitions
from stixlab.idb.records import Field, Parameter
from stixlab.idb.tables import read_rows

__all__ = ["Change", "Patch", "apply_patches", "shipped_patches", "version_numbers"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a patch changes; the notes of ``data/changes.csv`` say what its parts mean."""

    table: str
    key: str
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes that belong together, the versions they concern, and the reason."""

    name: str
    is_correction: bool
    """Something wrong in databases, rather than something that was different in a version."""
    first: str
    """First version concerned; empty for no bound."""
    last: str
    """Last version concerned; empty for no bound."""
    why: str
    changes: tuple[Change, ...]

    def concerns(self, version: str) -> bool:
        """Whether definitions of a version need it."""
        numbers = version_numbers(version)
        return (not self.first or version_numbers(self.first) <= numbers) and (
            not self.last or numbers <= version_numbers(self.last)
        )


def version_numbers(version: str) -> tuple[int, ...]:
    """Numbers of a version, to compare by; what follows a number is left out, a part without one counts as 0."""
    return tuple(int(re.match(r"\d*", part)[0] or 0) for part in version.split("."))  # type: ignore[index]


@lru_cache(maxsize=1)
def shipped_patches() -> tuple[Patch, ...]:
    """The patches of the project, in the order in which they are applied."""
    folder = Path(__file__).parent / "data"
    changes: dict[str, list[Change]] = defaultdict(list)
    for name, *parts in read_rows(folder, "changes"):
        changes[name].append(Change(*parts))
    return tuple(
        Patch(name, kind == "correction", first, last, why, tuple(changes.get(name, ())))
        for name, kind, first, last, why in read_rows(folder, "patches")
    )


def apply_patches(
    definitions: Definitions, patches: Iterable[Patch], *, version: str | None = None
) -> Definitions:
    """Definitions with every patch that concerns them.

    Parameters
    ----------
    definitions
        Not changed.
    patches
    version
        Version that the result stands for; None: that of the definitions.

    Raises
    ------
    FormatError
        If a patch names a table that it cannot change, or would replace a repeat counter by several fields.
    """
    version = definitions.version if version is None else version
    patched = replace(
        definitions,
        version=version,
        structures=dict(definitions.structures),
        parameters=dict(definitions.parameters),
        point_pairs=dict(definitions.point_pairs),
    )
    for patch in patches:
        if patch.concerns(version):
            for change in patch.changes:
                if change.table not in _APPLY:
                    raise FormatError(
                        f"patch {patch.name}: expected a table of {', '.join(_APPLY)}; found {change.table}"
                    )
                _APPLY[change.table](patched, change)
    return patched


def _change_parameter(definitions: Definitions, change: Change) -> None:
    parameters, name = definitions.parameters, change.key
    if change.column == "add":
        parameters.setdefault(
            name, Parameter(name, int(change.value), signed=False, unit="", curve="", title=name)
        )
    elif name in parameters:
        value: Any = int(change.value) if change.column == "width_bits" else change.value
        parameters[name] = replace(parameters[name], **{change.column: value})


def _change_structure(definitions: Definitions, change: Change) -> None:
    structures, spid = definitions.structures, int(change.key)
    names = change.value.split()
    if change.column in {"fields", "fields_if_missing"}:
        if spid not in structures or change.column == "fields":
            structures[spid] = tuple(Field(name, 0, 0) for name in names)
        return
    fields = structures.get(spid, ())
    place = next((i for i, f in enumerate(fields) if f.parameter == change.column), None)
    others = set(names) - {change.column}
    if place is not None and not (others and others <= {f.parameter for f in fields}):
        structures[spid] = _replace_field(spid, fields, place, names, definitions.parameters)


def _replace_field(
    spid: int, fields: Sequence[Field], place: int, names: list[str], parameters: dict[str, Parameter]
) -> tuple[Field, ...]:
    """Other fields in the place of one; counters around it count them, what follows stays where it is."""
    old = fields[place]
    if old.group_size and len(names) != 1:
        raise FormatError(
            f"structure {spid}: {old.parameter} counts repeats; expected one parameter in its place, found {len(names)}",
            spid=spid,
        )
    result = [
        replace(f, group_size=f.group_size + len(names) - 1) if i < place <= i + f.group_size else f
        for i, f in enumerate(fields)
    ]
    new = [Field(name, old.gap_bits * (i == 0), old.group_size) for i, name in enumerate(names)]
    if not names and place + 1 < len(result):
        gap = old.gap_bits + parameters[old.parameter].width_bits + result[place + 1].gap_bits
        result[place + 1] = replace(result[place + 1], gap_bits=gap)
    return (*result[:place], *new, *result[place + 1 :])


def _change_curve(definitions: Definitions, change: Change) -> None:
    if change.key not in definitions.point_pairs:
        numbers = np.array(change.value.split(), dtype=np.float64)
        definitions.point_pairs[change.key] = (numbers[0::2].copy(), numbers[1::2].copy())


def _change_unit(definitions: Definitions, change: Change) -> None:
    for name, parameter in definitions.parameters.items():
        if parameter.unit == change.key or (change.key == "*" and parameter.unit and not parameter.curve):
            definitions.parameters[name] = replace(parameter, unit=change.value)


_APPLY: dict[str, Callable[[Definitions, Change], None]] = {
    "parameters": _change_parameter,
    "structures": _change_structure,
    "curves": _change_curve,
    "units": _change_unit,
}
