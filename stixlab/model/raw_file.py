"""A telemetry or product file as received."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["RawFile"]


@dataclass(frozen=True)
class RawFile:
    """A file as received, known by its content."""

    sha256: str
    """Hash of the bytes, hexadecimal: the identity of the file."""
    names: tuple[str, ...]
    """Names under which it arrived, sorted."""
    kind: str
    """What was recognised: ``edds-tm``, ``edds-tc``, ``moc-ascii``, ``hex``, ``binary``, ``lb-fits``, ``fits``."""
    size_bytes: int
    origin: str
    """``flight`` or ``simulated``."""
    received: datetime
    """UTC of the first arrival."""
    start: datetime | None = None
    """UTC of the earliest packet or data in it, as their times say."""
    end: datetime | None = None
    """UTC of the latest."""
    packets: dict[str, int] = field(default_factory=dict)
    """Packets by status (``ok``, ``undecoded``, ``truncated``, ``unknown`` ...)."""
    structures: dict[str, int] = field(default_factory=dict)
    """Packets by structure, such as ``21,6,30``."""
    days: tuple[str, ...] = ()
    """What it has data of: ``TYPE/ORIGIN/YYYY-MM-DD`` for each product type, origin and UTC day, sorted."""
    requests: tuple[str, ...] = ()
    """Data requests it has packets of: ``ORIGIN/SSID/REQUEST/TCSEQUENCE``, sorted."""
    processed: bool = False
    """Whether every product it contributes to has been made since it arrived."""
    report: dict[str, Any] = field(default_factory=dict)
    """Decode report: what was skipped or wrong, by reason, with offsets."""
