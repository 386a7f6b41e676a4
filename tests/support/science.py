"""Packets of science requests, small ones, made from few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock

PIXELS, SPECTROGRAM, ASPECT, LIGHT_CURVE = 54115, 54143, 54125, 54118
SPID = {21: PIXELS, 24: SPECTROGRAM, 42: ASPECT}
NOW = 800_000_000
"""On-board second in the last era."""
SCIENCE_APID = 1468


def flags(n: int) -> np.ndarray:
    """Sequence flags of a whole request."""
    if n == 1:
        return np.array([3])
    found = np.zeros(n, dtype=int)
    found[0], found[-1] = 1, 2
    return found


def pixel_request(
    n: int = 5,
    *,
    request: int = 2_505_080_001,
    tc_sequence: int = 50_001,
    stamp: int = NOW - 5000,
    sent: int = NOW,
    first_count: int = 100,
    bins: int = 2,
    seed: int = 0,
    **header: Any,
) -> PacketBlock:
    """Pixel data in `n` packets of `bins` time bins of 1 s, sent 10 s apart."""
    random = np.random.default_rng([seed, request, tc_sequence])
    n_bins = n * bins
    columns = {
        "NIX00001": 91,
        "NIX00002": tc_sequence,
        "NIX00037": request,
        "NIXD0008": 4,
        "NIXD0009": 4,
        "NIXD0011": 4,
        "NIXD0012": 4,
        "NIX00402": stamp << 16,
        "NIX00403": np.full(n, bins),
        "NIX00404": 10 * np.arange(n_bins),
        "NIX00442": np.full(n_bins, 1),
        "NIX00405": np.full(n_bins, 10),
        "NIX00407": np.full(n_bins, 0b1111),
        "NIXD0407": np.full(n_bins, 0b11),
        "NIX00258": np.full(n_bins, 1),
        "NIXD0016": np.full(n_bins, 3),
        "NIXD0017": np.full(n_bins, 4),
        "NIX00259": np.full(n_bins, 4),
        "NIX00260": random.integers(0, 200, n_bins * 4),
    }
    return _send(PIXELS, columns, n, {"sent": sent, "first_count": first_count} | header)


def spectrogram_request(
    n: int = 3,
    *,
    request: int = 2_505_080_002,
    tc_sequence: int = 50_002,
    stamp: int = NOW - 5000,
    sent: int = NOW,
    first_count: int = 100,
    samples: int = 4,
    **header: Any,
) -> PacketBlock:
    """Spectrogram in `n` packets of one sub-structure of `samples` times of 2 s."""
    n_samples = n * samples
    columns = {
        "NIX00001": 91,
        "NIX00002": tc_sequence,
        "NIX00037": request,
        "NIX00402": stamp << 16,
        "NIX00403": np.full(n, 1),
        "NIX00407": np.full(n, 0b11),
        "NIXD0407": np.full(n, 0xFFF),
        "NIXD0442": np.full(n, 4),
        "NIXD0443": np.full(n, 6),
        "NIX00089": np.full(n, samples),
        "NIX00404": 20 * np.arange(n_samples),
        "NIX00270": np.full(n_samples, 3),
        "NIX00268": np.arange(3 * n_samples) % 256,
        "NIX00269": np.full(n, 20),
    }
    return _send(SPECTROGRAM, columns, n, {"sent": sent, "first_count": first_count} | header)


def aspect_burst(
    n: int = 4,
    *,
    data: int = NOW - 9000,
    sent: int = NOW,
    first_count: int = 200,
    samples: int = 10,
    **header: Any,
) -> PacketBlock:
    """Aspect readings in `n` packets of `samples` times of 1.024 s; no number says what they belong to."""
    begin = data * 65536 + np.arange(n) * (samples * 1024 * 65536 // 1000)
    columns = {
        "NIX00445": begin >> 16,
        "NIX00446": begin & 0xFFFF,
        "NIX00490": np.full(n, 64),
        "NIX00088": np.full(n, 16),
        "NIX00089": np.full(n, samples),
        "NIX00090": np.arange(n * samples),
    }
    return _send(ASPECT, columns, n, {"sent": sent, "first_count": first_count} | header)


def quicklook(n: int, *, first_count: int, sent: int = NOW, apid: int = SCIENCE_APID) -> PacketBlock:
    """Empty light curves in the counter of another APID than theirs: what interrupts a request."""
    columns = {"NIX00445": np.full(n, sent), "NIX00270": np.zeros(n, dtype=int)}
    return _send(
        LIGHT_CURVE, columns, n, {"sent": sent, "first_count": first_count, "apid": apid, "sequence_flag": 3}
    )


def _send(spid: int, columns: dict[str, Any], n: int, header: dict[str, Any]) -> PacketBlock:
    sent, first_count = header.pop("sent"), header.pop("first_count")
    given = {
        "scet_coarse": sent + 10 * np.arange(n),
        "sequence_count": (first_count + np.arange(n)) % 16384,
        "sequence_flag": flags(n),
    }
    return encode(spid, columns, **(given | header))
