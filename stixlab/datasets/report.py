"""What packets gave no data, and why. Dirty telemetry is counted here, not raised."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BuildReport"]

log = logging.getLogger(__name__)


@dataclass
class BuildReport:
    """Packets left out of a dataset, by reason."""

    offsets: dict[str, list[int]] = field(default_factory=dict)
    """Byte positions of the packets in the file they came from."""

    def leave_out(self, faulty: NDArray[np.bool_], source_offset: NDArray[np.int64], reason: str) -> None:
        """Note the packets that are faulty.

        Parameters
        ----------
        faulty : (n,)
        source_offset : (n,), byte
        reason
            What was expected of such a packet and not found.
        """
        if not faulty.any():
            return
        self.offsets.setdefault(reason, []).extend(source_offset[faulty].tolist())
        log.info("packets left out", extra={"reason": reason, "n_packets": int(faulty.sum())})

    @property
    def n_packets(self) -> int:
        """Packets left out."""
        return sum(map(len, self.offsets.values()))

    def as_document(self) -> dict[str, Any]:
        """Number of packets and first positions by reason, of plain types."""
        return {
            reason: {"packets": len(found), "first_offsets_bytes": sorted(found)[:10]}
            for reason, found in sorted(self.offsets.items())
        }
