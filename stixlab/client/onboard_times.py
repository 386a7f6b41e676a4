"""On-board times as people and programs hand them over: text, seconds, arrays; with the bit that says that the clock was not set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import TimeError
from stixlab.timing import FINE_PER_SECOND, format_scet, parse_scet
from stixlab.timing.scet import normalise_scet

__all__ = ["NOT_SYNCHRONISED", "UNSYNCHRONISED", "format_scets", "read_scet"]

UNSYNCHRONISED = 1 << 31
"""Bit of the on-board seconds that says that the clock was not set."""
NOT_SYNCHRONISED = (
    "not synchronised: the top bit of the on-board time is set, the clock was not set; UTC is that of the other bits and may"
    " be off by any amount"
)


def read_scet(scet: Any, fine: Any = None) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Seconds, further 1/65536 s, and whether the clock was synchronised, of on-board times.

    Parameters
    ----------
    scet : any shape
        Text (``coarse:fine``), seconds with or without fraction; whole seconds if `fine` is given.
    fine : same shape, 1/65536 s

    Returns
    -------
    coarse, fine, synchronised : same shape
        `coarse` without the top bit, which says that the clock was not set.

    Raises
    ------
    TimeError
        If one is no on-board time.
    """
    values = np.asarray(scet.to_numpy() if hasattr(scet, "to_numpy") else scet)
    if fine is not None:
        parts = np.asarray(fine.to_numpy() if hasattr(fine, "to_numpy") else fine)
        if values.dtype.kind not in "iu" or parts.dtype.kind not in "iu":
            raise TimeError("on-board time: expected whole numbers as seconds and as 1/65536 s")
        found = normalise_scet(values, parts)
    elif values.dtype.kind in "iu":
        found = normalise_scet(values, 0)
    elif values.dtype.kind == "f":
        if values.size and not (values.min() >= 0 and values.max() < 1 << 32):  # also NaN
            raise TimeError(f"on-board time: expected 0 to 2**32 s; found {values.min()} to {values.max()} s")
        found = normalise_scet(0, np.rint(values * FINE_PER_SECOND).astype(np.int64))
    elif values.dtype.kind in "UO" and all(isinstance(v, str | int | float) for v in values.ravel().tolist()):
        pairs = [parse_scet(str(v)) for v in values.ravel().tolist()]
        columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        found = normalise_scet(columns[:, 0].reshape(values.shape), columns[:, 1].reshape(values.shape))
    else:
        raise TimeError(
            f"on-board time: expected seconds:fine such as 664148503:10710, or seconds; found {scet!r:.80}"
        )
    coarse, rest = (np.asarray(part).astype(np.int64) for part in found)
    return coarse & ~UNSYNCHRONISED, rest, (coarse & UNSYNCHRONISED) == 0


def format_scets(coarse: NDArray[Any], fine: NDArray[Any]) -> NDArray[np.str_]:
    """``coarse:fine`` of each, as `format_scet`."""
    texts = [format_scet(c, f) for c, f in zip(coarse.ravel().tolist(), fine.ravel().tolist(), strict=True)]
    return np.array(texts, dtype="<U16").reshape(coarse.shape)
