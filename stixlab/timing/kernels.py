"""Loops over on-board times for numba: the same sums as those of `stixlab.timing.scet`, one time after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["fill_bin_ticks", "fill_utc"]


def fill_utc(  # noqa: PLR0917  (numba takes no names)
    ticks: Any, piece_ticks: Any, piece_tt: Any, drift: Any, leap_starts: Any, leap_offsets: Any, utc: Any
) -> None:
    """UTC of on-board times.

    Parameters
    ----------
    ticks : (n,), 1/65536 s
    piece_ticks, piece_tt : (n_pieces,), 1/65536 s and ns of terrestrial time since 1970
        Starts of the straight pieces of the clock.
    drift : (n_pieces,), ns for each tick beyond the nominal rate
    leap_starts, leap_offsets : (n_leaps,), ns of terrestrial time since 1970, and TT - UTC from there on
    utc : (n,), ns since 1970
        Written.
    """
    piece, leap = 0, 0
    n_pieces, n_leaps = len(piece_ticks), len(leap_starts)
    for i in range(len(ticks)):
        time = ticks[i]
        if time < piece_ticks[piece] or (piece + 1 < n_pieces and time >= piece_ticks[piece + 1]):
            piece = max(np.searchsorted(piece_ticks, time, side="right") - 1, 0)
        since = time - piece_ticks[piece]
        nominal = (since >> 16) * 1_000_000_000 + (((since & 0xFFFF) * 1_000_000_000 + 0x8000) >> 16)
        tt = nominal + np.int64(np.rint(since * drift[piece])) + piece_tt[piece]
        if tt < leap_starts[leap] or (leap + 1 < n_leaps and tt >= leap_starts[leap + 1]):
            leap = max(np.searchsorted(leap_starts, tt, side="right") - 1, 0)
        utc[i] = tt - leap_offsets[leap]


def fill_bin_ticks(start: Any, n_bins: Any, tenths: Any, ticks: Any) -> None:
    """On-board time of the middle of bins that follow each other; see `stixlab.timing.scet.bin_ticks`.

    Parameters
    ----------
    start, n_bins, tenths : (n,), 1/65536 s, count, 0.1 s
    ticks : (n_bins.sum(),), 1/65536 s
        Written.
    """
    place = 0
    for p in range(len(start)):
        length = tenths[p] * 65_536
        for number in range(n_bins[p]):
            ticks[place] = start[p] + ((2 * number + 1) * length) // 20
            place += 1
