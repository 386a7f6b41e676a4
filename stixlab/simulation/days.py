"""One unbroken run of the simulated instrument, and the packets of each of its days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Versions
from stixlab.simulation.calibration import CalibrationRun, calibration_packets, simulate_calibration
from stixlab.simulation.housekeeping import MAXI_SPID, MINI_SPID
from stixlab.simulation.instrument import Expectation, count, expect
from stixlab.simulation.packets import (
    BIN_S,
    BINS_PER_PACKET,
    MAXI_S,
    MINI_OFFSET_S,
    MINI_S,
    housekeeping_packets,
    light_curve_packets,
)
from stixlab.simulation.planning import Made, Occasion, flare_location, make_request, request_window
from stixlab.simulation.quicklook import (
    ListedFlare,
    background_packets,
    flare_flag_packets,
    flare_list_packets,
    spectra_packets,
    variance_packets,
)
from stixlab.simulation.sequences import N_COUNTS, Departure, merge_in_time
from stixlab.simulation.sun import SolarFlare, flare_light
from stixlab.telemetry.encode import SIMULATED_DESTINATION
from stixlab.telemetry.frames import PacketBlock
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable

__all__ = ["DEFAULT_WHAT", "WHAT", "Day", "Instrument"]

WHAT = ("lightcurve", "quicklook", "housekeeping", "calibration", "science")
"""What can be simulated; quicklook includes the light curve."""
DEFAULT_WHAT = WHAT[1:]
QUICKLOOK_APID, SCIENCE_APID = 1500, 1468
_PACKETS_LAST_S = {QUICKLOOK_APID: 400, SCIENCE_APID: 300}
"""On-board seconds that a packet of an APID stands for in the count that a range begins with."""
_SHORTEST_CALIBRATION_S = 3600
_ASK_AFTER_S = 600
"""From the end of the data asked for to the first packet."""
_SPACING_S = 2.0
_LONGEST_REQUEST_BINS = 1500
"""What fits into times of 0.1 s in 16 bits, as on board until 2021."""
_LISTED = (3.0, 5.0)
"""Times of rise and of decay around a maximum that the instrument's own list takes as the flare."""


@dataclass(frozen=True)
class Day:
    """What the instrument sends of the bins of one day."""

    telemetry: PacketBlock
    """Quicklook, calibration and science, in the order of time."""
    reports: PacketBlock
    """Housekeeping."""
    requests: tuple[tuple[SolarFlare, Made], ...]
    calibrations: tuple[tuple[CalibrationRun, int], ...]
    """Runs, and their packets."""


