"""Detectors and their triggers. Live time is not here: it is made from these in `stixlab.products`."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "N_DETECTORS",
    "N_PIXELS",
    "TRIGGER_GROUPS",
    "active_trigger_groups",
    "mask_bits",
    "mask_word",
    "without_unrecorded",
]

N_DETECTORS = 32
"""Detectors of the instrument, numbered 1 to 32 as on the hardware."""
N_PIXELS = 12
"""Pixels of a detector, numbered 0 to 11."""

TRIGGER_GROUPS = (
    (1, 2),
    (6, 7),
    (5, 11),
    (12, 13),
    (14, 15),
    (10, 16),
    (8, 9),
    (3, 4),
    (31, 32),
    (26, 27),
    (22, 28),
    (20, 21),
    (18, 19),
    (17, 23),
    (24, 25),
    (29, 30),
)
"""Detectors (1 to 32) that share a trigger accumulator, in the order of the accumulators. Source: STIX flight software."""


@cache
def _group_words() -> NDArray[np.uint32]:
    return np.array([sum(1 << (d - 1) for d in group) for group in TRIGGER_GROUPS], dtype=np.uint32)


def active_trigger_groups(detector_mask: ArrayLike) -> NDArray[np.uint8]:
    """Number of trigger accumulators with at least one detector in use.

    Parameters
    ----------
    detector_mask : (n,), unsigned
        Bit i (the lowest first) stands for detector i + 1.

    Returns
    -------
    (n,)
        0 to 16.
    """
    mask = np.asarray(detector_mask, dtype=np.uint32)
    return np.asarray(((mask[..., None] & _group_words()) != 0).sum(axis=-1), dtype=np.uint8)


_UNRECORDED = np.uint32(1 << 8 | 1 << 9)
"""Detectors 9 and 10, the coarse locator and the background monitor."""
_UNRECORDED_FROM, _UNRECORDED_UNTIL = 659_318_490, 668_863_556
"""On-board seconds, both included, of requests that lack them. Source: STIX flight software, SumDMask."""


def without_unrecorded(detector_mask: ArrayLike, scet_coarse: ArrayLike) -> NDArray[np.uint32]:
    """Detector masks of science requests without the two detectors that were not recorded for some months.

    From 2020-11-22 to 2021-03-12 detectors 9 and 10 were not recorded although the masks in the packets name them.

    Parameters
    ----------
    detector_mask : (n,), unsigned
        Bit i (the lowest first) stands for detector i + 1.
    scet_coarse : scalar or (n,), s
        On-board time stamp of the request.
    """
    mask, time = np.asarray(detector_mask, dtype=np.uint32), np.asarray(scet_coarse).astype(np.int64)
    without = (time >= _UNRECORDED_FROM) & (time <= _UNRECORDED_UNTIL)
    return np.asarray(np.where(without, mask & ~_UNRECORDED, mask), dtype=np.uint32)


def mask_bits(words: ArrayLike, n_bits: int) -> NDArray[np.uint8]:
    """Masks as rows of 0 and 1, the lowest bit first: the form of the FITS files.

    Parameters
    ----------
    words : (n,), unsigned
    n_bits
        Length of a row: 32 detectors, 12 pixels, 33 energy edges.

    Returns
    -------
    (n, n_bits)
    """
    shifts = np.arange(n_bits, dtype=np.uint64)
    bits = (np.asarray(words, dtype=np.uint64)[..., None] >> shifts) & np.uint64(1)
    return np.asarray(bits, dtype=np.uint8)


def mask_word(bits: ArrayLike) -> NDArray[np.uint64]:
    """Masks from rows of 0 and 1, the inverse of `mask_bits`.

    Parameters
    ----------
    bits : (n, n_bits)
        Anything but 0 counts as 1.

    Returns
    -------
    (n,)
    """
    rows = np.asarray(bits) != 0
    weights = np.uint64(1) << np.arange(rows.shape[-1], dtype=np.uint64)
    return np.asarray((rows * weights).sum(axis=-1, dtype=np.uint64))
