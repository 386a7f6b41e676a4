"""Level 1 light curves of made packets."""

import numpy as np

from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.products.level1 import make_level1
from stixlab.telemetry.frames import SIMULATED_DESTINATION
from tests.support.columns import decoded, light_curve, random_codes


def level1(*blocks, origin="flight", report=None):
    return make_level1(decoded(*blocks), load_clock(None), load_versions(), origin=origin, report=report)


def day_of_packets(*, seed=0, n_packets=6, n_bins=50, start="2021-01-16T23:58:00", **fields):
    """Packets one behind the other, across midnight by default."""
    coarse, fine = load_clock(None).to_scet(np.array([start], dtype="datetime64[ns]"))
    return [
        light_curve(
            random_codes(seed + i, n_bins),
            coarse=int(coarse[0]) + 4 * n_bins * i,
            fine=int(fine[0]),
            **fields,
        )
        for i in range(n_packets)
    ]


def light_curve_dataset(**fields):
    """One light curve of some minutes."""
    origin = "simulated" if fields.get("destination") == SIMULATED_DESTINATION else "flight"
    (ds,) = level1(*day_of_packets(**fields), origin=origin)
    return ds
