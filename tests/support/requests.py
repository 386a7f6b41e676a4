"""Science requests from given counts, as the ground has them: made into packets, decoded, assembled, as datasets."""

from __future__ import annotations

import numpy as np

from stixlab.datasets.report import BuildReport
from stixlab.datasets.science import build_request
from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.products.science import make_science_level1
from stixlab.simulation.requests import SINGLE_PIXELS, PixelCounts, Request, Spectrogram
from stixlab.simulation.sequences import Departure
from stixlab.telemetry.assembly import assemble
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import REENCODED_DESTINATION, PacketBlock, Status

OLD, NEW = 660_000_000, 700_000_000
"""On-board seconds of November 2020 and March 2022, before and since the flight software of 2021."""
VERSIONS, CLOCK = load_versions(), load_clock(None)


def asked(time_stamp: int = NEW, **other) -> Request:
    return Request(2203011234, 0xC123, time_stamp, **other)


def leaving(time_stamp: int = NEW, **other) -> Departure:
    return Departure(time_stamp + 9000, 0, 2.0, **other)


def pixels(
    n_times=4, n_energies=6, *, sets=SINGLE_PIXELS, mask=0xFFFFFFFF, seed=0, mean=3.0, **other
) -> PixelCounts:
    """Counts that the usual scheme holds exactly; detectors that are not in the mask have none."""
    rng = np.random.default_rng(seed)
    counts = np.minimum(rng.poisson(mean, (n_times, 32, len(sets), n_energies)), 31)
    counts *= (mask >> np.arange(32) & 1)[:, None, None]
    given = {
        "start_tenths": 11 + 40 * np.arange(n_times),
        "duration_tenths": np.full(n_times, 40),
        "counts": counts,
        "triggers": rng.integers(0, 31, (n_times, 16)),
        "pixel_sets": sets,
        "detector_mask": mask,
        "energy_low": tuple(range(3, 3 + n_energies)),
        "energy_high": tuple(range(3, 3 + n_energies)),
    }
    return PixelCounts(**given | other)


def spectrogram(n_times=50, n_energies=20, *, seed=0, **other) -> Spectrogram:
    rng = np.random.default_rng(seed)
    duration = rng.integers(5, 200, n_times)
    given = {
        "start_tenths": 11 + np.cumsum(duration) - duration,
        "duration_tenths": duration,
        "counts": rng.integers(0, 31, (n_times, n_energies)),
        "triggers": rng.integers(0, 31, n_times),
        "lowest_channel": 1,
    }
    return Spectrogram(**given | other)


def columns_of(block: PacketBlock):
    columns, statuses = decode(block, int(block.spid[0]), VERSIONS)
    assert (statuses == Status.OK).all()
    return columns


def level0(block: PacketBlock, report: BuildReport | None = None):
    (one,) = assemble(columns_of(block))
    return build_request(one, CLOCK, BuildReport() if report is None else report)


def level1(block: PacketBlock, **other):
    """The datasets of level 1, of which there should be one."""
    (ds,) = make_science_level1(level0(block), VERSIONS, CLOCK, **other)
    return ds


def reencoded(block: PacketBlock) -> PacketBlock:
    """The same packets with the mark of re-encoded ones."""
    data = block.data.copy()
    data[block.offsets[:-1] + 9] = REENCODED_DESTINATION
    from dataclasses import replace

    return replace(block, data=data)
