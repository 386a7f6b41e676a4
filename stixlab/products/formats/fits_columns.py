"""Columns and tables of FITS files from arrays, as bytes.

astropy takes some milliseconds for a table of any size; a day's products have tens of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.products.formats.fits_cards import BLOCK, Cards

__all__ = ["Column", "Hdu", "column", "primary", "table"]

_UNSIGNED = {"uint16": ("I", 1 << 15), "uint32": ("J", 1 << 31), "uint64": ("K", 1 << 63)}
_PLAIN = {"bool": "L", "uint8": "B", "int16": "I", "int32": "J", "int64": "K", "float32": "E", "float64": "D"}
_NO_SUM = "0" * 16
_PUNCTUATION = frozenset((*range(0x3A, 0x41), *range(0x5B, 0x61)))
"""Characters that have no place in a checksum."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    code: str
    """TFORM."""
    values: NDArray[Any]
    """(row, ...), as they are stored, in any byte order."""
    unit: str = ""
    zero: int = 0
    """TZERO: what is to be added to a stored value."""
    dim: str = ""
    """TDIM."""


@dataclass
class Hdu:
    """A header and what follows it."""

    name: str
    cards: Cards = field(default_factory=Cards)
    data: bytes = b""
    """Filled up to whole blocks."""

    def encode(self, created: datetime) -> bytes:
        """Header with checksums, and data.

        Parameters
        ----------
        created
            UTC, told beside the checksums.
        """
        when = f"as of {created:%Y-%m-%dT%H:%M:%S}"
        data_sum = _sum(self.data)
        self.cards.set("CHECKSUM", _NO_SUM, when)
        self.cards.set("DATASUM", str(data_sum), when)
        self.cards.set("CHECKSUM", _told(~_sum(self.cards.encode(), data_sum) & 0xFFFFFFFF), when)
        return self.cards.encode() + self.data


def _sum(content: bytes, start: int = 0) -> int:
    """Ones' complement sum of words of 32 bits, of whole blocks."""
    total = start + int(np.frombuffer(content, dtype=">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _told(value: int) -> str:
    """A sum as 16 letters and digits whose own sum it is (FITS standard 4.0, appendix J)."""
    letters = [0] * 16
    for i in range(4):
        byte = value >> (24 - 8 * i) & 0xFF
        found = [byte // 4 + 0x30 + byte % 4, *[byte // 4 + 0x30] * 3]
        while _PUNCTUATION & {*found}:
            for j in (0, 2):
                if found[j] in _PUNCTUATION or found[j + 1] in _PUNCTUATION:
                    found[j], found[j + 1] = found[j] + 1, found[j + 1] - 1
        letters[i::4] = found
    return "".join(map(chr, [letters[-1], *letters[:-1]]))


def column(name: str, values: NDArray[Any], unit: str = "") -> Column:
    """One column; unsigned integers by an offset, as FITS has them.

    Parameters
    ----------
    name
    values : (row, ...)
        A second dimension of length 1 is left out. Times are written as nanoseconds since 1970.
    unit
        As FITS has it.
    """
    if values.dtype.kind == "M":
        values, unit = values.astype("datetime64[ns]").astype("int64"), "ns"
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    width = str(math.prod(values.shape[1:])) if values.ndim > 1 else ""
    # A cell of several dimensions has its fastest first.
    dim = f"({','.join(map(str, values.shape[:0:-1]))})" if values.ndim > 2 else ""
    if values.dtype.kind in "SU":
        texts = np.char.encode(values, "ascii") if values.dtype.kind == "U" else values
        n_bytes = max(values.dtype.itemsize // (4 if values.dtype.kind == "U" else 1), 1)
        return Column(name, f"{n_bytes}A", texts.astype(f"S{n_bytes}"))
    kind = values.dtype.name
    if kind in _UNSIGNED:
        code, offset = _UNSIGNED[kind]
        # With the highest bit turned the bits are those of the number less the offset.
        stored = (values ^ values.dtype.type(offset)).view(kind.removeprefix("u"))
        return Column(name, width + code, stored, unit, offset, dim)
    if kind == "bool":
        values = np.where(values, ord("T"), ord("F")).astype(np.uint8)
    return Column(name, width + _PLAIN[kind], values, unit, dim=dim)


def primary() -> Hdu:
    """The first HDU, without data."""
    hdu = Hdu("PRIMARY")
    hdu.cards.set("SIMPLE", value=True, comment="conforms to FITS standard")
    hdu.cards.set("BITPIX", 8, "array data type")
    hdu.cards.set("NAXIS", 0, "number of array dimensions")
    hdu.cards.set("EXTEND", value=True)
    return hdu


def table(name: str, columns: Sequence[Column]) -> Hdu:
    """A table of columns of equal length."""
    fields = [(str(i), c.values.dtype.newbyteorder(">"), c.values.shape[1:]) for i, c in enumerate(columns)]
    n_rows = len(columns[0].values)
    rows = np.zeros(n_rows, dtype=fields)
    for i, each in enumerate(columns):
        rows[str(i)] = each.values
    data = rows.tobytes()
    hdu = Hdu(name, data=data + bytes(-len(data) % BLOCK))
    put = hdu.cards.set
    put("XTENSION", "BINTABLE", "binary table extension")
    put("BITPIX", 8, "array data type")
    put("NAXIS", 2, "number of array dimensions")
    put("NAXIS1", rows.dtype.itemsize, "length of dimension 1")
    put("NAXIS2", n_rows, "length of dimension 2")
    put("PCOUNT", 0, "number of group parameters")
    put("GCOUNT", 1, "number of groups")
    put("TFIELDS", len(columns), "number of table fields")
    for i, each in enumerate(columns, 1):
        put(f"TTYPE{i}", each.name)
        put(f"TFORM{i}", each.code)
        if each.unit:
            put(f"TUNIT{i}", each.unit)
        if each.zero:
            put(f"TZERO{i}", each.zero)
        if each.dim:
            put(f"TDIM{i}", each.dim)
    put("EXTNAME", name, "extension name")
    return hdu
