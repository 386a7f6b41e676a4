"""Quicklook packets beside the light curve: background, spectra, variance, flare flag, flare list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stixlab.idb import Versions
from stixlab.instrument.detectors import N_DETECTORS
from stixlab.simulation.channels import LOCATOR, MONITOR, N_IMAGING, channel_counts
from stixlab.simulation.instrument import Expectation
from stixlab.simulation.packets import BIN_S, ENERGY_EDGES, QUICKLOOK_DETECTORS, SCHEME, SEND_S
from stixlab.simulation.requests import ALL_PIXELS
from stixlab.simulation.sequences import fill_packets, group_bytes, sequence_flags
from stixlab.telemetry.compression import compress
from stixlab.telemetry.encode import SIMULATED_DESTINATION, encode
from stixlab.telemetry.frames import PacketBlock
from stixlab.timing.scet import FINE_PER_SECOND

__all__ = [
    "ListedFlare",
    "background_packets",
    "flare_flag_packets",
    "flare_list_packets",
    "send_quicklook",
    "spectra_packets",
    "variance_packets",
]

BACKGROUND_SPID, SPECTRA_SPID, VARIANCE_SPID, FLAG_SPID, LIST_SPID = 54119, 54120, 54121, 54122, 54144
_BACKGROUND_S, _SPECTRA_S, _SPECTRA_CYCLE = 8, 32, 32
"""Seconds of a bin of the background, of a spectrum, and how many of the latter lie between two of a detector."""
_MONITOR_QUIET = np.array([5.0, 53.0, 61.0, 123.0, 16.0])
"""(energy,) counts of the background monitor in 8 s: a real value of 2020-05-06."""
_MONITOR_FLARE = 0.002
"""Counts of a flare in the background monitor, relative to those of the light curve."""
_MONITOR_TRIGGERS, _DETECTOR_TRIGGERS = 500.0, 2100.0
"""Triggers of the monitor's group in 8 s, and of one detector in 32 s, without a flare."""
_VARIANCE_SAMPLES = 40
_VARIANCE_CHANNELS = slice(17, 31)
_THERMAL = (60.0, 1_000.0, 10_000.0, 100_000.0)
"""4-10 keV counts in 4 s from which a flare is minor, small, moderate, major."""
_NON_THERMAL = (60.0, 600.0)
"""15-25 keV counts in 4 s from which there is a weak, a significant flux of electrons."""
_DELAYS_S = {VARIANCE_SPID: -0.06, BACKGROUND_SPID: 0.03, FLAG_SPID: 0.06, SPECTRA_SPID: 0.09}
"""When packets leave, against those of the light curve of the same end: the order seen on board."""


def send_quicklook(
    spid: int, columns: dict[str, Any], end_s: NDArray[np.int64], fine: int, versions: Versions
) -> PacketBlock:
    """Packets of one quicklook type: one sequence, each sent after its last bin.

    Parameters
    ----------
    spid, columns
        As for `stixlab.telemetry.encode.encode`.
    end_s : (n,)
        On-board second at which the last bin of each packet ends.
    fine
        1/65536 s of all times of bins.
    versions
    """
    delay = round((SEND_S + _DELAYS_S.get(spid, 0.0)) * FINE_PER_SECOND)
    send = end_s * FINE_PER_SECOND + fine + delay
    return encode(
        spid,
        columns,
        scet_coarse=send // FINE_PER_SECOND,
        scet_fine=send % FINE_PER_SECOND,
        sequence_count=np.arange(len(end_s)),
        sequence_flag=sequence_flags(len(end_s)),
        destination=SIMULATED_DESTINATION,
        versions=versions,
    )


def by_packet(values: NDArray[Any], limits: NDArray[np.int64]) -> NDArray[Any]:
    """Rows of bins put in the order of packets: of each packet, all bins of the first column, then of the next.

    Parameters
    ----------
    values : (bin, column)
    limits : (n_packets + 1,)
        Bins of each packet.
    """
    packet = np.repeat(np.arange(len(limits) - 1), np.diff(limits))
    order = np.argsort(np.tile(packet, values.shape[1]), kind="stable")
    return values.T.ravel()[order]


def _scheme(names: Sequence[str]) -> dict[str, ArrayLike]:
    return dict(zip(names, SCHEME, strict=True))


