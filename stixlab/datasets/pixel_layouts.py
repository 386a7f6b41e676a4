"""How the counts of an energy are laid out in packets of pixel data: by detector of the mask, then by pixel set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stixlab.datasets.cells import Cells
from stixlab.instrument.detectors import N_DETECTORS, N_PIXELS, mask_bits, without_unrecorded
from stixlab.telemetry.assembly import Assembled

__all__ = ["PixelLayouts", "layouts_of"]


@dataclass(frozen=True, eq=False)
class PixelLayouts:
    """The layouts that occur in a request; mostly there is one."""

    index: NDArray[np.int64]
    """(n_structures,) layout of each structure."""
    detector_mask: NDArray[np.int64]
    """(n,) detectors of which counts were sent."""
    sets: NDArray[np.int64]
    """(n, most sets) mask of each pixel set, in the order sent; 0 behind the last."""
    axis: NDArray[np.int64]
    """(pixel,) mask of each pixel set that occurs: single pixels ascending, sums in the order of appearance."""

    @property
    def n_codes(self) -> NDArray[np.int64]:
        """(n,) counts of an energy."""
        n_detectors = mask_bits(self.detector_mask, N_DETECTORS).sum(axis=1, dtype=np.int64)
        return np.asarray(n_detectors * (self.sets > 0).sum(axis=1))

    @property
    def pixel(self) -> NDArray[np.uint8]:
        """(pixel,) numbers of the pixels; of sums of pixels the numbers of the sets."""
        bits = mask_bits(self.axis, N_PIXELS)
        single = (bits.sum(axis=1) == 1).all()
        return (bits.argmax(axis=1) if single else np.arange(len(self.axis))).astype(np.uint8)

    @property
    def sets_on_axis(self) -> NDArray[np.uint16]:
        """(n, pixel) mask of each pixel set of the axis, 0 where the layout does not have it."""
        there = (self.sets[:, :, None] == self.axis).any(axis=1)
        return np.where(there, self.axis, 0).astype(np.uint16)

    def places(self, number: int) -> NDArray[np.int64]:
        """Where the counts of an energy of a layout stand among all detectors and the pixel axis, in the order sent."""
        detectors = np.flatnonzero(mask_bits(self.detector_mask[number], N_DETECTORS))
        sets = self.sets[number][self.sets[number] > 0]
        pixels = (sets[:, None] == self.axis).argmax(axis=1)
        return np.asarray((detectors[:, None] * len(self.axis) + pixels).ravel())


def layouts_of(
    assembled: Assembled,
    n_sets: NDArray[np.integer],
    cells: Cells,
    n_codes: NDArray[np.int64],
) -> PixelLayouts:
    """Layouts of the structures of a request.

    Parameters
    ----------
    assembled
    n_sets : (n_structures,)
        Pixel sets of each.
    cells, n_codes : (n_cells,)
        Counts that each energy has. Where the mask names detectors that were not recorded, the number tells whether
        they were sent.
    """
    columns = assembled.columns
    n = n_sets.astype(np.int64)
    words = columns["NIXD0407"].astype(np.int64)
    sets = np.zeros((len(n), int(n.max(initial=1))), dtype=np.int64)
    structure = np.repeat(np.arange(len(n)), n)
    sets[structure, np.arange(len(words)) - np.repeat(np.cumsum(n) - n, n)] = words
    mask = columns["NIX00407"].astype(np.int64)
    if len(n_codes):
        less = without_unrecorded(mask, assembled.time_stamp >> 16).astype(np.int64)
        fewer = mask_bits(less, N_DETECTORS).sum(axis=1) * n
        sent = np.full(len(n), -1)
        sent[cells.structure[::-1]] = n_codes[::-1]
        mask = np.where(sent == fewer, less, mask)
    layouts, index = np.unique(np.column_stack([mask, sets]), axis=0, return_inverse=True)
    return PixelLayouts(index.ravel(), layouts[:, 0], layouts[:, 1:], _axis(sets))


def _axis(sets: NDArray[np.int64]) -> NDArray[np.int64]:
    """(pixel,) every pixel set that occurs."""
    words = sets[sets > 0]
    found, first = np.unique(words, return_index=True)
    single = mask_bits(found, N_PIXELS).sum(axis=1) == 1
    return found if single.all() else found[np.argsort(first)]
