"""What is true about simulated telemetry."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Truth", "TruthCalibration", "TruthFlare", "TruthRequest"]


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
    location_arcmin: tuple[int, int] = (0, 0)
    """Y and Z that the instrument gives in its quicklook data."""


@dataclass(frozen=True)
class TruthRequest:
    """What is true about one request of data."""

    kind: str
    """Of `stixlab.simulation.planning.REQUEST_KINDS`."""
    ssid: int
    request_id: int
    """As in the packets; aspect packets do not carry it."""
    tc_sequence: int
    flare_peak: str
    """Of the flare that data were asked for, as in `TruthFlare`."""
    start: str
    end: str
    """UTC of the data."""
    n_bins: int
    n_packets: int
    n_bytes: int
    total_counts: int
    """Before compression; 0 for aspect."""
    counts_by_channel: tuple[int, ...]
    """(32,) of all bins, detectors and pixels, before compression."""


@dataclass(frozen=True)
class TruthCalibration:
    """What is true about one calibration run."""

    start: str
    duration_s: int
    n_packets: int
    total_counts: int
    """Of the channels that are sent, before compression."""
    mean_gain: float
    """Channels per keV, of all pixels."""
    mean_offset: float
    """Channel of 0 keV, of all pixels."""


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
    requests: tuple[TruthRequest, ...] = ()
    """Data that were asked for, in the order of the flares."""
    calibrations: tuple[TruthCalibration, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """Plain types; files by name."""
        return asdict(self) | {"origin": "simulated", "files": [p.name for p in self.files]}
