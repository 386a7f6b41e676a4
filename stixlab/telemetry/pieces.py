"""Bytes to be searched for packets, taken out of files of every kind piece by piece."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.streams import Stream

__all__ = ["LONGEST_PIECE", "Account", "Batch", "digit_places", "digits_of", "frame_batches", "read_binary"]

LONGEST_PIECE = 4 << 20
"""Bytes of text taken as one line or one element at most; a packet has 8226 digits."""
_WRONG_IN_HEX = re.compile(rb"[^0-9A-Fa-f\s]")


@dataclass
class Batch:
    """Pieces of a file, one behind the other; no packet reaches from one piece into the next."""

    data: bytes
    """What the text stands for, or the bytes themselves."""
    bounds: NDArray[np.int64]
    """(k + 1,) where each piece begins in `data`."""
    offsets: NDArray[np.int64]
    """(k,) place of the first byte of each piece in the file."""
    stride: int
    """Bytes of the file for each byte here: 1, or 2 in hexadecimal text."""
    places: NDArray[np.int64] | None = None
    """(len(data),) place of each byte in the file, where blanks make it irregular."""
    continues: bool = False
    """The piece, the only one then, goes on in the next batch."""
    frames: bool = False
    """Each piece may begin with the header of the control system."""
    reception_time: NDArray[np.datetime64] | None = None
    """(k,) UTC."""

    def locate(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(m,) place in the file of bytes of `data`."""
        if self.places is not None:
            return self.places[indices]
        piece = np.searchsorted(self.bounds, indices, side="right") - 1
        return self.offsets[piece] + self.stride * (indices - self.bounds[piece])

    @classmethod
    def single(
        cls,
        data: bytes,
        offset: int,
        stride: int,
        places: NDArray[np.int64] | None = None,
        *,
        continues: bool = True,
    ) -> Batch:
        """One piece, or a part of one."""
        bounds = np.array([0, len(data)])
        return cls(data, bounds, np.array([offset]), stride, places=places, continues=continues)


def read_binary(stream: Stream, report: DecodeReport, chunk_bytes: int) -> Iterator[Batch]:  # noqa: ARG001  (same call as the others)
    """The whole file is one piece."""
    offset = 0
    while data := stream.read(chunk_bytes):
        yield Batch.single(data, offset, 1)
        offset += len(data)
    yield Batch.single(b"", offset, 1, continues=False)


class Account:
    """What becomes of the bytes of a file before packets are looked for: digits, skipped text, or markup.

    Parameters
    ----------
    report
    """

    def __init__(self, report: DecodeReport) -> None:
        self._report = report
        self._taken = self._skipped = 0
        self._pending: tuple[str, int, int] | None = None

    def take(self, batch: Batch) -> Batch:
        """Account for the bytes of a batch, which packets are looked for in."""
        self._taken += batch.stride * len(batch.data)
        return batch

    def skip(self, reason: str, offset: int, size: int) -> None:
        """Remark bytes left out; the same reason again, with no `interrupt` between, is the same case."""
        if not size:
            return
        if self._pending is not None and self._pending[0] == reason:
            self._pending = (reason, self._pending[1], self._pending[2] + size)
        else:
            self.interrupt()
            self._pending = (reason, offset, size)

    def interrupt(self) -> None:
        """What is skipped next is another case."""
        if self._pending is not None:
            self._report.remark(*self._pending)
            self._skipped += self._pending[2]
            self._pending = None

    def close(self, stream: Stream) -> None:
        """Everything that is neither taken nor skipped is markup."""
        self.interrupt()
        self._report.use("skipped", self._skipped)
        self._report.use("markup", stream.n_read - self._taken - self._skipped)


def digit_places(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Indices of the hexadecimal digits in text; ``0x`` is none."""
    lower = codes | 0x20
    is_digit = ((codes >= 48) & (codes <= 57)) | ((lower >= 97) & (lower <= 102))
    is_digit[np.flatnonzero((codes[:-1] == 48) & (lower[1:] == 120))] = False
    return np.flatnonzero(is_digit)


def digits_of(text: bytes) -> bytes:
    """Bytes that hexadecimal text stands for; what is no digit is left out, and a digit without its second."""
    codes = np.frombuffer(text, dtype=np.uint8)
    digits = codes[digit_places(codes)].tobytes()
    return binascii.unhexlify(digits[: len(digits) // 2 * 2])


def frame_batches(
    text: bytes,
    base: int,
    starts: list[int],
    ends: list[int],
    account: Account,
    *,
    reception_time: NDArray[np.datetime64] | None = None,
) -> Iterator[Batch]:
    """One piece for each stretch of digits; what is behind a wrong digit in it is skipped.

    Parameters
    ----------
    text
    base
        Place of the text in the file.
    starts, ends
        Of each stretch in the text, ascending.
    account
    reception_time : (n,), UTC
    """
    pieces = [text[a:b] for a, b in zip(starts, ends, strict=True)]
    lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
    if not (lengths & 1).any():
        try:
            data: bytes | None = binascii.unhexlify(b"".join(pieces))
        except binascii.Error:
            data = None  # some of them hold a wrong digit: below they are looked at one by one
        if data is not None:
            yield _regular(data, lengths, base + np.array(starts, dtype=np.int64), reception_time)
            return
    first = 0
    good: list[bytes] = []
    offsets: list[int] = []
    for i, piece in enumerate(pieces):
        stripped = piece.lstrip()
        offset = base + starts[i] + len(piece) - len(stripped)
        try:
            good.append(binascii.unhexlify(stripped.rstrip()))
            offsets.append(offset)
        except binascii.Error:
            if good:
                yield _regular_of(good, offsets, reception_time, first)
            yield _irregular(piece, base + starts[i], account, _part(reception_time, i, i + 1))
            first, good, offsets = i + 1, [], []
    if good:
        yield _regular_of(good, offsets, reception_time, first)


def _regular_of(
    good: list[bytes], offsets: list[int], times: NDArray[np.datetime64] | None, first: int
) -> Batch:
    lengths = np.array([2 * len(piece) for piece in good], dtype=np.int64)
    times = _part(times, first, first + len(good))
    return _regular(b"".join(good), lengths, np.array(offsets, dtype=np.int64), times)


def _part(times: NDArray[np.datetime64] | None, first: int, last: int) -> NDArray[np.datetime64] | None:
    return None if times is None else times[first:last]


def _regular(
    data: bytes, lengths: NDArray[np.int64], offsets: NDArray[np.int64], times: NDArray[np.datetime64] | None
) -> Batch:
    bounds = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths // 2, out=bounds[1:])
    return Batch(data, bounds, offsets, 2, frames=True, reception_time=times)


def _irregular(text: bytes, offset: int, account: Account, times: NDArray[np.datetime64] | None) -> Batch:
    """A stretch with blanks within, or with a wrong digit: digits behind it cannot be trusted, half a byte may be lost."""
    wrong = _WRONG_IN_HEX.search(text.replace(b"0x", b"00").replace(b"0X", b"00"))
    end = len(text) if wrong is None else wrong.start()
    codes = np.frombuffer(text[:end], dtype=np.uint8)
    places = digit_places(codes)
    if wrong is not None or len(places) % 2:
        last = end if wrong is not None else int(places[-1])
        account.interrupt()
        account.skip("element that is not hexadecimal", offset, len(text) - last)
        account.interrupt()
    places = places[: len(places) // 2 * 2]
    data = binascii.unhexlify(codes[places].tobytes())
    batch = Batch.single(data, offset, 2, places[::2] + offset, continues=False)
    batch.frames, batch.reception_time = True, times
    return batch
