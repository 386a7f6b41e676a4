"""stixlab: an analysis platform and data center for STIX, the X-ray telescope on Solar Orbiter.

>>> import stixlab
>>> lab = stixlab.connect()  # doctest: +SKIP
>>> counts = lab.open("ql-lightcurve", "2021-06-06", "2021-06-07").counts  # doctest: +SKIP
"""

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "connect", "start_run", "to_timeseries"]


def __getattr__(name: str) -> Any:
    """Offer what needs the whole installation only when it is asked for."""
    if name in {"connect", "start_run"}:
        from stixlab import factory

        return getattr(factory, name)
    if name == "to_timeseries":
        from stixlab.analysis.timeseries import to_timeseries

        return to_timeseries
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
