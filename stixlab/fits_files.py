"""FITS files of others, opened so that they cannot ask for more memory than they fill, and checked to be whole."""

from __future__ import annotations

import gzip
import math
import re
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from stixlab.errors import FormatError

__all__ = ["FITS_ERRORS", "check_instrument", "open_fits", "open_whole_fits"]

FITS_ERRORS = (
    OSError,
    EOFError,
    TypeError,
    ValueError,
    LookupError,
    NameError,
    AttributeError,
    AssertionError,
    MemoryError,
    OverflowError,
    zlib.error,
)
"""What astropy raises on files that are damaged or announce what cannot be; most where it did not think of it."""
_GZIP = b"\x1f\x8b"
_MOST_COLUMNS = 999
"""Of a table, by the standard; astropy makes room for as many as a header says."""
_BLOCK, _CARD = 2880, 80
_END = re.compile(rb"END {77}")
_SIZE = re.compile(rb"^(BITPIX|NAXIS\d{0,3}|PCOUNT|GCOUNT) *= *([+-]?\d+)")
_WORDS = ("hecksum verification failed", "atasum verification failed", "truncated")
"""Of the warnings of astropy about files that are not what was written."""


@contextmanager
def open_fits(path: Path, content: bytes | None = None) -> Iterator[Any]:
    """The HDUs of a FITS file, read from memory; astropy warns where a checksum is wrong.

    Parameters
    ----------
    path
        Plain or gzip.
    content
        The bytes of the file, where they have been read already; the path is not touched then.

    Yields
    ------
    astropy.io.fits.HDUList

    Raises
    ------
    Exception
        One of `FITS_ERRORS`, for the caller to say what was expected of the file.
    """
    from astropy.io import fits

    content = path.read_bytes() if content is None else content
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except EOFError:
            raise ValueError(
                f"truncated: expected the end of what gzip packed; {len(content)} bytes are there; fetch it again"
            ) from None
    _check_length(content)
    try:
        # A table longer than the file is an error here; from an open file astropy would make room for it first.
        with BytesIO(content) as stream, fits.open(stream, memmap=False, checksum=True) as hdus:
            for hdu in hdus:
                n_columns = hdu.header.get("TFIELDS", 0)
                if not isinstance(n_columns, int) or not 0 <= n_columns <= _MOST_COLUMNS:
                    raise ValueError(
                        f"table {hdu.name}: expected at most {_MOST_COLUMNS} columns; found TFIELDS {n_columns!r}"
                    )
            yield hdus
    except fits.VerifyError as error:
        raise ValueError(str(error)) from error


@contextmanager
def open_whole_fits(
    path: Path, content: bytes | None = None, *, expected: str = "a FITS file"
) -> Iterator[Any]:
    """As `open_fits`, for files that have to be what their maker wrote: of full length, with the right checksums.

    Parameters
    ----------
    path, content
        See `open_fits`.
    expected
        What the file should be, for messages.

    Yields
    ------
    astropy.io.fits.HDUList

    Raises
    ------
    FormatError
        If the file cannot be read or is damaged; also for what is read from it within the block.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with open_fits(path, content) as hdus:
                yield hdus
    except FormatError:
        raise
    except FileNotFoundError:
        raise FormatError(f"{path}: expected {expected}; there is no such file", path=path) from None
    except FITS_ERRORS as error:
        reason = str(error).strip() or type(error).__name__
        cure = "" if reason.endswith("fetch it again") else "; is it complete? fetch it again"
        raise FormatError(f"{path.name}: expected {expected}; {reason}{cure}", path=path) from error
    for each in caught:
        text = str(each.message)
        if any(word in text for word in _WORDS):
            raise FormatError(
                f"{path.name}: expected the content that its checksums were made of; {text.strip()}; the file is damaged:"
                " fetch it again",
                path=path,
            )


def check_instrument(header: Mapping[str, Any], name: str) -> None:
    """That a file is of STIX, by its primary header.

    Raises
    ------
    FormatError
        If it is not, or does not say.
    """
    words = f"{header.get('INSTRUME', '')} {header.get('TELESCOP', '')}".strip()
    if "STIX" not in words.upper():
        raise FormatError(
            f"{name}: expected INSTRUME or TELESCOP of STIX; found {words or 'neither keyword'!r}"
        )


def _check_length(content: bytes) -> None:
    """That all is there that the headers announce; what is no FITS file at all is left to astropy.

    Raises
    ------
    ValueError
        If the end is missing.
    """
    place = 0
    while content[place : place + 10] == b"SIMPLE  = " or (place and content.startswith(b"XTENSION", place)):
        size = _header_size(content, place)
        if size is None:
            raise ValueError(
                f"truncated: expected the rest of the header that begins at byte {place}; found {len(content)} bytes;"
                " fetch it again"
            )
        n_data = _data_size(content[place : place + size])
        if n_data < 0:
            return
        place += size + -(-n_data // _BLOCK) * _BLOCK
        if place > len(content):
            raise ValueError(
                f"truncated: expected {place} bytes by its headers, found {len(content)}; fetch it again"
            )


def _header_size(content: bytes, start: int) -> int | None:
    """Bytes of the header that begins there, in whole blocks; None if it has no end."""
    for match in _END.finditer(content, start):
        if (match.start() - start) % _CARD == 0:
            size = -(-(match.end() - start) // _BLOCK) * _BLOCK
            return size if start + size <= len(content) else None
    return None


def _data_size(header: bytes) -> int:
    """Bytes of data behind a header; below 0 if it does not tell, or tells what cannot be."""
    cards = (header[i : i + _CARD] for i in range(0, len(header), _CARD))
    numbers = {m[1].decode(): int(m[2]) for m in map(_SIZE.match, cards) if m}
    n_axes = numbers.get("NAXIS", -1)
    axes = [numbers.get(f"NAXIS{i}", -1) for i in range(1, n_axes + 1)] if n_axes <= _MOST_COLUMNS else [-1]
    if "BITPIX" not in numbers or n_axes < 0 or min(axes, default=0) < 0:
        return -1
    elements = numbers.get("PCOUNT", 0) + math.prod(axes) if axes else 0
    return abs(numbers["BITPIX"]) // 8 * numbers.get("GCOUNT", 1) * elements
