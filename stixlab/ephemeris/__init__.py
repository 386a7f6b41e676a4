"""Where the spacecraft is and what time it is there. For now: the clock."""

from stixlab.ephemeris.clock import load_clock

__all__ = ["load_clock"]
