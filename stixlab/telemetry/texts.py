"""Hexadecimal digits in text and FITS files, taken out piece by piece: XML, lines with and without times, tables."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stixlab.telemetry.borders import HEADER_BYTES, looks_like_packet
from stixlab.telemetry.pieces import LONGEST_PIECE, Account, Batch, digit_places, frame_batches
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.streams import Stream

__all__ = ["MOC_LINE", "read_hex", "read_lb_fits", "read_moc_ascii", "read_xml"]

_SLICE = 1 << 20
"""Bytes of text read in one go: less than asked for, since text needs several times its size while it is read."""
_PACKET_ELEMENT = re.compile(rb"<(?:\w{1,32}:)?Packet(?:\s[^<>]{0,200})?>")
_LONGEST_TAG = 256
_LB_ROW = re.compile(rb"0[dD][0-9A-Fa-f]{30,}+")
_LB_LEAST = 32
_DIGITS = re.compile(rb"[0-9A-Fa-f]*+")
MOC_LINE = re.compile(
    rb"^[ \t]*(\d{4}-(?:\d\d-\d\d|\d{3})[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?)Z?[ \t,;]+(?:0[xX])?"
    rb"([0-9A-Fa-f]{2}[^\r\n]*+)\r?\n?",
    re.MULTILINE,
)
"""Time of reception, by date or by day of the year, and the digits of packets."""
_LONGEST_TIME = 32
_NOT_HEX_TEXT = "text that is not hexadecimal"
_HALF = "digit without its second"
_TOO_LONG = "element that is too long"
_IN_HEX = b"0123456789abcdefABCDEFxX \t\r\n\f"
_IS_BAD = np.ones(256, dtype=bool)
_IS_BAD[list(_IN_HEX)] = False


def read_xml(stream: Stream, report: DecodeReport, chunk_bytes: int) -> Iterator[Batch]:
    """One piece for each Packet element."""
    account = Account(report)
    chunk_bytes = min(chunk_bytes, _SLICE)
    buffer, base = b"", 0
    final = endless = False
    while not final:
        piece = stream.read(chunk_bytes)
        final = len(piece) < chunk_bytes
        buffer += piece
        if endless:
            end = buffer.find(b"<")
            end = len(buffer) if end < 0 else end
            account.skip(_TOO_LONG, base, end)
            endless = end == len(buffer)
            buffer, base = buffer[end:], base + end
        tags = list(_PACKET_ELEMENT.finditer(buffer))
        starts = [tag.end() for tag in tags]
        brackets = np.flatnonzero(np.frombuffer(buffer, dtype=np.uint8) == ord("<"))
        following = np.searchsorted(brackets, starts)
        ends = np.append(brackets, len(buffer))[following].tolist()
        keep = len(buffer) if final else _partial_tag(buffer)
        if tags and following[-1] == len(brackets) and not final:
            endless = len(buffer) - starts[-1] > LONGEST_PIECE
            if not endless:
                keep = tags[-1].start()
                del starts[-1], ends[-1]
            else:
                keep = len(buffer)
        yield from _within_limit(buffer, base, starts, ends, account)
        buffer, base = buffer[keep:], base + keep
    account.close(stream)


def _partial_tag(buffer: bytes) -> int:
    """Index of a tag that is not whole; the length of the buffer if there is none."""
    at = buffer.rfind(b"<", max(len(buffer) - _LONGEST_TAG, 0))
    return at if at >= 0 and buffer.find(b">", at) < 0 else len(buffer)


def _within_limit(
    buffer: bytes, base: int, starts: list[int], ends: list[int], account: Account
) -> Iterator[Batch]:
    """Elements as batches; what is too long is cut, and the rest skipped."""
    first = 0
    for i in np.flatnonzero(np.subtract(ends, starts) > LONGEST_PIECE).tolist():
        cut = starts[i] + LONGEST_PIECE
        yield from map(
            account.take,
            frame_batches(buffer, base, starts[first : i + 1], [*ends[first:i], cut], account),
        )
        account.interrupt()
        account.skip(_TOO_LONG, base + cut, ends[i] - cut)
        first = i + 1
    if first < len(starts):
        account.interrupt()
        yield from map(account.take, frame_batches(buffer, base, starts[first:], ends[first:], account))


def _whole_lines(stream: Stream, chunk_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Text that ends with a line, and its place; a line that is too long comes in parts of equal length."""
    buffer, base, final = b"", 0, False
    while not final:
        piece = stream.read(chunk_bytes)
        final = len(piece) < chunk_bytes
        buffer += piece
        ends = np.flatnonzero(np.frombuffer(buffer, dtype=np.uint8) == ord("\n")) + 1
        borders = np.concatenate([[0], ends, [len(buffer)]])
        cuts: list[int] = []
        for i in np.flatnonzero(np.diff(borders) > LONGEST_PIECE).tolist():
            # a part is cut off only when something follows: the parts are the same whatever the chunks
            cuts += range(int(borders[i]) + LONGEST_PIECE, int(borders[i + 1]), LONGEST_PIECE)
        last = len(buffer) if final else max([int(end) for end in ends[-1:]] + cuts[-1:], default=0)
        start = 0
        for cut in [*cuts, last]:
            if cut > start:
                yield buffer[start:cut], base + start
                start = cut
        buffer, base = buffer[last:], base + last


