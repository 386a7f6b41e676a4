"""The pipelines: how quickly runs are queued, drained and follow the telemetry."""

from __future__ import annotations

from collections.abc import Iterator

from stixlab.bench import pipeline_arrivals, pipeline_overhead, pipeline_queue
from stixlab.bench.measurement import Measurement

__all__ = ["measure"]


def measure() -> Iterator[Measurement]:
    """Figures of each part, in order."""
    for part in (pipeline_overhead, pipeline_queue, pipeline_arrivals):
        yield from part.measure()