def background_packets(
    expected: Expectation, coarse: int, fine: int, versions: Versions, rng: np.random.Generator
) -> PacketBlock:
    """Counts of the background monitor in five bands, TM(21,6) SSID 31, in bins of 8 s.

    Parameters
    ----------
    expected
        Bins of 4 s without a gap; an odd one at the end is left out.
    coarse, fine
        On-board time of the start of the first bin.
    versions, rng
    """
    n = len(expected.flare) // 2
    flare = expected.flare[: 2 * n].reshape(n, 2, -1).sum(axis=1)
    counts = rng.poisson(_MONITOR_QUIET + _MONITOR_FLARE * flare)
    triggers = rng.poisson(_MONITOR_TRIGGERS + _MONITOR_FLARE * flare.sum(axis=1))
    definitions, bands = versions.at(coarse), counts.shape[1]
    limits = fill_packets(
        np.full(n, bands + 1),
        packet_bytes=group_bytes(definitions, BACKGROUND_SPID)
        + bands * group_bytes(definitions, BACKGROUND_SPID, "NIX00270"),
    )
    sizes = np.diff(limits)
    columns = {
        "NIX00445": coarse + limits[:-1] * _BACKGROUND_S,
        "NIX00446": np.full(len(sizes), fine),
        "NIX00405": _BACKGROUND_S * 10 - 1,
        **_scheme(("NIXD0108", "NIXD0109", "NIXD0110")),
        **_scheme(("NIXD0112", "NIXD0113", "NIXD0114")),
        "NIX00266": ENERGY_EDGES,
        "NIX00270": bands,
        "NIX00277": np.repeat(sizes, bands),
        "NIX00278": by_packet(compress(counts, *SCHEME), limits),
        "NIX00273": sizes,
        "NIX00274": compress(triggers, *SCHEME),
    }
    return send_quicklook(BACKGROUND_SPID, columns, coarse + limits[1:] * _BACKGROUND_S, fine, versions)


def spectra_packets(
    expected: Expectation, coarse: int, fine: int, versions: Versions, rng: np.random.Generator
) -> PacketBlock:
    """Spectra of 32 s of every detector, one each 1024 s, TM(21,6) SSID 32; see `background_packets`."""
    bins, cycle = _SPECTRA_S // BIN_S, _SPECTRA_S * _SPECTRA_CYCLE // BIN_S
    starts = np.arange(0, len(expected.flare) - bins + 1, cycle)
    quiet, flare = channel_counts(expected)
    window = starts[:, None] + np.arange(bins)
    share = np.full(N_DETECTORS, 1 / N_IMAGING)
    seen = share.copy()
    seen[LOCATOR] *= 0.6
    seen[MONITOR] *= 0.03
    mean = (
        quiet[window].sum(axis=1)[:, None] * share[:, None]
        + flare[window].sum(axis=1)[:, None] * seen[:, None]
    )
    counts = rng.poisson(mean).reshape(-1, mean.shape[-1])
    triggers = rng.poisson(_DETECTOR_TRIGGERS + mean.sum(axis=-1)).ravel()
    definitions = versions.at(coarse)
    limits = fill_packets(
        np.full(len(counts), group_bytes(definitions, SPECTRA_SPID, "NIX00089")),
        packet_bytes=group_bytes(definitions, SPECTRA_SPID),
    )
    number = np.arange(len(counts)) // N_DETECTORS
    sizes, first = np.diff(limits), number[limits[:-1]]
    codes = compress(counts, *SCHEME)
    columns = {
        "NIX00445": coarse + starts[first] * BIN_S,
        "NIX00446": np.full(len(sizes), fine),
        "NIX00405": _SPECTRA_S * 10 - 1,
        **_scheme(("NIXD0115", "NIXD0116", "NIXD0117")),
        **_scheme(("NIXD0112", "NIXD0113", "NIXD0114")),
        "NIXD0407": ALL_PIXELS,
        "NIX00089": sizes,
        "NIX00100": np.arange(len(counts)) % N_DETECTORS,
        **{f"NIX{452 + c:05}": codes[:, c] for c in range(codes.shape[1])},
        "NIX00484": compress(triggers, *SCHEME),
        "NIX00485": (number - np.repeat(first, sizes)) * _SPECTRA_CYCLE,
    }
    end = coarse + starts[number[limits[1:] - 1]] * BIN_S + _SPECTRA_S
    return send_quicklook(SPECTRA_SPID, columns, end, fine, versions)