def _skip_lines(text: bytes, offset: int, account: Account) -> None:
    """Lines without digits of packets; blank ones are markup and do not count as an interruption."""
    for line in text.splitlines(keepends=True):
        if line.strip():
            account.skip(_NOT_HEX_TEXT, offset, len(line))
        offset += len(line)


def read_moc_ascii(stream: Stream, report: DecodeReport, chunk_bytes: int) -> Iterator[Batch]:
    """One piece for each line, with the time of its reception."""
    account = Account(report)
    for text, base in _whole_lines(stream, min(chunk_bytes, _SLICE)):
        lines = list(MOC_LINE.finditer(text))
        starts, ends = [line.start(2) for line in lines], [line.end(2) for line in lines]
        times = _times(text, [line.start(1) for line in lines])
        before = np.array([0, *(line.end() for line in lines)])
        behind = np.array([*(line.start() for line in lines), len(text)])
        gaps = np.flatnonzero(behind > before)
        groups = np.union1d([0, len(lines)], gaps).tolist()
        for first, last in zip(groups, [*groups[1:], len(lines)], strict=True):
            _skip_lines(text[before[first] : behind[first]], base + int(before[first]), account)
            if last > first:
                account.interrupt()
                part = slice(first, last)
                batches = frame_batches(
                    text, base, starts[part], ends[part], account, reception_time=times[part]
                )
                yield from map(account.take, batches)
    account.close(stream)


