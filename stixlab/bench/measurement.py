"""One measured figure and the goal it is held against."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Measurement", "best_of", "bytes_read"]

_COUNTED = Path("/proc/self/io")


@dataclass(frozen=True)
class Measurement:
    """A figure, such as 40,000 packets a second."""

    benchmark: str
    name: str
    value: float
    unit: str
    goal: float | None = None
    """Smallest value allowed, or largest if `smaller_is_better`; None: for comparison only."""
    smaller_is_better: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        if self.goal is None:
            return True
        return self.value <= self.goal if self.smaller_is_better else self.value >= self.goal


def best_of(function: Callable[[], object], *, repeats: int = 5) -> float:
    """Seconds of the quickest of several calls: what else the machine does only ever adds time."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def bytes_read() -> int:
    """Bytes that this process has read of files so far, from the disk or from memory.

    0 where the system does not count them.
    """
    try:
        lines = _COUNTED.read_text().splitlines()
    except FileNotFoundError:
        return 0
    return int(dict(line.split(": ") for line in lines)["rchar"])