def variance_packets(
    expected: Expectation, coarse: int, fine: int, versions: Versions, rng: np.random.Generator
) -> PacketBlock:
    """Variance of the counts within each bin of 4 s, TM(21,6) SSID 33; see `background_packets`."""
    quiet, flare = channel_counts(expected)
    mean = (quiet + flare)[:, _VARIANCE_CHANNELS].sum(axis=1)
    freedom = _VARIANCE_SAMPLES - 1
    variance = np.rint(mean * rng.chisquare(freedom, len(mean)) / freedom).astype(np.int64)
    definitions = versions.at(coarse)
    limits = fill_packets(
        np.ones(len(mean), dtype=np.int64), packet_bytes=group_bytes(definitions, VARIANCE_SPID)
    )
    channels = range(*_VARIANCE_CHANNELS.indices(32))
    columns = {
        "NIX00445": coarse + limits[:-1] * BIN_S,
        "NIX00446": np.full(len(limits) - 1, fine),
        "NIX00405": BIN_S * 10 - 1,
        "NIX00279": _VARIANCE_SAMPLES,
        "NIX00407": QUICKLOOK_DETECTORS,
        "NIX00282": sum(1 << c for c in channels),
        "NIXD0407": ALL_PIXELS,
        **_scheme(("NIXD0118", "NIXD0119", "NIXD0120")),
        "NIX00280": np.diff(limits),
        "NIX00281": compress(variance, *SCHEME),
    }
    return send_quicklook(VARIANCE_SPID, columns, coarse + limits[1:] * BIN_S, fine, versions)


@dataclass(frozen=True)
class ListedFlare:
    """A flare as the instrument's own list has it."""

    start_s: int
    end_s: int
    """On-board seconds."""
    size: float
    """4-10 keV counts in 4 s at its maximum."""
    y_arcmin: int
    z_arcmin: int

    @property
    def flag(self) -> int:
        """The highest thermal index."""
        return int(np.searchsorted(_THERMAL, self.size, side="right"))


def flare_flag_packets(
    expected: Expectation, coarse: int, fine: int, versions: Versions, flares: Sequence[ListedFlare]
) -> PacketBlock:
    """What the instrument itself says of flares, in bins of 4 s, TM(21,6) SSID 34; see `background_packets`.

    Parameters
    ----------
    expected, coarse, fine, versions
    flares
        Their places, where a location is given.
    """
    definitions = versions.at(coarse)
    thermal = np.searchsorted(_THERMAL, expected.flare[:, 0], side="right")
    n = len(thermal)
    y, z, known = np.zeros((3, n), dtype=np.int64)
    for flare in flares:
        inside = slice(max((flare.start_s - coarse) // BIN_S, 0), max((flare.end_s - coarse) // BIN_S, 0))
        y[inside], z[inside], known[inside] = flare.y_arcmin, flare.z_arcmin, 2
    located = known * (thermal > 0)
    limits = fill_packets(
        np.full(n, group_bytes(definitions, FLAG_SPID, "NIX00089")),
        packet_bytes=group_bytes(definitions, FLAG_SPID),
    )
    columns = {
        "NIX00445": coarse + limits[:-1] * BIN_S,
        "NIX00446": np.full(len(limits) - 1, fine),
        "NIX00405": BIN_S * 10 - 1,
        "NIX00089": np.diff(limits),
        "NIXD0449": (thermal > 0).astype(np.int64),
        "NIXD0059": located,
        "NIXD0060": np.searchsorted(_NON_THERMAL, expected.flare[:, 2], side="right"),
        "NIXD0061": thermal,
        "NIX00283": z * (located > 0),
        "NIX00284": y * (located > 0),
    }
    if "NIXD0449" not in definitions.program(FLAG_SPID).columns:
        del columns["NIXD0449"]
    return send_quicklook(FLAG_SPID, columns, coarse + limits[1:] * BIN_S, fine, versions)


def flare_list_packets(
    flares: Sequence[ListedFlare], end_s: int, fine: int, versions: Versions, *, volume_bytes: int
) -> PacketBlock:
    """The instrument's list of flares and the state of its archive, TM(21,6) SSID 43: one packet.

    Parameters
    ----------
    flares
        At most 255.
    end_s, fine
        On-board time of the list.
    versions
    volume_bytes
        Of the bulk science data in the archive.
    """

    def column(name: str) -> NDArray[np.int64]:
        return np.array([getattr(f, name) for f in flares], dtype=np.int64)

    columns = {
        "NIX00285": volume_bytes,
        "NIX00286": 23_955_176,
        "NIX00294": len(flares),
        "NIX00287": column("start_s"),
        "NIX00288": column("end_s"),
        "NIX00289": column("flag"),
        "NIX00290": np.full(len(flares), volume_bytes // max(len(flares), 1)),
        "NIX00291": column("z_arcmin"),
        "NIX00292": column("y_arcmin"),
        "NIX00293": np.full(len(flares), 8),
    }
    return send_quicklook(LIST_SPID, columns, np.array([end_s + 1]), fine, versions)
