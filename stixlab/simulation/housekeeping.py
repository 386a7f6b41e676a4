"""Housekeeping of the simulated instrument: physical values that vary a little, as raw words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Definitions

__all__ = ["MAXI_SPID", "MINI_SPID", "housekeeping_columns"]

MINI_SPID, MAXI_SPID = 54101, 54102
_CYCLE_S = 2400.0
# fmt: off
# Means of a day of real long reports, hk-maxi of 2020-05-01, rounded; degC, mA, V.
_BOTH = {
    "NIXD0025": 12.7, "NIXD0026": 18.4, "NIXD0024": 13.2,
    "NIXD0027": 199.0, "NIXD0028": 73.8, "NIXD0029": 316.0, "NIXD0030": 37.8,
    "NIXD0031": 7.1066, "NIXD0032": 7.0665, "NIXD0035": 1.5561, "NIXD0036": 7.5032, "NIXD0037": 2.9115,
}
_MAXI = {
    "NIXD0038": 2.4945, "NIXD0039": 2.4944, "NIXD0048": 7.0462, "NIXD0049": 7.0212,
    "NIXD0040": 3.4, "NIXD0041": 3.8, "NIXD0042": 8.1, "NIXD0043": 8.1,
    "NIXD0044": 4.5, "NIXD0045": 4.5, "NIXD0046": 4.5, "NIXD0047": 4.5,
    "NIXD0050": 17.9, "NIXD0051": 3.0, "NIXD0052": -231.6, "NIXD0053": -227.6,
    "NIXD0054": -38.2, "NIXD0055": -38.0, "NIXD0056": -38.1, "NIXD0057": -38.1,
    "NIX00078": 1.7935, "NIX00079": 1.3617, "NIX00080": 1.0287, "NIX00081": 1.3699,
    "NIXD0075": 0.0, "NIXD0058": 208.8,
}
# fmt: on
_DETECTORS = ("NIXD0054", "NIXD0055", "NIXD0056", "NIXD0057")
"""Temperatures that swing most."""
_STATES_BOTH = {
    "NIXD0022": 1,
    "NIXD0023": 5,
    "NIXD0001": 179,
    "NIXD0002": 9,
    "NIXD0003": 66,
    "NIXD0169": 1,
    "NIX00085": 201036,
}
_STATES_MAXI = {
    "NIXD0070": 0xFFFFFFFF,
    "NIXD0074": 3,
    "NIX00072": 281,
    "NIX00073": 326,
    **dict.fromkeys((f"NIXD00{n}" for n in (80, 81, 82, 83, 84, 85, 86, 87, 90, 91, 92)), 1),
}


def housekeeping_columns(
    spid: int,
    time: NDArray[np.datetime64],
    attenuator_in: NDArray[np.bool_],
    definitions: Definitions,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.int64]]:
    """Raw values of the reports at the times given.

    Parameters
    ----------
    spid
        `MINI_SPID` or `MAXI_SPID`.
    time : (n,), UTC
    attenuator_in : (n,)
    definitions
        Their curves are used backwards.
    rng

    Returns
    -------
    dict
        Parameter name -> (n,), as `stixlab.telemetry.encode.encode` takes them.
    """
    n = len(time)
    maxi = spid == MAXI_SPID
    seconds = time.astype("datetime64[s]").astype(np.int64)
    swing = np.sin(2 * np.pi * (seconds % _CYCLE_S) / _CYCLE_S)
    columns: dict[str, NDArray[np.int64]] = {}
    for name, mean in (_BOTH | _MAXI if maxi else _BOTH).items():
        unit = definitions.parameters[name].unit
        amplitude = (1.2 if name in _DETECTORS else 0.4) if "deg" in unit.lower() else 0.002 * abs(mean)
        value = mean + amplitude * swing + 0.1 * amplitude * rng.standard_normal(n)
        columns[name] = _to_raw(name, value, definitions)
    for name, state in (_STATES_BOTH | _STATES_MAXI if maxi else _STATES_BOTH).items():
        columns[name] = np.full(n, state, dtype=np.int64)
    columns["NIXD0079"] = seconds // 4 % 65536
    if maxi:
        columns["NIXD0068"], columns["NIXD0069"] = (
            (~attenuator_in).astype(np.int64),
            attenuator_in.astype(np.int64),
        )
        columns["NIXD0077"] = seconds // 64 % 16384
        columns["NIX00076"] = np.cumsum(np.abs(np.diff(attenuator_in.astype(np.int64), prepend=0)))
    else:
        columns["NIX00167"] = seconds // 8 % 65536
    return columns


def _to_raw(name: str, value: NDArray[np.float64], definitions: Definitions) -> NDArray[np.int64]:
    """Raw words whose calibrated value is nearest to that wanted."""
    parameter = definitions.parameters[name]
    raw, physical = definitions.point_pairs[parameter.curve]
    order = np.argsort(physical)
    words = np.rint(np.interp(value, physical[order], raw[order]))
    return np.clip(words, 0, 2**parameter.width_bits - 1).astype(np.int64)
