"""Days of simulated telemetry in files, and what is true about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris.clock import load_clock
from stixlab.errors import ParameterError
from stixlab.files import write_bytes
from stixlab.idb import Versions, load_versions
from stixlab.simulation.housekeeping import MAXI_SPID, MINI_SPID
from stixlab.simulation.instrument import BACKGROUND, IN_ABOVE, Observation, observe
from stixlab.simulation.packets import (
    BIN_S,
    BINS_PER_PACKET,
    MAXI_S,
    MINI_OFFSET_S,
    MINI_S,
    housekeeping_packets,
    light_curve_packets,
)
from stixlab.simulation.sun import SolarFlare, band_counts, draw_flares, flare_light, make_flare
from stixlab.telemetry.encode import write_binary, write_edds_xml
from stixlab.telemetry.frames import PacketBlock
from stixlab.timing import to_datetime64
from stixlab.timing.intervals import as_text
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable

__all__ = ["KINDS", "Truth", "TruthFlare", "demonstration", "simulate"]

KINDS = ("xml", "bin")
_CLEAR = np.timedelta64(900, "s")
"""No flare is drawn nearer to the limits of the range: its background would not be seen."""
_DAY = np.timedelta64(1, "D")
Progress = Callable[[str, int, int], None]
"""Called with what is done, the days done and the days there are."""
FlareLike = SolarFlare | tuple[Any, float]
"""A flare, or the UTC of its peak and its size in 4-10 keV counts per 4 s over the background."""


@dataclass(frozen=True)
class TruthFlare:
    """What is true about one flare."""

    peak: str
    """UTC at the spacecraft, maximum in 4-10 keV."""
    size: float
    """4-10 keV counts in 4 s at the maximum over the background, attenuator out."""
    significance: float
    """`size` in standard deviations of the background's counts in 4 s."""
    counts_by_band: tuple[float, ...]
    """Largest expected counts in 4 s of each band over the background, attenuator out."""
    signal_counts: float
    """Expected 4-10 keV counts of the whole flare over the background, attenuator out."""
    rise_s: float
    decay_s: float
    attenuator: bool
    """Whether the attenuator was in at the maximum."""


@dataclass(frozen=True)
class Truth:
    """What was simulated, and where it was written."""

    start: str
    end: str
    seed: int
    background: tuple[float, ...]
    """Expected quiet counts in 4 s of each band."""
    flares: tuple[TruthFlare, ...]
    n_packets: int
    files: tuple[Path, ...]

    def as_document(self) -> dict[str, Any]:
        """Plain types; files by name."""
        return asdict(self) | {"origin": "simulated", "files": [p.name for p in self.files]}


def simulate(
    start: Any,
    end: Any,
    *,
    out: Path,
    seed: int = 0,
    flares: Sequence[FlareLike] | None = None,
    kinds: Sequence[str] = KINDS,
    truth: Path | None = None,
    versions: Versions | None = None,
    clock: ClockTable | None = None,
    progress: Progress | None = None,
) -> Truth:
    """Telemetry files of light curves and housekeeping for a range of time, one set a day.

    Parameters
    ----------
    start, end
        UTC, as text, `datetime` or numpy.
    out
        Folder, made when missing. Files are named ``SIMULATED_...``.
    seed
        The same seed gives the same files.
    flares
        None: drawn at random, those of a day from the seed and the day alone.
    kinds
        ``xml`` (EDDS) and ``bin``; with both, light curves go to the first and housekeeping to the second.
    truth
        File for the truth as JSON; none: not written.
    versions, clock
        None for those shipped.
    progress
        Called with what is done, the days done and the days there are.

    Returns
    -------
    Truth
        Only of flares whose peak lies within the range.

    Raises
    ------
    ParameterError
        If the range, a kind or a flare makes no sense.
    """
    first, last = _range(start, end)
    _check_kinds(kinds)
    if seed < 0:
        raise ParameterError(f"seed: expected 0 or more; found {seed}")
    versions = load_versions() if versions is None else versions
    clock = load_clock() if clock is None else clock
    sun = _draw(first, last, seed) if flares is None else [_flare(f) for f in flares]
    maker = _Maker(first, last, sun, seed, versions, clock)
    if not maker.n_bins:
        raise ParameterError(f"end: expected at least {BIN_S} s after the start; found {as_text(last)}")
    out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    n_packets = 0
    days = maker.days()
    for number, (n_bins_before, n_bins) in enumerate(days):
        blocks = maker.make(n_bins_before, n_bins)
        day = maker.bin_start(np.array([n_bins_before]))[0]
        stem = f"SIMULATED_solo_PktTmRaw_{np.datetime_as_string(day, 's').replace('-', '').replace(':', '')}_seed{seed}"
        files += _write(blocks, out / stem, kinds, clock)
        n_packets += sum(len(b) for b in blocks)
        if progress is not None:
            progress("simulating", number + 1, len(days))
    inside = tuple(_truth(f) for f in sun if first <= f.peak < last)
    done = Truth(
        as_text(first), as_text(last), seed, tuple(BACKGROUND.tolist()), inside, n_packets, tuple(files)
    )
    if truth is not None:
        write_bytes(truth, json.dumps(done.as_document(), indent=1).encode())
    return done


