"""FITS files of others, opened so that they cannot ask for more memory than they fill."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

__all__ = ["FITS_ERRORS", "open_fits"]

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
        content = gzip.decompress(content)
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
