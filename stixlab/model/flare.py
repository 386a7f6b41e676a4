"""A flare as the light curve shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Flare"]


@dataclass(frozen=True)
class Flare:
    """One solar flare, found in the 4-10 keV quicklook light curve."""

    flare_id: str
    """UTC of the peak as ``yymmddHHMM``."""
    origin: str
    """``flight`` or ``simulated``."""
    start: datetime
    """UTC at the spacecraft."""
    peak: datetime
    """UTC at the spacecraft, middle of the brightest smoothed bin."""
    end: datetime
    """UTC at the spacecraft."""
    duration: float
    """Seconds."""
    peak_counts: float
    """Smoothed 4-10 keV counts of the peak, per bin of 4 s, background included."""
    background_counts: float
    """Background in the same band at the peak, counts per bin of 4 s."""
    significance: float
    """Height over the background, in standard deviations of it."""
    total_counts: float
    """Counts between start and end, background included."""
    signal_counts: float
    """Counts between start and end, background taken away."""
    peak_counts_by_band: tuple[float, ...]
    """Largest counts per bin of each of the five bands within the flare, background included."""
    upper_band: int
    """Index of the highest band that shows the flare."""
    attenuator: bool
    """Whether the attenuator was in at any time of the flare."""
    run_id: str = ""
    """The pipeline run that found it."""
    products: tuple[str, ...] = ()
    """Products it was found in."""
