"""Structures compiled to integer tables: what the decoding and encoding kernels run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import FormatError
from stixlab.idb.records import Field, Parameter

__all__ = ["HEADER_BITS", "LONGEST_WORD_BITS", "N_FACTS", "Program", "compile_program", "shared_program"]

HEADER_BITS = 128
"""Bits of the two packet headers; the first field stands behind them."""
LONGEST_WORD_BITS = 56
"""Longest field that is kept as one integer; longer ones are kept as bytes."""
LONGEST_PACKET_BITS = 8 * 65542
"""Bits of the longest packet that a length field can tell of; no field or gap is longer."""
DEEPEST_NESTING = 8
"""Groups within groups that the kernels keep account of; flight structures use three."""

N_FACTS = 7
"""Integers for each step: see `Program.steps`."""


@dataclass(frozen=True, eq=False)
class Program:
    """One structure, flat: fields wider than an integer are already cut into bytes.

    Equal structures are one object (`shared_program`), so that packets are grouped by identity.
    """

    spid: int
    columns: tuple[str, ...]
    """Names of the columns, in the order in which they first stand in the packet."""
    dtypes: tuple[np.dtype[np.generic], ...]
    """Smallest dtype of each column."""
    lengths: tuple[int, ...]
    """Elements of a column for each occurrence: 1, or the bytes of a field longer than an integer."""
    steps: NDArray[np.int64]
    """(n_steps, 7): width in bits, gap in bits before it, steps in the group it counts (0: counts none),
    column, 1 if signed, fewest bits of one repeat, 1 if the group is one aligned byte."""
    itemsizes: NDArray[np.int64]
    """(n_columns,) bytes of an element."""
    has_groups: bool
    all_groups_copy: bool
    """Every innermost group is one plain byte, so that decoding is mostly copying."""


def _dtype(parameter: Parameter) -> np.dtype[np.generic]:
    bits = parameter.width_bits
    size = 1 if bits <= 8 or bits > LONGEST_WORD_BITS else 2 if bits <= 16 else 4 if bits <= 32 else 8
    return np.dtype(f"<{'i' if parameter.signed else 'u'}{size}")


def _wrong(spid: int, position: int, text: str) -> FormatError:
    return FormatError(f"structure {spid}, field {position}: {text}; correct the definition", spid=spid)


def _check_groups(spid: int, fields: Sequence[Field]) -> None:
    open_ends: list[int] = []
    for i, field in enumerate(fields):
        while open_ends and open_ends[-1] <= i:
            open_ends.pop()
        end = i + 1 + field.group_size
        if field.group_size and end > (open_ends[-1] if open_ends else len(fields)):
            raise _wrong(spid, i + 1, "its group should end within the group around it; it ends behind it")
        if field.group_size:
            open_ends.append(end)
        if len(open_ends) > DEEPEST_NESTING:
            raise _wrong(spid, i + 1, f"at most {DEEPEST_NESTING} groups within groups expected")


def _checked(spid: int, i: int, field: Field, parameters: dict[str, Parameter]) -> Parameter:
    """The parameter of a field, if both can be in a packet."""
    parameter = parameters.get(field.parameter)
    if parameter is None:
        raise _wrong(spid, i + 1, f"parameter {field.parameter} is not defined")
    if not 0 < parameter.width_bits <= LONGEST_PACKET_BITS:
        raise _wrong(spid, i + 1, f"parameter {field.parameter} has no width that fits into a packet")
    if abs(field.gap_bits) > LONGEST_PACKET_BITS or field.group_size < 0:
        raise _wrong(
            spid, i + 1, f"its gap of {field.gap_bits} bits or group of {field.group_size} is impossible"
        )
    return parameter


def compile_program(spid: int, fields: Sequence[Field], parameters: dict[str, Parameter]) -> Program:
    """Structure as the integer table that the kernels execute.

    Parameters
    ----------
    spid
    fields
        In packet order; the gap is counted from the end of the field before, the first from bit 128.
    parameters
        By name; must hold every field.

    Raises
    ------
    FormatError
        If a parameter is missing or has no width, a gap is longer than any packet, a group sticks out of the
        group around it, a repeat takes no bits, or a field is wider than 56 bits without being whole bytes.
    """
    _check_groups(spid, fields)
    columns: dict[str, int] = {}
    rows: list[list[int]] = []
    first_step: list[int] = []
    for i, field in enumerate(fields):
        parameter = _checked(spid, i, field, parameters)
        column = columns.setdefault(field.parameter, len(columns))
        first_step.append(len(rows))
        width = parameter.width_bits
        if width > LONGEST_WORD_BITS:
            if width % 8 or field.group_size:
                raise _wrong(spid, i + 1, f"{width} bits: whole bytes expected, and no repeat counter")
            rows += [[8, field.gap_bits * (k == 0), 0, column, 0, 0, 0] for k in range(width // 8)]
        else:
            rows.append([width, field.gap_bits, 0, column, int(parameter.signed), 0, 0])
    first_step.append(len(rows))
    copies = []
    for i, field in enumerate(fields):
        if field.group_size == 0:
            continue
        step = first_step[i]
        begin, end = step + 1, first_step[i + 1 + field.group_size]
        repeat_bits = _fewest_bits(fields, i, first_step, rows)
        if repeat_bits < 1:
            raise _wrong(spid, i + 1, "one repeat of its group takes no bits")
        one_byte = end - begin == 1 and rows[begin][:3] == [8, 0, 0] and not rows[begin][4]
        rows[step][2], rows[step][5], rows[step][6] = end - begin, repeat_bits, int(one_byte)
        if not any(f.group_size for f in fields[i + 1 : i + 1 + field.group_size]):
            copies.append(one_byte)
    names = tuple(columns)
    dtypes = tuple(_dtype(parameters[n]) for n in names)
    widths = [parameters[n].width_bits for n in names]
    return Program(
        spid=spid,
        columns=names,
        dtypes=dtypes,
        lengths=tuple(w // 8 if w > LONGEST_WORD_BITS else 1 for w in widths),
        steps=np.array(rows, dtype=np.int64).reshape(len(rows), N_FACTS),
        itemsizes=np.array([d.itemsize for d in dtypes], dtype=np.int64),
        has_groups=bool(copies),
        all_groups_copy=all(copies),
    )


_Key = tuple[int, tuple[Field, ...], tuple[tuple[int, bool], ...]]
_shared: dict[_Key, Program] = {}


def shared_program(spid: int, fields: Sequence[Field], parameters: dict[str, Parameter]) -> Program:
    """The one program of a structure: equal structures of several versions give the same object.

    Parameters and errors are those of `compile_program`.
    """
    known = [parameters.get(f.parameter) for f in fields]
    key = (spid, tuple(fields), tuple((p.width_bits, p.signed) if p else (0, False) for p in known))
    program = _shared.get(key)
    if program is None:
        program = _shared.setdefault(key, compile_program(spid, fields, parameters))
    return program


def _fewest_bits(fields: Sequence[Field], counter: int, first_step: list[int], rows: list[list[int]]) -> int:
    """Bits that one repeat of a group takes at least: groups within it may repeat zero times."""
    bits, i = 0, counter + 1
    end = counter + 1 + fields[counter].group_size
    while i < end:
        bits += sum(row[0] + row[1] for row in rows[first_step[i] : first_step[i + 1]])
        i += 1 + fields[i].group_size
    return bits
