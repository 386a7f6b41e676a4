"""The loops that run over packets and codes: written in the part of Python that numba compiles.

They take either plain Python sequences (small inputs: nothing to import, nothing to compile) or
numpy arrays (large inputs: compiled once, kept in numba's cache). `stixlab.compiled` chooses.
All sequences are flat; nothing is allocated within.
"""

from __future__ import annotations

from typing import Any

from stixlab.compiled import get_kernel, is_worth_compiling

__all__ = ["decode_packets", "encode_packets", "get_kernel", "is_worth_compiling", "look_up_codes"]

_OK, _CORRUPT, _TRAILING = 0, 4, 5  # values of `frames.Status`; the compiler wants plain numbers


def decode_packets(  # noqa: C901, PLR0912, PLR0915, PLR0917  (one loop: a call for each field would cost as much as its work)
    data: Any, starts: Any, ends: Any, steps: Any, plain: Any, itemsizes: Any, counts: Any, status: Any,
    cursors: Any, out: Any, stack: Any, fill: bool,  # noqa: FBT001
) -> None:  # fmt: skip
    """Walk through packets of one structure; count the elements of each column, or write them.

    Parameters
    ----------
    data : (n_bytes,), bytes
    starts, ends : (n,), index of the first byte of each packet and behind its last
    steps : (n_steps * 7,)
        `Program.steps`, flat.
    plain : (n_steps,)
        Bits of one repeat of the group of each step, where it can be read column by column; else 0.
    itemsizes : (n_columns,), bytes of an element
    counts : (n * n_columns,)
        Elements of each packet in each column; added to when counting.
    status : (n,)
        Set when counting: ok, corrupt or trailing.
    cursors : (n_columns,)
        When writing: byte of `out` at which each column goes on; moved along.
    out : (n_out_bytes,), little-endian elements, column behind column
    stack : (3 * deepest,), scratch
    fill
        Write instead of count; the packets must be good then.
    """
    n_steps = len(steps) // 7
    n_columns = len(itemsizes)
    for p in range(len(starts)):
        body = starts[p] * 8 + 128
        limit = ends[p] * 8
        pos = body
        furthest = body
        step = 0
        depth = 0
        verdict = _OK
        while True:
            if depth > 0 and step == stack[3 * depth - 2]:
                stack[3 * depth - 1] -= 1
                if stack[3 * depth - 1] > 0:
                    step = stack[3 * depth - 3]
                else:
                    depth -= 1
                continue
            if step == n_steps:
                break
            s = step * 7
            width = steps[s]
            pos += steps[s + 1]
            if pos + width > limit or pos < body:
                verdict = _CORRUPT
                break
            at = pos >> 3
            have = 8 - (pos & 7)
            value = data[at] & (255 >> (pos & 7))
            while have < width:
                at += 1
                value = (value << 8) | data[at]
                have += 8
            value >>= have - width
            column = steps[s + 3]
            if fill:
                element = value
                if steps[s + 4] != 0 and value >> (width - 1) != 0:
                    element = value - (1 << width)
                c = cursors[column]
                for _ in range(itemsizes[column]):
                    out[c] = element & 255
                    element >>= 8
                    c += 1
                cursors[column] = c
            else:
                counts[p * n_columns + column] += 1
            pos += width
            furthest = max(furthest, pos)
            step += 1
            group = steps[s + 2]
            if group == 0:
                continue
            if value == 0:
                step += group
            elif value * steps[s + 5] > limit - pos:
                verdict = _CORRUPT
                break
            elif plain[step - 1] != 0 and not (steps[s + 6] != 0 and pos & 7 == 0):
                repeat = plain[step - 1]
                begin = pos
                for row in range(7 * step, 7 * (step + group), 7):
                    width = steps[row]
                    begin += steps[row + 1]
                    column = steps[row + 3]
                    if not fill:
                        counts[p * n_columns + column] += value
                        begin += width
                        continue
                    size = itemsizes[column]
                    sign = steps[row + 4] << (width - 1)
                    c = cursors[column]
                    for first in range(begin, begin + value * repeat, repeat):
                        at = first >> 3
                        have = 8 - (first & 7)
                        element = data[at] & (255 >> (first & 7))
                        while have < width:
                            at += 1
                            element = (element << 8) | data[at]
                            have += 8
                        element >>= have - width
                        element -= (element & sign) << 1
                        out[c] = element & 255
                        for k in range(1, size):
                            out[c + k] = (element >> (8 * k)) & 255
                        c += size
                    cursors[column] = c
                    begin += width
                pos += value * repeat
                furthest = max(furthest, pos)
                step += group
            elif steps[s + 6] != 0 and pos & 7 == 0:
                column = steps[step * 7 + 3]
                if fill:
                    c = cursors[column]
                    out[c : c + value] = data[pos >> 3 : (pos >> 3) + value]
                    cursors[column] = c + value
                else:
                    counts[p * n_columns + column] += value
                pos += 8 * value
                furthest = max(furthest, pos)
                step += 1
            else:
                stack[3 * depth] = step
                stack[3 * depth + 1] = step + group
                stack[3 * depth + 2] = value
                depth += 1
        if not fill:
            if verdict == _OK and limit - furthest >= 8:
                verdict = _TRAILING
            status[p] = verdict