def demonstration(day: Any, *, out: Path, kinds: Sequence[str] = KINDS, **others: Any) -> Truth:
    """A day with seven flares from small to very large, for showing what the platform does.

    Parameters
    ----------
    day
        UTC.
    out, kinds, **others
        As for `simulate`.
    """
    start, _ = _range(day, None)
    plan = ((85, 90, 1.0), (211, 900, 1.0), (372, 6_500, 0.9), (555, 260, 1.2), (742, 48_000, 1.1),
            (1005, 2_400, 0.8), (1190, 230_000, 1.3))  # fmt: skip
    flares = [make_flare(start + np.timedelta64(minute, "m"), size, stretch=f) for minute, size, f in plan]
    return simulate(start, start + _DAY, out=out, kinds=kinds, flares=flares, **others)


@dataclass(frozen=True)
class _Maker:
    """One unbroken run of the instrument; bins count from the start of the range."""

    start: np.datetime64
    end: np.datetime64
    flares: Sequence[SolarFlare]
    seed: int
    versions: Versions
    clock: ClockTable

    @property
    def n_bins(self) -> int:
        """Whole bins within the range."""
        return int((self.end - self.start) / np.timedelta64(BIN_S, "s"))

    @cached_property
    def origin(self) -> tuple[int, int]:
        """On-board time of the start of the first bin: the first tick that is not before the range."""
        coarse, fine = self.clock.to_scet(np.array([self.start]))
        ticks = int(coarse[0]) * FINE_PER_SECOND + int(fine[0])
        while self.clock.to_utc(*divmod(ticks, FINE_PER_SECOND)) < self.start:
            ticks += 1
        return divmod(ticks, FINE_PER_SECOND)

    def bin_start(self, index: NDArray[np.int64]) -> NDArray[np.datetime64]:
        """UTC of the start of bins."""
        coarse, fine = self.origin
        return self.clock.to_utc(coarse + index * BIN_S, np.full(len(index), fine))

    def days(self) -> list[tuple[int, int]]:
        """First bin and number of bins of each file: the packets that begin on one UTC day."""
        firsts = np.arange(0, self.n_bins, BINS_PER_PACKET)
        day = self.bin_start(firsts).astype("datetime64[D]")
        cuts = [0, *(np.flatnonzero(day[1:] != day[:-1]) + 1).tolist()]
        limits = [*firsts[cuts].tolist(), self.n_bins]
        return [(a, b - a) for a, b in pairwise(limits)]

    def make(self, n_before: int, n_bins: int) -> tuple[PacketBlock, PacketBlock]:
        """Light-curve and housekeeping packets of a file."""
        origin, fine = self.origin
        coarse = origin + n_before * BIN_S
        rng = np.random.default_rng([self.seed, coarse])
        seen = self.observation(n_before, n_bins, rng)
        quicklook = light_curve_packets(
            seen, coarse, fine, coarse // (BINS_PER_PACKET * BIN_S), self.versions
        )
        parts = []
        for spid, step, offset in ((MAXI_SPID, MAXI_S, 0), (MINI_SPID, MINI_S, MINI_OFFSET_S)):
            scet = np.arange(-(-coarse // step) * step + offset, coarse + n_bins * BIN_S, step)
            inside = seen.rate_control_state[np.minimum((scet - coarse) // BIN_S, n_bins - 1)] > 0
            parts.append(
                housekeeping_packets(spid, scet, inside, versions=self.versions, clock=self.clock, rng=rng)
            )
        reports = PacketBlock.concatenate(parts)
        order = np.argsort(reports.scet_coarse, kind="stable")
        return quicklook, reports.select(order)

    def observation(self, n_before: int, n_bins: int, rng: np.random.Generator) -> Observation:
        """What is counted in some bins."""
        time = self.bin_start(n_before + np.arange(n_bins)) + np.timedelta64(BIN_S * 500, "ms")
        return observe(time, flare_light(time, self.flares), rng)


def _range(start: Any, end: Any) -> tuple[np.datetime64, np.datetime64]:
    first = to_datetime64(start)
    last = (
        first.astype("datetime64[D]").astype("datetime64[ns]") + _DAY if end is None else to_datetime64(end)
    )
    if last <= first:
        raise ParameterError(f"end: expected a time after the start {as_text(first)}; found {as_text(last)}")
    return first, last


def _check_kinds(kinds: Sequence[str]) -> None:
    if not kinds or len(set(kinds)) < len(kinds) or set(kinds) - set(KINDS):
        raise ParameterError(
            f"kinds: expected one or both of {', '.join(KINDS)}; found {', '.join(kinds) or 'none'}"
        )


def _flare(given: FlareLike) -> SolarFlare:
    flare = given if isinstance(given, SolarFlare) else make_flare(to_datetime64(given[0]), float(given[1]))
    if not (flare.size > 0 and flare.rise_s > 0 and flare.decay_s > 0):
        raise ParameterError(f"flare: expected size and times above zero; found {flare}")
    return flare


def _draw(start: np.datetime64, end: np.datetime64, seed: int) -> list[SolarFlare]:
    """Flares of the days of the range, also those whose light reaches into it."""
    flares: list[SolarFlare] = []
    day = start.astype("datetime64[D]")
    while day < end:
        rng = np.random.default_rng([seed, int(day.astype(np.int64)), 1])
        midnight = day.astype("datetime64[ns]")
        flares += draw_flares(midnight + _CLEAR, midnight + _DAY - _CLEAR, rng)
        day += 1
    return [f for f in flares if start + _CLEAR <= f.peak < end - _CLEAR]


def _write(
    blocks: tuple[PacketBlock, PacketBlock], stem: Path, kinds: Sequence[str], clock: ClockTable
) -> list[Path]:
    """Files of a day: light curves in the first kind, housekeeping in the last."""
    if len(kinds) == 1:
        block = PacketBlock.concatenate(list(blocks))
        blocks = (block.select(np.argsort(block.scet_coarse, kind="stable")),) * 2
    written = []
    for kind, block in zip(kinds, blocks, strict=False):
        path = stem.with_name(f"{stem.name}.{kind}")
        if kind == "xml":
            write_edds_xml(block, path, clock.to_utc(block.scet_coarse, block.scet_fine))
        else:
            write_binary(block, path)
        written.append(path)
    return written


def _truth(flare: SolarFlare) -> TruthFlare:
    around = np.arange(-15 * flare.rise_s, 15 * flare.decay_s, BIN_S)
    time = flare.peak + np.round(around * 1e9).astype("timedelta64[ns]")
    return TruthFlare(
        peak=str(np.datetime_as_string(flare.peak, "ms")),
        size=flare.size,
        significance=flare.size / float(np.sqrt(BACKGROUND[0])),
        counts_by_band=tuple(band_counts(flare.size).tolist()),
        signal_counts=float(flare_light(time, [flare])[:, 0].sum()),
        rise_s=float(flare.rise_s),
        decay_s=float(flare.decay_s),
        attenuator=flare.size > IN_ABOVE,
    )
