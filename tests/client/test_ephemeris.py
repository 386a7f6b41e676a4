"""Time and place as users ask for them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stixlab.client.ephemeris import (
    AUX_TYPES,
    get_attitude,
    get_ephemeris,
    get_flare,
)
from stixlab.errors import ParameterError, TimeError
from stixlab.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, spice=None)


@pytest.fixture
def imported(real_data: Path):
    """Stores that know the auxiliary products of the shared data, by their days."""

    class Products:
        def find(self, *, type: str, start=None, end=None):
            if type != AUX_TYPES[0]:
                return []
            found = sorted((real_data / "aux").glob("*.fits"))
            days = [np.datetime64(f"{p.name[27:31]}-{p.name[31:33]}-{p.name[33:35]}") for p in found]
            low, high = (np.datetime64(t.replace(tzinfo=None)) for t in (start, end))
            day = np.timedelta64(1, "D")
            return [
                SimpleNamespace(fits=p, provenance={"imported": p.name})
                for p, d in zip(found, days, strict=True)
                if d < high and d + day > low
            ]

    return {
        "catalog": SimpleNamespace(products=Products()),
        "archive": SimpleNamespace(path=lambda key: key),
    }


def test_imported_products_are_used_and_named(settings: Settings, imported) -> None:
    place = get_ephemeris("2022-11-11T12:00", settings=settings, **imported)
    assert place.source == "solo_L2_stix-aux-ephemeris_20221111_V01.fits"
    assert get_ephemeris("2022-11-11T12:00", settings=settings).kind == "table"
    attitude = get_attitude(["2022-11-11T00:00:10", "2022-11-11T23:59:55"], settings=settings, **imported)
    assert attitude.valid.all()
    assert not get_attitude("2022-11-11", settings=settings).valid


def test_kernels_of_the_settings_are_used(tmp_path: Path, real_data: Path) -> None:
    settings = Settings(home=tmp_path, spice=real_data / "spice" / "stix_min.tm")
    assert get_ephemeris("2021-03-01", settings=settings).kind == "kernel"
    assert get_ephemeris("2021-03-01", settings=settings, kind="table").kind == "table"


def test_a_flare_is_seen_from_both_sides(settings: Settings, imported) -> None:
    flare = get_flare("2022-11-11T12:00", 100, 200, settings=settings, **imported)
    assert flare.on_disk
    assert flare.ephemeris.kind == "product"
    with pytest.raises(ParameterError, match="one time"):
        get_flare(["2022-11-11", "2022-11-12"], 0, 0, settings=settings)


def test_a_time_that_no_kernel_covers_is_told_with_what_is_covered(tmp_path: Path, real_data: Path) -> None:
    settings = Settings(home=tmp_path, spice=real_data / "spice" / "stix_min.tm")
    with pytest.raises(TimeError, match=r"found 2045-01-01.*covered: kernels .* to .*STIXLAB_SPICE"):
        get_ephemeris("2045-01-01", settings=settings, kind="kernel")
    with pytest.raises(TimeError, match="expected UTC such as"):
        get_ephemeris("01/02/2022", settings=settings)
    with pytest.raises(TimeError, match="expected a meta-kernel or a folder"):
        get_ephemeris("2021-01-01", settings=Settings(home=tmp_path, spice=tmp_path / "none.tm"))
