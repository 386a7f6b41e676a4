"""One set of columns for all forms that a structure has had: which program holds for which packet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.idb import Program, Versions
from stixlab.telemetry.columns import common_dtype

__all__ = ["Layout", "find_program", "lay_out", "plain_groups", "programs_of", "software_of"]


@dataclass(frozen=True)
class Layout:
    """Columns of several forms of one structure."""

    columns: tuple[str, ...]
    dtypes: tuple[np.dtype[Any], ...]
    """Smallest that holds the values of every form."""
    lengths: tuple[int, ...]
    """Elements for each occurrence, as in `Program`."""
    itemsizes: NDArray[np.int64]
    programs: tuple[Program, ...]
    """The forms; the columns in their steps are those of the layout."""


def find_program(spid: int, era: int, versions: Versions) -> Program:
    """Form of a structure in an era; where its version has none, that of the latest version that has one.

    Raises
    ------
    UnknownPacketError
        If no version has the structure.
    """
    n_eras = len(versions.eras)
    for candidate in (min(era, n_eras - 1), *range(n_eras - 1, -1, -1)):
        definitions = versions[candidate]
        if spid in definitions.structures:
            return definitions.program(spid)
    return versions.latest.program(spid)


def programs_of(
    spid: int, eras: NDArray[np.uint8], versions: Versions
) -> tuple[list[Program], NDArray[np.intp]]:
    """The forms that the packets have, and which of them each packet has.

    Parameters
    ----------
    spid
    eras : (n,)
    versions

    Returns
    -------
    programs
        The latest first; at least one.
    which : (n,)
        Index in `programs`.
    """
    used = np.flatnonzero(np.bincount(eras, minlength=1)) if len(eras) else np.array([len(versions.eras) - 1])
    programs: list[Program] = []
    number = np.zeros(256, dtype=np.intp)
    for era in used[::-1].tolist():
        program = find_program(spid, era, versions)
        same = [i for i, known in enumerate(programs) if known is program]
        number[era] = same[0] if same else len(programs)
        if not same:
            programs.append(program)
    return programs, number[eras]


def software_of(eras: NDArray[np.uint8], versions: Versions) -> NDArray[np.uint16]:
    """(n,) version of the application software of each packet."""
    known = np.array([era.asw_version for era in versions.eras], dtype=np.uint16)
    return known[np.minimum(eras, len(known) - 1)]


def lay_out(programs: Sequence[Program]) -> Layout:
    """Columns that hold all forms of a structure.

    Raises
    ------
    FormatError
        If a parameter is an integer in one form and bytes in another.
    """
    first = programs[0]
    if len(programs) == 1:
        return Layout(first.columns, first.dtypes, first.lengths, first.itemsizes, (first,))
    names = tuple(dict.fromkeys(name for program in programs for name in program.columns))
    facts: dict[str, list[tuple[np.dtype[Any], int]]] = {name: [] for name in names}
    for program in programs:
        for name, dtype, length in zip(program.columns, program.dtypes, program.lengths, strict=True):
            facts[name].append((dtype, length))
    for name in names:
        lengths = {length for _, length in facts[name]}
        if len(lengths) > 1:
            raise FormatError(
                f"structure {first.spid}: expected {name} to have one form in all versions; found 1 and "
                f"{max(lengths)} elements; correct the definitions",
                spid=first.spid,
            )
    dtypes = tuple(common_dtype([dtype for dtype, _ in facts[name]]) for name in names)
    itemsizes = np.array([dtype.itemsize for dtype in dtypes], dtype=np.int64)
    return Layout(
        columns=names,
        dtypes=dtypes,
        lengths=tuple(facts[name][0][1] for name in names),
        itemsizes=itemsizes,
        programs=tuple(_renumbered(program, names, itemsizes) for program in programs),
    )


def _renumbered(program: Program, names: tuple[str, ...], itemsizes: NDArray[np.int64]) -> Program:
    """The same form writing to the columns of the layout."""
    place = np.array([names.index(name) for name in program.columns], dtype=np.int64)
    steps = program.steps.copy()
    if len(steps):
        steps[:, 3] = place[steps[:, 3]]
        copied = np.flatnonzero(steps[:, 6])
        # a column that another form needs wider cannot be copied byte by byte
        steps[copied, 6] = itemsizes[steps[copied + 1, 3]] == 1
    return replace(program, steps=steps)


def plain_groups(program: Program) -> NDArray[np.int64]:
    """Bits of one repeat of each group that can be read column by column.

    That is a group without groups in it, in which each column stands once and no field reaches
    out of the repeat.

    Returns
    -------
    (n_steps,)
        0 where the step counts no group, or one that must be walked through.
    """
    steps = program.steps
    plain = np.zeros(len(steps), dtype=np.int64)
    for i in np.flatnonzero(steps[:, 2]) if len(steps) else ():
        group = steps[i + 1 : i + 1 + steps[i, 2]]
        ends = np.cumsum(group[:, 0] + group[:, 1])
        alone = not group[:, 2].any() and len(set(group[:, 3].tolist())) == len(group)
        if alone and ends.max() == ends[-1] and (ends - group[:, 0]).min() >= 0:
            plain[i] = ends[-1]
    return plain
