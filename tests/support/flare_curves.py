"""Light curves with flares of known times and sizes, without packets."""

from datetime import UTC, datetime

import numpy as np
import xarray as xr

from stixlab.simulation.instrument import observe
from stixlab.simulation.sun import flare_light, make_flare
from stixlab.telemetry.compression import compress, decompress

T0 = np.datetime64("2022-03-01T00:00:00", "ns")
EDGES = np.array([[4, 10], [10, 15], [15, 25], [25, 50], [50, 84]], dtype=float)


def minute(n):
    """UTC of that minute after the start of all curves here."""
    return T0 + np.timedelta64(round(n * 60e9), "ns")


def moment(time):
    """A numpy time as an aware datetime."""
    return time.astype("datetime64[us]").item().replace(tzinfo=UTC)


def seconds_between(a: datetime, b: np.datetime64) -> float:
    return abs((a - moment(b)).total_seconds())


def curve(flares=(), *, minutes=360, bin_s=4.0, seed=0, noise=True, compressed=True, origin="flight"):
    """A light-curve dataset; `flares` are (minute of the peak, size) or `SolarFlare`."""
    sun = [f if hasattr(f, "size") else make_flare(minute(f[0]), f[1]) for f in flares]
    n = int(minutes * 60 / bin_s)
    step = np.timedelta64(round(bin_s * 1e9), "ns")
    start = T0 + np.arange(n) * step
    fine = start[:, None] + np.arange(0, max(int(bin_s), 1)) * np.timedelta64(1, "s")
    light = flare_light(fine.ravel(), sun).reshape(n, fine.shape[1], 5).mean(axis=1)
    seen = observe(start, light, np.random.default_rng(seed))
    counts = np.random.default_rng(seed).poisson((seen_mean(start, light)) * bin_s / 4) if noise else None
    counts = np.rint(seen_mean(start, light) * bin_s / 4).astype(int) if counts is None else counts
    if compressed:
        counts, _ = decompress(compress(counts, 0, 5, 3), 0, 5, 3)
    bounds = np.stack([start, start + step], axis=1)
    return xr.Dataset(
        {
            "counts": (("time", "energy"), counts.astype("u4")),
            "rate_control_state": ("time", seen.rate_control_state),
            "integration_time": ("time", np.full(n, bin_s, "f4")),
        },
        coords={
            "time": bounds[:, 0] + step // 2,
            "time_bounds": (("time", "bound"), bounds),
            "energy_bounds": (("energy", "bound"), EDGES),
        },
        attrs={"origin": origin, "product": "ql-lightcurve", "level": "L1"},
    )


def seen_mean(time, light):
    """Expected counts in 4 s, the attenuator's share taken off where it is in."""
    from stixlab.simulation.instrument import BACKGROUND, TRANSMISSION, _rate_control

    inside = _rate_control(light[:, 0]) > 0
    return BACKGROUND + np.where(inside[:, None], light * TRANSMISSION, light)


def without(ds, first_minute, last_minute):
    """The same with the bins of some minutes missing."""
    start = ds["time_bounds"].values[:, 0]
    return ds.isel(time=np.flatnonzero((start < minute(first_minute)) | (start >= minute(last_minute))))
