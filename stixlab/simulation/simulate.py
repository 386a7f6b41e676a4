"""Days of simulated telemetry in files, and what is true about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stixlab.ephemeris.clock import load_clock
from stixlab.errors import ParameterError
from stixlab.files import write_bytes
from stixlab.idb import Versions, load_versions
from stixlab.simulation.calibration import SUBSPECTRA, CalibrationRun
from stixlab.simulation.days import DEFAULT_WHAT, WHAT, Day, Instrument
from stixlab.simulation.instrument import BACKGROUND, IN_ABOVE
from stixlab.simulation.packets import BIN_S
from stixlab.simulation.planning import REQUEST_KINDS, Made, flare_location
from stixlab.simulation.sun import SolarFlare, band_counts, draw_flares, flare_light, make_flare
from stixlab.simulation.truth import Truth, TruthCalibration, TruthFlare, TruthRequest
from stixlab.telemetry.encode import write_binary, write_edds_xml
from stixlab.telemetry.frames import PacketBlock
from stixlab.timing import to_datetime64
from stixlab.timing.intervals import as_text
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable

__all__ = ["DEFAULT_REQUESTS", "KINDS", "WHAT", "Truth", "TruthFlare", "demonstration", "simulate"]

KINDS = ("xml", "bin")
DEFAULT_REQUESTS = ("pixel-data", "spectrogram")
"""What is asked for of each larger flare."""
_CLEAR = np.timedelta64(900, "s")
"""No flare is drawn nearer to the limits of the range: its background would not be seen."""
_DAY = np.timedelta64(1, "D")
Progress = Callable[[str, int, int], None]
"""Called with what is done, the days done and the days there are."""
FlareLike = SolarFlare | tuple[Any, float]
"""A flare, or the UTC of its peak and its size in 4-10 keV counts per 4 s over the background."""


def simulate(
    start: Any,
    end: Any,
    *,
    out: Path,
    seed: int = 0,
    flares: Sequence[FlareLike] | None = None,
    kinds: Sequence[str] = KINDS,
    what: Sequence[str] = DEFAULT_WHAT,
    requests: Sequence[str] = DEFAULT_REQUESTS,
    asked_above: float = 5000.0,
    truth: Path | None = None,
    versions: Versions | None = None,
    clock: ClockTable | None = None,
    progress: Progress | None = None,
) -> Truth:
    """Telemetry files for a range of time, one set a day.

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
        ``xml`` (EDDS) and ``bin``; with both, housekeeping goes to the second and all else to the first.
    what
        Of `WHAT`: ``quicklook`` (all types), ``housekeeping``, ``calibration`` (one run a day), ``science`` (data asked
        for of larger flares), and ``lightcurve`` where the other quicklook types are not wanted. Light curves and
        housekeeping are the same whatever else is made; but the packets of an APID are counted together.
    requests
        Of `stixlab.simulation.planning.REQUEST_KINDS`: made of each larger flare.
    asked_above
        Size of a flare from which data are asked for.
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
        If the range, a kind, what is asked for or a flare makes no sense.
    """
    first, last = _range(start, end)
    _check_names("kinds", kinds, KINDS)
    _check_names("what", what, WHAT)
    _check_names("requests", requests, REQUEST_KINDS, at_least=0)
    if seed < 0:
        raise ParameterError(f"seed: expected 0 or more; found {seed}")
    versions = load_versions() if versions is None else versions
    clock = load_clock() if clock is None else clock
    sun = _draw(first, last, seed) if flares is None else [_flare(f) for f in flares]
    run = Instrument(
        first, last, sun, seed, versions, clock, what, requests if "science" in what else (), asked_above
    )
    if not run.n_bins:
        raise ParameterError(f"end: expected at least {BIN_S} s after the start; found {as_text(last)}")
    made = _make(run, out, kinds, sun, progress)
    if truth is not None:
        write_bytes(truth, json.dumps(made.as_document(), indent=1).encode())
    return made


def _make(
    run: Instrument, out: Path, kinds: Sequence[str], sun: Sequence[SolarFlare], progress: Progress | None
) -> Truth:
    """All files of a run, and what is true about them."""
    out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    asked: list[TruthRequest] = []
    calibrated: list[TruthCalibration] = []
    n_packets, days = 0, run.days()
    for number, (n_bins_before, n_bins) in enumerate(days):
        day = run.make(n_bins_before, n_bins)
        begin = np.datetime_as_string(run.bin_start(np.array([n_bins_before]))[0], "s")
        stem = f"SIMULATED_solo_PktTmRaw_{begin.replace('-', '').replace(':', '')}_seed{run.seed}"
        files += _write(day, out / stem, kinds, run.clock)
        n_packets += len(day.telemetry) + len(day.reports)
        asked += [_asked(flare, m, run.clock) for flare, m in day.requests]
        calibrated += [_calibrated(c, n, run.clock) for c, n in day.calibrations]
        if progress is not None:
            progress("simulating", number + 1, len(days))
    return Truth(
        start=as_text(run.start),
        end=as_text(run.end),
        seed=run.seed,
        background=tuple(BACKGROUND.tolist()),
        flares=tuple(_truth(f) for f in sun if run.start <= f.peak < run.end),
        n_packets=n_packets,
        files=tuple(files),
        requests=tuple(asked),
        calibrations=tuple(calibrated),
    )


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


def _range(start: Any, end: Any) -> tuple[np.datetime64, np.datetime64]:
    first = to_datetime64(start)
    last = (
        first.astype("datetime64[D]").astype("datetime64[ns]") + _DAY if end is None else to_datetime64(end)
    )
    if last <= first:
        raise ParameterError(f"end: expected a time after the start {as_text(first)}; found {as_text(last)}")
    return first, last


def _check_names(name: str, given: Sequence[str], known: Iterable[str], *, at_least: int = 1) -> None:
    if len(given) < at_least or len(set(given)) < len(given) or set(given) - set(known):
        raise ParameterError(
            f"{name}: expected some of {', '.join(known)}, each once; found {', '.join(given) or 'none'}"
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


def _write(day: Day, stem: Path, kinds: Sequence[str], clock: ClockTable) -> list[Path]:
    """Files of a day: housekeeping in the last kind, all else in the first."""
    blocks = [day.telemetry, day.reports]
    if len(kinds) == 1:
        block = PacketBlock.concatenate(blocks)
        blocks = [block.select(np.argsort(block.scet_coarse, kind="stable"))]
    written = []
    for kind, block in zip(kinds, blocks, strict=True):
        if not len(block):
            continue
        path = stem.with_name(f"{stem.name}.{kind}")
        if kind == "xml":
            write_edds_xml(block, path, clock.to_utc(block.scet_coarse, block.scet_fine))
        else:
            write_binary(block, path)
        written.append(path)
    return written


def _utc(scet: float, clock: ClockTable) -> str:
    return str(np.datetime_as_string(clock.to_utc(0, round(scet * FINE_PER_SECOND)), "ms"))


def _asked(flare: SolarFlare, made: Made, clock: ClockTable) -> TruthRequest:
    return TruthRequest(
        kind=made.kind,
        ssid=made.ssid,
        request_id=made.request_id,
        tc_sequence=made.tc_sequence,
        flare_peak=str(np.datetime_as_string(flare.peak, "ms")),
        start=_utc(made.start_scet, clock),
        end=_utc(made.end_scet, clock),
        n_bins=made.n_bins,
        n_packets=len(made.packets),
        n_bytes=int(made.packets.lengths.sum()),
        total_counts=made.total_counts,
        counts_by_channel=made.counts_by_channel,
    )


def _calibrated(run: CalibrationRun, n_packets: int, clock: ClockTable) -> TruthCalibration:
    return TruthCalibration(
        start=_utc(run.start_s, clock),
        duration_s=run.duration_s,
        n_packets=n_packets,
        total_counts=sum(int(run.part(i).sum()) for i in range(len(SUBSPECTRA))),
        mean_gain=float(run.gain.mean()),
        mean_offset=float(run.offset.mean()),
    )


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
        location_arcmin=flare_location(flare),
    )
