"""A request of science data: what one telecommand asked for and what of it was received."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["ScienceRequest"]


@dataclass(frozen=True)
class ScienceRequest:
    """Packets of one data request, over all files."""

    id: str
    """``TYPE_REQUEST-TC_ORIGIN``, such as ``sci-xray-cpd_2312148821-51759_flight``; what was sent twice has ``-2``
    before the origin. Packets without numbers are named by the on-board seconds of their data and of their first
    packet: ``sci-aspect-burst_t0646089195-0658973791_flight``."""
    type: str
    """Archive name of the product type."""
    request_id: int
    """Number of the data request, mostly YYMMDDnnnn; 0 if the packets carry none."""
    tc_packet_id: int
    """First word of the telecommand that asked for the data; 0 if the packets carry none."""
    tc_sequence: int
    """Sequence control word of that telecommand; 0 if the packets carry none."""
    ssid: int
    """Structure of the packets."""
    origin: str
    """``flight``, ``simulated`` or ``reencoded``."""
    n_packets: int
    """Good packets, each counted once."""
    n_missing: int
    """Packets that are known to be missing; there may be more where the first or the last is."""
    n_damaged: int
    """Packets received that cannot be decoded and of which there is no good copy."""
    n_conflicts: int
    """Contents left out because another packet of the same identity was taken."""
    complete: bool
    """From the first to the last packet nothing is missing."""
    why: str = ""
    """Why it is not complete; empty if it is."""
    gaps: tuple[str, ...] = ()
    """What is missing and where, in order; the first 100 places."""
    start: datetime | None = None
    """UTC at which the data start; None if there are none or the clock was not synchronised."""
    end: datetime | None = None
    """UTC at which the data end."""
    sent_start: datetime | None = None
    """UTC of the header of the first packet; None if the clock was not synchronised."""
    sent_end: datetime | None = None
    """UTC of the header of the last packet."""
    size_bytes: int = 0
    """Of all good packets."""
    keys: tuple[str, ...] = ()
    """What `RawFile.requests` calls it; several for packets without numbers sent over midnight."""
    sources: tuple[str, ...] = ()
    """Hashes of the raw files that have packets of it, sorted."""
    content_sha256: str = ""
    """Hash of the good packets in order."""
    updated: datetime | None = None
    """UTC of the last change."""
    version: int = 1
    """Counts up when the content changes."""
