"""Which clock the times of a product come from, and how accurate they are: attributes and keywords of files."""

from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits

from stixlab.ephemeris import load_clock, load_ephemerides
from stixlab.idb import load_versions
from stixlab.products.ephemeris import make_ephemeris
from stixlab.products.formats.fits import write_fits
from stixlab.products.formats.fits_dialects import read_fits
from stixlab.products.level1 import make_level1, merge
from tests.support.quicklooks import START, background, decoded

VERSIONS = load_versions()
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
KERNEL = "solo_ANC_soc-sclk_20200922_V01.tsc"


def level1(clock, start=START):
    (ds,) = make_level1(decoded(background(np.full((8, 5), 3), coarse=start)), clock, VERSIONS)
    return ds


@pytest.fixture
def joined(real_data):
    return load_clock(real_data / "spice" / "stix_min.tm")


def test_a_product_names_the_part_of_the_clock_that_held(joined, tmp_path):
    """Within the kernel of 2020-09 to a millisecond, behind it by the table, to half a second."""
    shipped = load_clock()
    within, behind = level1(joined, 645_000_000), level1(joined, 721_439_853)
    assert (within.attrs["clock"], within.attrs["clock_accuracy_s"]) == (KERNEL, 0.001)
    assert (behind.attrs["clock"], behind.attrs["clock_accuracy_s"]) == (shipped.source, 0.5)
    assert np.abs(
        behind.time.to_numpy() - level1(shipped, 721_439_853).time.to_numpy()
    ).max() < np.timedelta64(1, "us")
    for number, ds in enumerate((within, behind)):
        path = tmp_path / f"{number}.fits"
        write_fits(ds, path, version=1, created=CREATED)
        header = fits.getheader(path)
        assert (header["CLOCK"], header["CLKACC"]) == (ds.attrs["clock"], ds.attrs["clock_accuracy_s"])
        assert header.comments["CLKACC"] == "[s] how far UTC may be off by that clock"
        assert read_fits(path, shipped).attrs["clock_accuracy_s"] == ds.attrs["clock_accuracy_s"]


def test_of_a_merged_product_the_worse_accuracy_counts(joined):
    merged = merge([level1(joined, 645_000_000), level1(joined, 721_439_853)])
    assert merged.attrs["clock_accuracy_s"] == 0.5
    assert set(merged.attrs["clock"].split(", ")) == {KERNEL, load_clock().source}
    of_others = level1(joined, 645_000_000)
    del of_others.attrs["clock_accuracy_s"]
    assert "clock_accuracy_s" not in merge([of_others, level1(joined, 721_439_853)]).attrs, (
        "of one part it is not known"
    )


def test_the_ephemeris_of_a_day_names_it_too(joined):
    ds = make_ephemeris(np.datetime64("2022-11-10"), load_ephemerides(), joined)
    assert (ds.attrs["clock"], ds.attrs["clock_accuracy_s"]) == (load_clock().source, 0.5)


def test_requests_name_it_too():
    from tests.support.fits_products import REQUESTS

    assert REQUESTS["sci-xray-cpd"]().attrs["clock_accuracy_s"] == load_clock().accuracy_s
