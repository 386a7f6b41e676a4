"""A small dataset of every product type, made through packets."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xarray as xr

from stixlab.products.formats.fits import write_fits
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.products.level1 import make_level1
from stixlab.simulation.request_packets import (
    aspect_packets,
    pixel_packets,
    raw_pixel_packets,
    spectrogram_packets,
    visibility_packets,
)
from stixlab.simulation.requests import SUMMED_PIXELS, AspectSamples, Visibilities
from tests.support import quicklooks as ql
from tests.support.light_curves import light_curve_dataset
from tests.support.requests import CLOCK, NEW, VERSIONS, asked, leaving, level1, pixels, spectrogram

__all__ = ["CREATED", "PRODUCTS", "REQUESTS", "there_and_back"]

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_CHANNELS = tuple(range(32))


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 200, shape)


def _quicklook(*blocks) -> xr.Dataset:
    (ds,) = make_level1(ql.decoded(*blocks), CLOCK, VERSIONS)
    return ds


def _spectra() -> xr.Dataset:
    """The second time lacks the spectra of 24 detectors."""
    blocks = [ql.spectra(range(32), [0] * 32, _numbers(32, 32))]
    return _quicklook(*blocks, ql.spectra(range(8), [0] * 8, _numbers(8, 32), coarse=ql.START + 2048))


def _flare_list() -> xr.Dataset:
    """Two flares, none, one."""
    one, other = (1, 2, 3, 4, 5, 6, 7), (8, 9, 10, 11, 12, 13, 14)
    sent = ql.START
    return _quicklook(
        ql.flare_list([one, other]), ql.flare_list([], sent=sent + 60), ql.flare_list([other], sent=sent + 90)
    )


def _calibration() -> xr.Dataset:
    three = ((25, 2, 200), (200, 1, 250), (23, 24, 450))
    points = [(4, 2, i, _numbers(p[0])) for i, p in enumerate(three)]
    return _quicklook(ql.calibration(points, mask=7, subspectra=three))


def _visibility() -> xr.Dataset:
    rng = np.random.default_rng(5)
    data = Visibilities(
        start_tenths=11 + 40 * np.arange(3),
        duration_tenths=np.full(3, 40),
        real=rng.integers(-900, 900, (3, 4, 5)),
        imaginary=rng.integers(-900, 900, (3, 4, 5)),
        flux=rng.integers(0, 5000, (3, 4)),
        triggers=rng.integers(0, 5000, (3, 16)),
        detector_mask=0b11111 << 3,
        energy_low=(3, 4, 6, 9),
        energy_high=(3, 5, 8, 12),
    )
    return level1(visibility_packets(asked(counts_scheme=(1, 3, 4)), data, leaving(), VERSIONS))


def _aspect() -> xr.Dataset:
    data = AspectSamples(start_ticks=NEW << 16, volts=_numbers(40, 4), averaging=8, summing=16)
    return level1(aspect_packets(data, leaving(), VERSIONS))


REQUESTS: dict[str, Callable[[], xr.Dataset]] = {
    "sci-xray-rpd": lambda: level1(
        raw_pixel_packets(
            asked(), pixels(3, 32, energy_low=_CHANNELS, energy_high=_CHANNELS), leaving(), VERSIONS
        )
    ),
    "sci-xray-cpd": lambda: level1(
        pixel_packets(
            asked(), pixels(mask=0xFFFF_FCFF, sets=tuple(1 << p for p in range(8))), leaving(), VERSIONS
        )
    ),
    "sci-xray-scpd": lambda: level1(
        pixel_packets(asked(), pixels(sets=SUMMED_PIXELS), leaving(), VERSIONS, ssid=22)
    ),
    "sci-xray-vis": _visibility,
    "sci-xray-spec": lambda: level1(spectrogram_packets(asked(), spectrogram(), leaving(), VERSIONS)),
    "sci-aspect-burst": _aspect,
}
"""Data requests."""
PRODUCTS: dict[str, Callable[[], xr.Dataset]] = {
    "ql-lightcurve": light_curve_dataset,
    "ql-background": lambda: _quicklook(
        ql.background(_numbers(9, 5)), ql.background(_numbers(4, 5), coarse=ql.START + 900)
    ),
    "ql-spectra": _spectra,
    "ql-variance": lambda: _quicklook(ql.variance(_numbers(9)), ql.variance([1, 2], coarse=ql.START + 500)),
    "ql-flareflag": lambda: _quicklook(
        ql.flare_flags([1, 2, 3], progress=[0, 1, 1], y=-5, z=7), ql.flare_flags([4], coarse=ql.START + 99)
    ),
    "ql-tmstatusflarelist": _flare_list,
    "cal-spectra": _calibration,
    **REQUESTS,
}
"""Every product type but housekeeping, whose packets are real ones."""


def there_and_back(ds: xr.Dataset, path: Path, **options) -> xr.Dataset:
    """The dataset as it comes back from a file."""
    write_fits(ds, path, version=1, created=CREATED, **options)
    return read_fits(path, CLOCK)
