"""What writers of products call: keywords of a header in one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stixlab.ephemeris.provider import Ephemerides, load_ephemerides

__all__ = ["ephemeris_keywords"]


def ephemeris_keywords(
    start: Any,
    end: Any,
    mid: Any = None,
    *,
    ephemerides: Ephemerides | None = None,
    spice: Path | None = None,
) -> dict[str, tuple[Any, str]]:
    """Keywords of a FITS header that say where spacecraft, Earth and Sun were: keyword -> (value, comment).

    Parameters
    ----------
    start, end
        UTC of the observation.
    mid
        UTC that positions are given for; by default halfway.
    ephemerides
        Sources; by default those of `spice`, or else the table shipped.
    spice
        A meta-kernel or a folder of kernels.

    Raises
    ------
    TimeError
        If a time cannot be read, or no source covers it.

    Examples
    --------
    >>> round(ephemeris_keywords("2020-06-07", "2020-06-08")["HGLN_OBS"][0], 1)
    45.7
    """
    return (ephemerides or load_ephemerides(spice)).keywords(start, end, mid)
