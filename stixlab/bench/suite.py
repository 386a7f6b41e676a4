"""The benchmarks by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stixlab.bench import (
    archive,
    arrivals,
    chain,
    files,
    packets,
    pipelines,
    products,
    reprocessing,
    science,
    telemetry,
)
from stixlab.bench.measurement import Measurement

__all__ = ["BENCHMARKS", "Benchmark", "run_benchmark"]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: what it measures, and the function that does."""

    summary: str
    measure: Callable[[], Iterator[Measurement]]
    only_by_name: bool = False
    """Too large for a run of all benchmarks."""


BENCHMARKS: dict[str, Benchmark] = {
    "telemetry": Benchmark(
        "packets per second on one core, beside what the machine can do", telemetry.measure
    ),
    "files": Benchmark("memory and time of whole files of 10 and 100 MB", files.measure),
    "files-1gb": Benchmark("the same of a file of 1 GB", files.measure_large, only_by_name=True),
    "products": Benchmark("a day of light curves from file to level 1 FITS", products.measure),
    "chain": Benchmark("a day of light curves from file to Zarr, FITS and catalogue", chain.measure),
    "arrivals": Benchmark("from the arrival of a file to its products in the catalogue", arrivals.measure),
    "archive": Benchmark("opening and reading a year of quicklook, time and bytes", archive.measure),
    "archive-month": Benchmark("the same of a month", archive.measure_small, only_by_name=True),
    "reprocessing": Benchmark(
        "products made again: days a minute on one and on two cores, memory", reprocessing.measure
    ),
    "reprocessing-month": Benchmark(
        "the same of a month of telemetry", reprocessing.measure_month, only_by_name=True
    ),
    "reprocessing-year": Benchmark(
        "the same of a year of telemetry; takes half an hour", reprocessing.measure_year, only_by_name=True
    ),
    "packets": Benchmark("search for packets in a day and in a year of files", packets.measure),
    "pipelines": Benchmark(
        "how quickly runs of pipelines are queued, drained and follow the telemetry", pipelines.measure
    ),
    "flares": Benchmark("the flare list: time, and what it finds on days with known flares", science.measure),
}


def run_benchmark(name: str) -> Iterator[Measurement]:
    """Figures of one benchmark, each as soon as it is measured."""
    return BENCHMARKS[name].measure()
