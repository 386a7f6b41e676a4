"""Reduced levels: equal to the plain definition, kept right when days change, small enough for years."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stixlab.archive.bookkeeping import rebuild_contents
from stixlab.archive.contents import read_contents
from stixlab.archive.levels import WIDTHS_S, choose_width, open_levels, reducible
from stixlab.archive.reduction import reduce_bins
from stixlab.archive.spans import open_span
from stixlab.errors import ArchiveError, NotInCatalogError, ParameterError
from tests.support.archives import TABLE, dates, day_dataset, fill, filled, store_day, update

DAYS = dates("2021-06-29", 4)


def reduced(archive, width_s=600, *span, **chosen):
    (ds,) = open_levels(
        archive, "ql-lightcurve", *(np.datetime64(t, "ns") for t in span), width_s=width_s, **chosen
    )
    return ds


@given(
    seconds=st.lists(st.integers(0, 3 * 86_400), min_size=0, max_size=60),
    width=st.sampled_from([60, 600, 7_200, 86_400]),
    data=st.data(),
)
def test_each_bin_holds_smallest_mean_and_largest_of_its_samples(seconds, width, data):
    times = np.datetime64("2021-06-06", "ns") + np.sort(np.array(seconds, dtype="timedelta64[s]"))
    values = data.draw(hnp.arrays(np.uint16, (len(seconds), 3)))
    found = reduce_bins(times, {"counts": values}, width)
    start = times.astype("datetime64[s]").astype(np.int64) // width * width
    assert found["time"].tolist() == [int(s) * 10**9 for s in np.unique(start)]
    for number, begin in enumerate(np.unique(start)):
        of_bin = values[start == begin]
        assert found["n_samples"][number] == len(of_bin)
        expected = np.stack([of_bin.min(axis=0), of_bin.mean(axis=0), of_bin.max(axis=0)])
        np.testing.assert_allclose(found["counts"][:, number], expected, rtol=1e-6)


def test_what_was_not_transmitted_does_not_count():
    times = np.datetime64("2021-06-06", "ns") + np.arange(4) * np.timedelta64(10, "s")
    values = {"a": np.array([5.0, 0.0, 7.0, 0.0], np.float32), "b": np.array([1.0, np.nan, 3.0, np.nan])}
    found = reduce_bins(times, values, 20, {"a": np.array([True, False, False, False])})
    np.testing.assert_array_equal(found["a"], [[5, np.nan], [5, np.nan], [5, np.nan]])
    np.testing.assert_array_equal(found["b"], [[1, 3], [1, 3], [1, 3]])


@pytest.mark.parametrize("width", WIDTHS_S["ql-lightcurve"])
def test_levels_are_what_the_full_data_say(tmp_path, width):
    archive, _, _ = filled(tmp_path, *DAYS)
    full = open_span(archive, "ql-lightcurve").load()
    expected = reduce_bins(full["time"].to_numpy(), {"counts": full["counts"].to_numpy()}, width)
    ds = reduced(archive, width, names=["counts"])
    np.testing.assert_array_equal(ds["time_bounds"][:, 0].astype(np.int64), expected["time"])
    for name, values in zip(("counts_min", "counts", "counts_max"), expected["counts"], strict=True):
        np.testing.assert_array_equal(ds[name], values)
    np.testing.assert_array_equal(ds["energy_bounds"], full["energy_bounds"])
    assert ds["n_samples"].sum() == full.sizes["time"]
    assert ds["counts"].attrs["units"] == "count"
    assert ds.attrs["bin_width_s"] == width


def test_masks_errors_and_clocks_are_not_averaged(tmp_path):
    archive, _, _ = filled(tmp_path, DAYS[0])
    (form,) = read_contents(archive, "L1", "ql-lightcurve", "flight").forms.values()
    assert reducible(form) == ["counts", "integration_time", "rate_control_state", "triggers"]


def test_a_day_that_changes_changes_its_bins_alone(tmp_path):
    archive, catalog, _ = filled(tmp_path, *DAYS)
    before = reduced(archive)
    store_day(archive, catalog, day_dataset(DAYS[1], seed=99, n_bins=300))
    update(archive, catalog, DAYS[1:2])
    after = reduced(archive)
    days = [ds["time"].to_numpy().astype("datetime64[D]") for ds in (before, after)]
    for day in DAYS:
        chosen = [
            ds["counts"].to_numpy()[d == np.datetime64(day)]
            for ds, d in zip((before, after), days, strict=True)
        ]
        assert np.array_equal(*chosen) == (day != DAYS[1])


def test_the_order_in_which_days_come_does_not_show(tmp_path):
    """What a level holds follows from the datasets alone; its name follows from what it holds."""
    archive, catalog, _ = filled(tmp_path / "a", *DAYS)
    other, others, _ = fill(tmp_path / "b", *DAYS)
    for day in (DAYS[2], DAYS[0], DAYS[3]):
        gone = next(p for p in others.products.find() if day.replace("-", "") in p.product_id)
        others.products.delete(gone.product_id)
        update(other, others, [day])
        others.products.save(gone)
        update(other, others, [day])
    table = [read_contents(a, "L1", "ql-lightcurve", "flight") for a in (archive, other)]
    assert table[0].as_document() == table[1].as_document()
    assert not rebuild_contents(archive, catalog.products.find(), **TABLE)


def test_a_day_without_data_leaves_no_bins(tmp_path):
    archive, catalog, _ = filled(tmp_path, *DAYS[:2])
    catalog.products.delete("L1_ql-lightcurve_20210630_flight")
    update(archive, catalog, DAYS[:2])
    assert set(reduced(archive, 60)["time"].to_numpy().astype("datetime64[D]").astype(str)) == {DAYS[0]}
    catalog.products.delete("L1_ql-lightcurve_20210629_flight")
    update(archive, catalog, DAYS[:2])
    assert read_contents(archive, "L1", "ql-lightcurve", "flight").levels == ()
    with pytest.raises(NotInCatalogError):
        reduced(archive)


def test_a_level_that_is_named_again_stays(tmp_path):
    """Deleted and brought back: the mark that lets it be removed must not stay."""
    archive, catalog, _ = filled(tmp_path, *DAYS[:2])
    gone = catalog.products.get("L1_ql-lightcurve_20210630_flight")
    catalog.products.delete(gone.product_id)
    update(archive, catalog, DAYS[:2])
    catalog.products.save(gone)
    update(archive, catalog, DAYS[:2])
    for level in read_contents(archive, "L1", "ql-lightcurve", "flight").levels:
        path = archive.path(level.key)
        assert path.exists()
        assert not path.with_name(f".replaced-{path.name}").exists()


def test_only_bins_that_touch_the_range(tmp_path):
    archive, _, _ = filled(tmp_path, *DAYS, n_bins=300)
    ds = reduced(archive, 600, "2021-06-30T00:05", "2021-07-01T00:10")
    assert ds["time_bounds"][:, 0].to_numpy().astype("datetime64[m]").astype(str).tolist() == [
        "2021-06-30T00:00",
        "2021-06-30T00:10",
        "2021-06-30T00:20",
        "2021-07-01T00:00",
    ]


def test_times_of_other_energies_come_apart(tmp_path):
    from tests.support.light_curves import day_of_packets, level1

    archive, catalog, _ = filled(tmp_path, DAYS[0])
    mask = sum(1 << e for e in (1, 7, 12, 17, 23, 31))
    (other,) = level1(*day_of_packets(n_packets=2, start=f"{DAYS[1]}T00:01:00", edge_mask=mask))
    store_day(archive, catalog, other)
    update(archive, catalog, DAYS[:2])
    first, second = open_levels(archive, "ql-lightcurve", width_s=86_400)
    assert str(first["time"].to_numpy()[0])[:10] == DAYS[0]
    assert second["energy_bounds"].to_numpy()[-1, 1] != first["energy_bounds"].to_numpy()[-1, 1]


def test_five_years_come_from_less_than_200_kilobytes(tmp_path):
    """A point a day, with smallest, mean and largest of five bands; the size of what would be read."""
    rng = np.random.default_rng(1)
    times = np.datetime64("2020-01-01T12", "ns") + np.arange(1826) * np.timedelta64(1, "D")
    values = rng.integers(0, 100_000, (1826, 5))
    arrays = reduce_bins(times, {"counts": values}, choose_width("ql-lightcurve", 1826 * 86_400.0, 2_000))
    assert sum(a.nbytes for a in arrays.values()) < 200_000
    assert len(arrays["time"]) == 1826


@pytest.mark.parametrize(
    ("days", "width"), [(0.5, 60), (2, 60), (20, 600), (300, 7_200), (1826, 86_400), (90_000, 86_400)]
)
def test_the_width_follows_the_span(days, width):
    assert choose_width("ql-lightcurve", days * 86_400, 4_000) == width
    assert choose_width("sci-xray-cpd", days * 86_400, 4_000) == 0


def test_what_there_is_not_is_told(tmp_path):
    archive, _, _ = filled(tmp_path, DAYS[0])
    with pytest.raises(ParameterError, match="60, 600, 7200, 86400; found 17"):
        open_levels(archive, "ql-lightcurve", width_s=17)
    with pytest.raises(ParameterError, match=r"expected variables of counts, .* found nothing"):
        reduced(archive, names=["nothing"])
    level = next(
        v for v in read_contents(archive, "L1", "ql-lightcurve", "flight").levels if v.width_s == 600
    )
    path: Path = archive.path(level.key)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArchiveError, match="--repair"):
        reduced(archive)
