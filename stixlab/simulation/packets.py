"""Telemetry packets of the simulated instrument."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Versions
from stixlab.simulation.housekeeping import MAXI_SPID, housekeeping_columns
from stixlab.simulation.instrument import Observation
from stixlab.telemetry.compression import compress
from stixlab.telemetry.encode import SIMULATED_DESTINATION, encode
from stixlab.telemetry.frames import PacketBlock
from stixlab.timing.scet import ClockTable

__all__ = [
    "BINS_PER_PACKET",
    "BIN_S",
    "ENERGY_EDGES",
    "MAXI_S",
    "MINI_OFFSET_S",
    "MINI_S",
    "QUICKLOOK_DETECTORS",
    "SCHEME",
    "SEND_S",
    "housekeeping_packets",
    "light_curve_packets",
]

LIGHT_CURVE_SPID = 54118
BIN_S = 4
BINS_PER_PACKET = 580
"""As many as the instrument puts into a packet: 2320 s."""
SCHEME = (0, 5, 3)
"""Compression of counts and triggers in quicklook light curves."""
QUICKLOOK_DETECTORS = 0xFFFFFCFF
"""All but the background monitor and the coarse locator."""
_PIXELS = 0xFFF
ENERGY_EDGES = 0x10821082
"""Science channel edges of 4, 10, 15, 25, 50 and 84 keV, bit by bit."""
SEND_S = 0.26
"""From the end of the last bin to the time in the packet's header."""
_COUNTS = 16_384
MAXI_S, MINI_S, MINI_OFFSET_S = 64, 512, 32
"""On-board seconds between long and between short reports, and how far the short ones are apart from the long."""


def light_curve_packets(
    seen: Observation, coarse: int, fine: int, first_count: int, versions: Versions
) -> PacketBlock:
    """Quicklook light curves, TM(21,6) SSID 30, marked as simulated.

    Parameters
    ----------
    seen
        Bins of 4 s without a gap.
    coarse, fine
        On-board time of the start of the first bin.
    first_count
        Sequence count of the first packet.
    versions
    """
    n = len(seen.triggers)
    firsts = np.arange(0, n, BINS_PER_PACKET)
    sizes = np.minimum(BINS_PER_PACKET, n - firsts)
    codes = compress(seen.counts, *SCHEME)
    by_packet = [codes[a : a + m].T.ravel() for a, m in zip(firsts, sizes, strict=True)]
    n_bands = seen.counts.shape[1]
    begin = coarse + firsts * BIN_S
    send = (coarse + (firsts + sizes) * BIN_S) * 65_536 + fine + round(SEND_S * 65_536)
    columns = {
        "NIX00445": begin,
        "NIX00446": np.full(len(firsts), fine),
        "NIX00405": BIN_S * 10 - 1,
        "NIX00407": QUICKLOOK_DETECTORS,
        "NIXG0404": _PIXELS,
        "NIXD0407": _PIXELS,
        **dict(zip(("NIXD0101", "NIXD0102", "NIXD0103"), SCHEME, strict=True)),
        **dict(zip(("NIXD0104", "NIXD0105", "NIXD0106"), SCHEME, strict=True)),
        "NIX00266": ENERGY_EDGES,
        "NIX00270": n_bands,
        "NIX00271": np.repeat(sizes, n_bands),
        "NIX00272": np.concatenate(by_packet),
        "NIX00273": sizes,
        "NIX00274": compress(seen.triggers, *SCHEME),
        "NIX00275": sizes,
        "NIX00276": seen.rate_control_state,
    }
    return encode(
        LIGHT_CURVE_SPID,
        columns,
        scet_coarse=send // 65_536,
        scet_fine=send % 65_536,
        sequence_count=(first_count + np.arange(len(firsts))) % _COUNTS,
        destination=SIMULATED_DESTINATION,
        versions=versions,
    )


def housekeeping_packets(
    spid: int,
    scet: NDArray[np.int64],
    attenuator_in: NDArray[np.bool_],
    *,
    versions: Versions,
    clock: ClockTable,
    rng: np.random.Generator,
) -> PacketBlock:
    """Housekeeping reports, TM(3,25), marked as simulated.

    Parameters
    ----------
    spid
        `MINI_SPID` or `MAXI_SPID`.
    scet : (n,)
        On-board seconds: multiples of `MAXI_S`, or of `MINI_S` and `MINI_OFFSET_S` more.
    attenuator_in : (n,)
    versions, clock, rng
    """
    columns = housekeeping_columns(spid, clock.to_utc(scet), attenuator_in, versions.latest, rng)
    maxi = spid == MAXI_SPID
    before = (scet + MINI_S - MINI_OFFSET_S - 1) // MINI_S if maxi else 1 + scet // MINI_S
    return encode(
        spid,
        columns,
        scet_coarse=scet,
        scet_fine=9_000 if maxi else 21_000,
        sequence_count=(scet // MAXI_S + before) % _COUNTS,
        destination=SIMULATED_DESTINATION,
        versions=versions,
    )