@dataclass(frozen=True)
class Instrument:
    """One unbroken run; bins count from the start of the range."""

    start: np.datetime64
    end: np.datetime64
    flares: Sequence[SolarFlare]
    seed: int
    versions: Versions
    clock: ClockTable
    what: Sequence[str] = DEFAULT_WHAT
    kinds: Sequence[str] = ()
    """Kinds of request made of each larger flare."""
    asked_above: float = 5000.0
    """Size of a flare from which data are asked for."""
    _counts: dict[int, int] = field(default_factory=dict)
    """Of each APID: the count of its next packet."""

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

    def make(self, n_before: int, n_bins: int) -> Day:
        """Packets of a file; the files of a run are made one after the other, so that counters go on."""
        origin, fine = self.origin
        coarse = origin + n_before * BIN_S
        rng = np.random.default_rng([self.seed, coarse])
        time = self.bin_start(n_before + np.arange(n_bins))
        expected = expect(
            time + np.timedelta64(BIN_S * 500, "ms"),
            flare_light(time + np.timedelta64(BIN_S * 500, "ms"), self.flares),
        )
        seen = count(expected, rng)
        streams, calibrations, requests = [], [], []
        if {"lightcurve", "quicklook"} & set(self.what):
            number = coarse // (BINS_PER_PACKET * BIN_S)
            streams.append(light_curve_packets(seen, coarse, fine, number, self.versions))
        flares = [
            f
            for f in self.flares
            if (time[0] if n_before else self.start) <= f.peak < time[-1] + np.timedelta64(BIN_S, "s")
        ]
        if "quicklook" in self.what:
            streams += self._quicklook(expected, coarse, fine, flares)
        if "calibration" in self.what and n_bins * BIN_S >= _SHORTEST_CALIBRATION_S:
            run = simulate_calibration(coarse, n_bins * BIN_S - 60, self.seed)
            leave = Departure(coarse + n_bins * BIN_S, 52_788, 0.5, SIMULATED_DESTINATION)
            streams.append(calibration_packets(run, leave, self.versions))
            calibrations.append((run, len(streams[-1])))
        if "science" in self.what:
            for flare in flares:
                requests += [(flare, m) for m in self._requests(flare, time, expected, coarse, fine)]
            streams += [made.packets for _, made in requests]
        reports = (
            self._housekeeping(seen.rate_control_state, coarse, n_bins, rng)
            if "housekeeping" in self.what
            else PacketBlock.empty()
        )
        telemetry = merge_in_time(streams, self._next_counts(coarse))
        return Day(telemetry, reports, tuple(requests), tuple(calibrations))

    def _next_counts(self, coarse: int) -> dict[int, int]:
        """Counters, which go on from day to day; a light curve alone keeps counts of its own."""
        if not self._counts:
            alone = not {"quicklook", "calibration"} & set(self.what) and "aspect" not in self.kinds
            for apid, last_s in _PACKETS_LAST_S.items():
                if not (alone and apid == QUICKLOOK_APID):
                    self._counts[apid] = coarse // last_s % N_COUNTS
        return self._counts

    def _quicklook(
        self, expected: Expectation, coarse: int, fine: int, flares: Sequence[SolarFlare]
    ) -> list[PacketBlock]:
        """All but the light curve; where the flight software changes, a sequence ends and a new one begins."""
        listed = [self._listed(f) for f in flares]
        n, streams = len(expected.flare), []
        starts = np.array([era.start_scet for era in self.versions.eras])
        inside = starts[(starts > coarse) & (starts < coarse + n * BIN_S)]
        # two bins are lost at each change: what is sent after it must have been taken after it
        cuts = [
            ((s - coarse) // (2 * BIN_S) * 2 - 2, (s - coarse) // (2 * BIN_S) * 2 + 2)
            for s in inside.tolist()
        ]
        limits = [0, *(x for cut in cuts for x in cut), n]
        for a, b in zip(limits[::2], limits[1::2], strict=True):
            part, begin = expected.select(slice(max(a, 0), max(b, 0))), coarse + max(a, 0) * BIN_S
            if b - max(a, 0) < 2:
                continue
            for i, make in enumerate((variance_packets, background_packets, spectra_packets)):
                rng = np.random.default_rng([self.seed, begin, i])
                streams.append(make(part, begin, fine, self.versions, rng))
            streams.append(flare_flag_packets(part, begin, fine, self.versions, listed))
        end_s = coarse + n * BIN_S
        streams.append(
            flare_list_packets(listed, end_s, fine, self.versions, volume_bytes=200_000 * len(listed))
        )
        return streams

    def _listed(self, flare: SolarFlare) -> ListedFlare:
        before, after = (
            np.timedelta64(round(k * s * 1e9), "ns")
            for k, s in zip(_LISTED, (flare.rise_s, flare.decay_s), strict=True)
        )
        coarse, _ = self.clock.to_scet(np.array([flare.peak - before, flare.peak + after]))
        y, z = flare_location(flare)
        return ListedFlare(int(coarse[0]), int(coarse[1]), flare.size, y, z)

    def _requests(
        self, flare: SolarFlare, time: NDArray[np.datetime64], expected: Expectation, coarse: int, fine: int
    ) -> list[Made]:
        """Requests of a flare: all begin to arrive at the same time, so that their packets alternate."""
        if flare.size < self.asked_above:
            return []
        windows = []
        for kind in self.kinds:
            a, b = (int(x) for x in np.searchsorted(time, request_window(flare, kind)))
            a = min(a, len(time) - 1)
            windows.append((a, min(max(b, a + 1), a + _LONGEST_REQUEST_BINS)))
        last = max((b for _, b in windows), default=0)
        leave_s = coarse + last * BIN_S + _ASK_AFTER_S
        made = []
        for kind, (a, b) in zip(self.kinds, windows, strict=True):
            occasion = Occasion(flare, expected.select(slice(a, b)), coarse + a * BIN_S, fine)
            made.append(make_request(occasion, kind, leave_s, self.versions, spacing_s=_SPACING_S))
            sent = made[-1].packets.scet_coarse[[0, -1]]
            if self.versions.eras_at(sent)[0] != self.versions.eras_at(sent)[1]:
                made[-1] = make_request(occasion, kind, int(sent[1]) + 1, self.versions, spacing_s=_SPACING_S)
        return made

    def _housekeeping(
        self, state: NDArray[np.uint8], coarse: int, n_bins: int, rng: np.random.Generator
    ) -> PacketBlock:
        parts = []
        for spid, step, offset in ((MAXI_SPID, MAXI_S, 0), (MINI_SPID, MINI_S, MINI_OFFSET_S)):
            scet = np.arange(coarse + (offset - coarse) % step, coarse + n_bins * BIN_S, step)
            inside = state[np.minimum((scet - coarse) // BIN_S, n_bins - 1)] > 0
            parts.append(
                housekeeping_packets(spid, scet, inside, versions=self.versions, clock=self.clock, rng=rng)
            )
        reports = PacketBlock.concatenate(parts)
        return reports.select(np.argsort(reports.scet_coarse, kind="stable"))