def _times(text: bytes, starts: list[int]) -> NDArray[np.datetime64]:
    """(n,) UTC of the times that stand at some places; NaT where the calendar has no such time, and for the first of 1970.

    Written ``2021-01-17T12:34:56.789`` or, with the day of the year, ``2021-017T12:34:56.789``.
    """
    codes = np.frombuffer(text + bytes(_LONGEST_TIME), dtype=np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(codes, _LONGEST_TIME)
    digits = windows[starts].astype(np.int64) - ord("0")
    rows = np.arange(len(starts))
    by_date = digits[:, 7] == ord("-") - ord("0")
    clock = np.where(by_date, 11, 9)

    def number(first: NDArray[np.int64] | int, n: int) -> NDArray[np.int64]:
        value = np.zeros(len(starts), dtype=np.int64)
        for k in range(n):
            value = 10 * value + digits[rows, first + k]
        return value

    month = np.where(by_date, number(5, 2), 1)
    day = np.where(by_date, number(8, 2), number(5, 3))
    hour, minute, second = number(clock, 2), number(clock + 3, 2), number(clock + 6, 2)
    micro = np.zeros(len(starts), dtype=np.int64)
    goes_on = digits[rows, clock + 8] == ord(".") - ord("0")
    for k in range(6):
        digit = digits[rows, clock + 9 + k]
        goes_on &= (digit >= 0) & (digit <= 9)
        micro += np.where(goes_on, digit, 0) * 10 ** (5 - k)
    seconds = ((day - 1) * 24 + hour) * 3600 + minute * 60 + second
    months = (number(0, 4) - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    time: NDArray[np.datetime64] = months.astype("datetime64[us]") + (seconds * 1_000_000 + micro)
    wrong = (month < 1) | (month > 12) | (day < 1) | (day > np.where(by_date, 31, 366))
    wrong |= (hour > 23) | (minute > 59) | (second > 60) | (time == np.datetime64(0, "us"))
    time[wrong] = np.datetime64("NaT")
    return time


def read_hex(stream: Stream, report: DecodeReport, chunk_bytes: int) -> Iterator[Batch]:
    """One piece for each run of lines of digits; other lines are skipped.

    A line with a digit too few or too many shifts the digits behind it by half a byte. Where a
    header stands at the start of a line that is so shifted, a new piece begins.
    """
    account = Account(report)
    half: tuple[int, int] | None = None  # a digit whose second has not come, and its place

    def close(at: int) -> Iterator[Batch]:
        if half is not None:
            account.interrupt()
            account.skip(_HALF, half[1], 1)
            account.interrupt()
        yield Batch.single(b"", at, 2, continues=False)

    for text, base in _whole_lines(stream, min(chunk_bytes, _SLICE)):
        codes = np.frombuffer(text, dtype=np.uint8)
        for start, end, good in _runs(text):
            if not good:
                yield from close(base + start)
                half = None
                _skip_lines(text[start:end], base + start, account)
                continue
            places = digit_places(codes[start:end]) + start
            breaks = _fresh_starts(codes, places, start, end, shifted=half is not None)
            for first, last in pairwise([0, *breaks, len(places)]):
                if first or (breaks and last == first):
                    yield from close(base + start)
                    half = None
                if first == last:
                    continue
                account.interrupt()
                digits, there = codes[places[first:last]].tobytes(), places[first:last] + base
                if half is not None:
                    digits, there = bytes([half[0]]) + digits, np.concatenate([[half[1]], there])
                half = (digits[-1], int(there[-1])) if len(digits) % 2 else None
                whole = len(digits) // 2 * 2
                data = binascii.unhexlify(digits[:whole])
                yield account.take(Batch.single(data, 0, 2, there[:whole:2]))
    yield from close(0)
    account.close(stream)


def _fresh_starts(
    codes: NDArray[np.uint8], places: NDArray[np.int64], start: int, end: int, *, shifted: bool
) -> list[int]:
    """Indices of the digits at which headers stand at the start of a line, half a byte out of step."""
    starts = np.concatenate([[start], np.flatnonzero(codes[start : end - 1] == ord("\n")) + start + 1])
    index = np.searchsorted(places, starts)
    if not shifted and not (index & 1).any():
        return []
    breaks, since = [], -int(shifted)
    for i, behind in pairwise([*index.tolist(), len(places)]):
        if (i - since) % 2 and behind - i >= 2 * HEADER_BYTES:
            digits = codes[places[i : i + 2 * HEADER_BYTES]].tobytes()
            if looks_like_packet(binascii.unhexlify(digits), 0, None):
                breaks.append(i)
                since = i
    return breaks


def _runs(text: bytes) -> Iterator[tuple[int, int, bool]]:
    """Runs of lines (start, end) that hold nothing but digits and blanks, and those that do."""
    if not text.translate(None, _IN_HEX):
        yield 0, len(text), True
        return
    codes = np.frombuffer(text, dtype=np.uint8)
    bad = np.flatnonzero(_IS_BAD[codes])
    ends = np.flatnonzero(codes == ord("\n")) + 1
    borders = np.union1d([0, len(codes)], ends)
    is_bad = np.zeros(len(borders) - 1, dtype=bool)
    is_bad[np.searchsorted(borders, bad, side="right") - 1] = True
    changes = np.flatnonzero(np.diff(is_bad)) + 1
    firsts = [0, *changes.tolist()]
    for first, last in zip(firsts, [*changes.tolist(), len(is_bad)], strict=True):
        yield int(borders[first]), int(borders[last]), not is_bad[first]


def read_lb_fits(stream: Stream, report: DecodeReport, chunk_bytes: int) -> Iterator[Batch]:
    """One piece for each run of digits in the tables that begins like a packet.

    The rows are found by their content, not by the declared layout of the table, so that a
    damaged header loses nothing.
    """
    account = Account(report)
    chunk_bytes = min(chunk_bytes, _SLICE)
    buffer, base, final, inside = b"", 0, False, False
    while not final:
        piece = stream.read(chunk_bytes)
        final = len(piece) < chunk_bytes
        buffer += piece
        done = 0
        if inside:
            end = _end_of_digits(buffer, 0)
            inside = end == len(buffer) and not final
            done = end // 2 * 2 if inside else end
            data = binascii.unhexlify(buffer[: end // 2 * 2])
            yield account.take(Batch.single(data, base, 2, continues=inside))
        if not inside:
            rows = [row.span() for row in _LB_ROW.finditer(buffer, done)]
            done = max(len(buffer) - _LB_LEAST + 1, rows[-1][1] if rows else done)
            last = rows.pop() if rows and rows[-1][1] == len(buffer) and not final else None
            starts = [start for start, _ in rows]
            ends = [end - (end - start) % 2 for start, end in rows]
            if rows:
                yield from map(account.take, frame_batches(buffer, base, starts, ends, account))
            if last is not None and last[1] - last[0] > LONGEST_PIECE:
                inside, done = True, last[1] - (last[1] - last[0]) % 2
                data = binascii.unhexlify(buffer[last[0] : done])
                yield account.take(Batch.single(data, base + last[0], 2))
            elif last is not None:
                done = last[0]
        done = len(buffer) if final else max(done, 0)
        buffer, base = buffer[done:], base + done
    account.close(stream)


def _end_of_digits(buffer: bytes, start: int) -> int:
    found = _DIGITS.match(buffer, start)
    return found.end() if found else start
