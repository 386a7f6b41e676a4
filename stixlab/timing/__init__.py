"""Times: on-board clock, UTC, and their texts. Kernels are read in `stixlab.ephemeris`."""

from stixlab.timing.scet import FINE_PER_SECOND, ClockTable, bin_ticks, normalise_scet
from stixlab.timing.texts import (
    format_scet,
    format_utc,
    parse_scet,
    parse_time,
    parse_utc,
    to_datetime,
    to_datetime64,
)

__all__ = [
    "FINE_PER_SECOND",
    "ClockTable",
    "bin_ticks",
    "format_scet",
    "format_utc",
    "normalise_scet",
    "parse_scet",
    "parse_time",
    "parse_utc",
    "to_datetime",
    "to_datetime64",
]
