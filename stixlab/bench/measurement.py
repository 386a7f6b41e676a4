"""One measured figure and the goal it is held against."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Measurement", "best_of"]


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
