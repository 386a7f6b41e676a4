"""Benchmarks: how fast things are, beside what the machine can do, held against goals."""

from stixlab.bench.measurement import Measurement, best_of
from stixlab.bench.suite import BENCHMARKS, run_benchmark

__all__ = ["BENCHMARKS", "Measurement", "best_of", "run_benchmark"]
