"""What triggers are scaled by on board where they are not compressed: integration time and trigger groups."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import CompressionError
from stixlab.instrument.detectors import TRIGGER_GROUPS, active_trigger_groups
from stixlab.telemetry.columns import Columns
from stixlab.telemetry.data_times import start_offsets

__all__ = ["Scale", "scale_of"]


class Scale(Enum):
    """How a trigger parameter is scaled."""

    NONE = "not at all"
    SUMMED = "one sum over the groups in use for each bin of the packet"
    ONE_DETECTOR = "one detector, one group"
    ONE_GROUP = "a parameter for each group, in structures with their own time and mask"
    SAMPLES = "one sum for each sample, whose length the times around it tell"


def scale_of(
    columns: Columns, name: str, scale: Scale, group: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Integration time (0.1 s) and number of trigger groups for each code.

    Parameters
    ----------
    columns
    name
        The trigger parameter.
    scale
    group
        Number of its trigger group, from 0; for `Scale.ONE_GROUP`.

    Returns
    -------
    tenths, n_groups : (n_codes,)

    Raises
    ------
    CompressionError
        If a parameter that is needed for it is not in the structure.
    """
    needed = {
        Scale.SUMMED: ("NIX00405", "NIX00407"),
        Scale.ONE_DETECTOR: ("NIX00405",),
        Scale.ONE_GROUP: ("NIX00405", "NIX00407"),
        Scale.SAMPLES: ("NIX00089", "NIX00407", "NIX00269"),
    }.get(scale, ())
    missing = [n for n in needed if n not in columns]
    if missing or not needed:
        raise CompressionError(
            f"structure {columns.spid}: {name} is scaled, (0, 0, 7); expected {', '.join(needed) or 'compression'} "
            f"to undo that; found none of {', '.join(missing) or 'them'}"
        )
    if scale is Scale.SAMPLES:
        return _samples(columns)
    if scale is Scale.ONE_GROUP:
        word = sum(1 << (detector - 1) for detector in TRIGGER_GROUPS[group])
        return columns["NIX00405"].astype(np.int64), (columns["NIX00407"] & word != 0).astype(np.int64)
    counts = columns.counts(name)
    tenths = columns.single("NIX00405").astype(np.int64) + 1
    if scale is Scale.ONE_DETECTOR:
        n_groups = np.ones(len(columns), dtype=np.int64)
    else:
        n_groups = active_trigger_groups(columns.single("NIX00407")).astype(np.int64)
    return np.repeat(tenths, counts), np.repeat(n_groups, counts)


def _samples(columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For spectrograms: each structure has samples with their time offset, and the length of the last one.

    With that length the times are those of the starts. Without it they are those of the ends: so it
    is in the packets of 2020 and 2021, whose triggers follow the time since the sample before.
    """
    n_samples = columns["NIX00089"].astype(np.int64)
    offset, _ = start_offsets(columns)
    length_of_last = columns["NIX00269"].astype(np.int64)
    structure = np.repeat(np.arange(len(n_samples)), n_samples)
    ends = np.cumsum(n_samples)
    last = np.zeros(len(offset), dtype=bool)
    last[ends[n_samples > 0] - 1] = True
    following = np.append(offset[1:], 0)[: len(offset)]
    closed = length_of_last[structure]
    end = np.where(last, offset + closed, following)
    # the first structure of a packet begins with the measurement, the others where the one before ended
    packet = np.repeat(np.arange(len(columns)), columns.counts("NIX00089"))
    first_of_packet = np.zeros(len(n_samples), dtype=bool)
    first_of_packet[np.flatnonzero(np.diff(packet, prepend=-1))] = True
    begins = np.zeros(len(offset), dtype=bool)
    begins[(ends - n_samples)[(n_samples > 0) & first_of_packet]] = True
    before = np.where(begins, 0, np.append(0, offset[:-1])[: len(offset)])
    tenths = np.where(closed > 0, end - offset, offset - before)
    n_groups = active_trigger_groups(columns["NIX00407"]).astype(np.int64)
    return np.maximum(tenths, 0), n_groups[structure]
