"""Where the spacecraft is, how it is turned, and what time it is there: clock, orbit and attitude."""

from typing import Any

from stixlab.ephemeris.clock import load_clock

__all__ = [
    "Attitude",
    "Ephemerides",
    "Ephemeris",
    "ephemeris_keywords",
    "load_clock",
    "load_ephemerides",
]
_WHERE = {
    "Attitude": "attitude",
    "Ephemerides": "provider",
    "Ephemeris": "orbit",
    "ephemeris_keywords": "shortcuts",
    "load_ephemerides": "provider",
}


def __getattr__(name: str) -> Any:
    """Names of modules that are read when they are used first."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"stixlab.ephemeris.{_WHERE[name]}"), name)