def encode_packets(  # noqa: C901, PLR0912, PLR0915, PLR0917  (the mirror of decode_packets)
    out: Any, starts: Any, ends: Any, steps: Any, itemsizes: Any, present: Any, cursors: Any, column_ends: Any,
    data: Any, stack: Any, fill: bool,  # noqa: FBT001
) -> int:  # fmt: skip
    """Walk through packets of one structure to be made; measure them, or write them.

    Parameters
    ----------
    out : (n_out_bytes,), bytes of the packets, zero; only written when `fill`
    starts : (n,), index of the first byte of each packet
    ends : (n,)
        Set when measuring: bytes of each packet.
    steps, itemsizes
        As for `decode_packets`.
    present : (n_columns,)
        0 where a column is left out: its bits are not written.
    cursors, column_ends : (n_columns,)
        Byte of `data` at which each column goes on, and behind its end.
    data : (n_bytes,), little-endian elements, column behind column
    stack : (3 * deepest,), scratch
    fill
        Write instead of measure.

    Returns
    -------
    int
        -1 when all went well, or the column that ended too early.
    """
    n_steps = len(steps) // 7
    for p in range(len(starts)):
        pos = starts[p] * 8 + 128 if fill else 128
        furthest = pos
        step = 0
        depth = 0
        while True:
            if depth > 0 and step == stack[3 * depth - 2]:
                stack[3 * depth - 1] -= 1
                if stack[3 * depth - 1] > 0:
                    step = stack[3 * depth - 3]
                else:
                    depth -= 1
                continue
            if step == n_steps:
                break
            s = step * 7
            width = steps[s]
            pos += steps[s + 1]
            column = steps[s + 3]
            value = 0
            if present[column] != 0:
                c = cursors[column]
                size = itemsizes[column]
                if c + size > column_ends[column]:
                    return int(column)
                for k in range(size):
                    value |= (data[c + k] & 255) << (8 * k)
                cursors[column] = c + size
                if fill:
                    value &= (1 << width) - 1
                    at = (pos + width - 1) >> 3
                    low = 7 - ((pos + width - 1) & 7)
                    rest = width
                    bits = value
                    while rest > 0:
                        n = min(8 - low, rest)
                        mask = ((1 << n) - 1) << low
                        out[at] = (out[at] & (255 - mask)) | ((bits << low) & mask)
                        bits >>= n
                        rest -= n
                        at -= 1
                        low = 0
            pos += width
            furthest = max(furthest, pos)
            step += 1
            group = steps[s + 2]
            if group == 0:
                continue
            if value == 0:
                step += group
            elif steps[s + 6] != 0 and pos & 7 == 0 and present[steps[step * 7 + 3]] != 0:
                column = steps[step * 7 + 3]
                c = cursors[column]
                if c + value > column_ends[column]:
                    return int(column)
                if fill:
                    out[pos >> 3 : (pos >> 3) + value] = data[c : c + value]
                cursors[column] = c + value
                pos += 8 * value
                furthest = max(furthest, pos)
                step += 1
            else:
                stack[3 * depth] = step
                stack[3 * depth + 1] = step + group
                stack[3 * depth + 2] = value
                depth += 1
        if not fill:
            ends[p] = (furthest + 7) >> 3
    return -1


def look_up_codes(  # noqa: PLR0917  (numba takes no names)
    codes: Any, splits: Any, rows: Any, values: Any, variances: Any, value: Any, variance: Any
) -> None:
    """Value and variance of each code, from the rows of 256 entries that hold for its part.

    Parameters
    ----------
    codes : (n_codes,)
    splits : (n + 1,), part of `codes` that belongs to each row
    rows : (n,), row of the tables for each part
    values, variances : (n_rows * 256,)
    value, variance : (n_codes,)
        Written.
    """
    for p in range(len(rows)):
        base = rows[p] * 256
        row_values = values[base : base + 256]
        row_variances = variances[base : base + 256]
        for i in range(splits[p], splits[p + 1]):
            code = codes[i]
            value[i] = row_values[code]
            variance[i] = row_variances[code]
