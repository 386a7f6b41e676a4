"""A small data center in memory: one simulated day of light curves, two flares, nothing on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from stixlab.errors import CatalogError, NotInCatalogError
from stixlab.model import Flare, Product
from stixlab.vocabulary import SIMULATED

DAY = np.datetime64("2021-06-06", "ns")
NEXT = np.datetime64("2021-06-07", "ns")
BIN_S = 4
EDGES = np.array([4, 10, 15, 25, 50, 84], dtype=np.float32)


def light_curve(*, hours: float = 24.0, origin: str = SIMULATED, seed: int = 1) -> xr.Dataset:
    """Quicklook light curve: a flat background and a flare at 08:00 and at 17:00."""
    n = int(hours * 3600 / BIN_S)
    step = np.timedelta64(BIN_S, "s")
    start = DAY + np.arange(n) * step
    seconds = np.arange(n) * BIN_S
    rate = np.array([300.0, 160, 90, 60, 30])[None, :] * np.ones((n, 1))
    for peak, height in ((8 * 3600, 4000.0), (17 * 3600, 900.0)):
        shape = np.exp(-np.abs(seconds - peak) / np.where(seconds < peak, 60, 300))
        rate = rate + height * shape[:, None] * np.array([1.0, 0.3, 0.1, 0.02, 0.0])
    counts = np.random.default_rng(seed).poisson(rate).astype("u4")
    bounds = np.stack([start, start + step], axis=1)
    energy = np.stack([EDGES[:-1], EDGES[1:]], axis=1)
    along = ("time",)
    ds = xr.Dataset(
        {
            "counts": (("time", "energy"), counts, {"units": "ct", "ancillary_variables": "counts_error"}),
            "counts_error": (("time", "energy"), np.sqrt(counts + 1).astype("f4"), {"units": "ct"}),
            "counts_compression_error": (("time", "energy"), np.ones(counts.shape, "f4"), {"units": "ct"}),
            "triggers": (along, counts.sum(axis=1, dtype="u4"), {"units": "ct", "long_name": "triggers"}),
            "triggers_error": (along, np.ones(n, "f4"), {"units": "ct", "long_name": "compression error"}),
            "rate_control_state": (along, np.zeros(n, "u1"), {"units": "1", "long_name": "rate control state"}),
            "integration_time": (along, np.full(n, BIN_S, "f4"), {"units": "s"}),
        },
        coords={
            "time": (along, bounds[:, 0] + step // 2),
            "energy": ("energy", energy.mean(axis=1), {"units": "keV"}),
            "time_bounds": (("time", "bound"), bounds),
            "energy_bounds": (("energy", "bound"), energy, {"units": "keV"}),
        },
        attrs={
            "product": "ql-lightcurve", "level": "L1", "origin": origin, "software_version": "0",
            "idb_version": "2.26.35", "source_sha256": "ab" * 32,
        },
    )  # fmt: skip
    return ds.chunk({"time": 4096})


def flare(hour: int, counts: float, *, origin: str = SIMULATED) -> Flare:
    peak = datetime(2021, 6, 6, hour, 0, 2, tzinfo=UTC)
    return Flare(
        flare_id=f"{peak:%y%m%d%H%M}", origin=origin, start=peak - timedelta(minutes=2), peak=peak,
        end=peak + timedelta(minutes=9), duration=660.0, peak_counts=counts, background_counts=310.0,
        significance=88.0, total_counts=1e5, signal_counts=8e4,
        peak_counts_by_band=(counts, counts / 3, 100, 70, 40), upper_band=2, attenuator=False,
    )  # fmt: skip


def product(origin: str = SIMULATED) -> Product:
    start = datetime(2021, 6, 6, tzinfo=UTC)
    return Product(
        product_id=f"L1_ql-lightcurve_20210606_{origin}", type="ql-lightcurve", level="L1", origin=origin,
        start=start, end=start + timedelta(days=1), version=1, content_sha256="ab" * 32, n_times=21600,
        zarr="zarr/x.zarr", fits="fits/L1/2021/06/06/QL/light.fits", fits_bytes=2880,
    )  # fmt: skip


@dataclass
class SmallLab:
    """What the faces need of a lab; `away` makes its database fall silent."""

    home: Path
    data: xr.Dataset = field(default_factory=light_curve)
    away: bool = False
    empty: bool = False
    hidden: list[Product] = field(default_factory=list)
    found: list[Flare] = field(default_factory=lambda: [flare(8, 4300.0), flare(17, 1200.0)])

    def __post_init__(self) -> None:
        folder = self.home / "archive" / "fits" / "L1" / "2021" / "06" / "06" / "QL"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "light.fits").write_bytes(b"SIMPLE  =                    T".ljust(2880))
        self.archive = SimpleNamespace(root=self.home / "archive")
        stores = SimpleNamespace(find=self._flares), SimpleNamespace(latest=self._latest, find=self._hidden)
        self.catalog = SimpleNamespace(flares=stores[0], products=stores[1])

    def open(
        self,
        type: str,
        start: Any = DAY,
        end: Any = NEXT,
        *,
        origin: str | None = None,
    ) -> xr.Dataset:
        self._answer()
        if self.empty:
            raise NotInCatalogError(f"{type}: there is none yet")
        ds = self.data.sel(time=slice(start, end - np.timedelta64(1, "ns")))
        if not ds.sizes["time"] or (origin and origin != self.data.attrs["origin"]):
            raise NotInCatalogError(f"{type}: nothing from {start} to {end}", nearest=self._latest())
        return ds

    def products(self, **filters: Any) -> list[Product]:
        self._answer()
        one = product(self.data.attrs["origin"])
        return [one] if filters.get("type") in (None, one.type) and not self.empty else []

    def _hidden(self, *, hidden: bool) -> list[Product]:
        assert hidden
        return self.hidden

    def _latest(self, **filters: Any) -> Product | None:
        found = self.products(type=filters.get("type"))
        return next((p for p in found if filters.get("origin") in (None, p.origin)), None)

    def _flares(
        self, *, start: datetime, end: datetime, min_counts: float = 0, origin: str | None = None
    ) -> list[Flare]:
        self._answer()
        return [
            f
            for f in self.found
            if start <= f.peak < end and f.peak_counts >= min_counts and origin in (None, f.origin)
        ]

    def _answer(self) -> None:
        if self.away:
            raise CatalogError("database at 127.0.0.1:27017: no answer; start it", address="127.0.0.1:27017")
