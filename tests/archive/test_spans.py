"""Spans of time as one lazy dataset: equal to the datasets themselves, read only where asked."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from stixlab.archive import stored_arrays, time_axis
from stixlab.archive.contents import list_products, make_row, put_rows, read_contents, write_contents
from stixlab.archive.layout import contents_key
from stixlab.archive.spans import has_data, list_spans, open_span
from stixlab.bench.measurement import bytes_read
from stixlab.datasets.energy_axis import band_ranges, energy_table, has_changing_energies
from stixlab.datasets.registry import SPECS
from stixlab.errors import ArchiveError, NotInCatalogError, SchemaError
from stixlab.products.formats.zarr import open_many
from stixlab.vocabulary import check
from tests.support.archives import TABLE, dates, day_dataset, fill, filled, store_day, update
from tests.support.light_curves import day_of_packets, level1

DAYS = dates("2021-06-05", 4)


def time(text):
    return np.datetime64(text, "ns")


@pytest.fixture
def archive(tmp_path):
    return filled(tmp_path / "archive", *DAYS)[0]


@pytest.fixture(params=["read at once", "long"])
def span(archive, request, monkeypatch):
    """The same span with its times read at once, and left on the disk."""
    if request.param == "long":
        monkeypatch.setattr(time_axis, "_SHORT_TIMES", 5)
    return open_span(archive, "ql-lightcurve")


def whole(archive):
    rows = read_contents(archive, "L1", "ql-lightcurve", "flight").rows
    return open_many([archive.path(r.key) for r in rows]).load()


def test_a_span_is_what_its_datasets_are(archive, span):
    expected = whole(archive)
    assert span.attrs["time_coverage_start"] == "2021-06-05T00:00:59.999Z"
    assert {*span.coords} == {*expected.coords}
    for name, variable in expected.variables.items():
        found = span.variables[name]
        assert (found.dims, found.dtype, found.attrs) == (variable.dims, variable.dtype, variable.attrs)
        np.testing.assert_array_equal(found, variable)
    assert {k: v for k, v in span.attrs.items() if k[:4] != "time"} == {
        k: v for k, v in expected.attrs.items() if k[:4] != "time"
    }


def test_it_meets_its_declaration(span):
    check(span, SPECS["ql-lightcurve"])


def test_opening_reads_no_counts(archive, monkeypatch):
    """Only the table of contents and the limits of the first and last bin, however long the span is."""
    monkeypatch.setattr(time_axis, "_SHORT_TIMES", 5)
    read = []
    original = stored_arrays._open
    monkeypatch.setattr(
        stored_arrays, "_open", lambda folder, name: read.append(name) or original(folder, name)
    )
    ds = open_span(archive, "ql-lightcurve")
    assert set(read) == {"time_bounds"}
    read.clear()
    ds["counts"].isel(time=slice(95, 100)).compute()
    assert read.count("counts") == 1


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2021-06-06", "2021-06-07"),
        ("2021-06-05T00:02:01", "2021-06-07T00:03"),
        ("2021-06-05T12", "2021-06-06T00:01:10"),
        (None, "2021-06-06T00:03"),
        ("2021-06-08T00:03", None),
    ],
)
def test_bins_whose_middle_lies_within(archive, start, end):
    start, end = (None if t is None else time(t) for t in (start, end))
    times = whole(archive)["time"].to_numpy()
    chosen = np.ones(len(times), bool) if start is None else times >= start
    chosen &= True if end is None else times < end
    found = open_span(archive, "ql-lightcurve", start, end)
    np.testing.assert_array_equal(found["time"], times[chosen])
    assert found["counts"].shape == (chosen.sum(), 5)
    assert has_data(read_contents(archive, "L1", "ql-lightcurve", "flight"), start, end)


def test_nothing_in_a_range_is_told_with_what_there_is(archive):
    with pytest.raises(NotInCatalogError, match="2021-06-05 to 2021-06-08"):
        open_span(archive, "ql-lightcurve", time("2022-01-01"), time("2022-02-01"))
    with pytest.raises(NotInCatalogError, match="none at all yet"):
        open_span(archive, "ql-background")
    assert not has_data(read_contents(archive, "L1", "ql-lightcurve", "flight"), time("2022-01-01"), None)


def test_a_gap_between_days_is_no_gap_in_the_numbers(tmp_path):
    archive, _, parts = filled(tmp_path, "2021-06-05", "2021-06-09")
    ds = open_span(archive, "ql-lightcurve", time("2021-06-04"), time("2021-06-20"))
    assert ds.sizes["time"] == sum(p.sizes["time"] for p in parts)


def test_selections_are_those_of_a_plain_dataset(archive, span):
    plain = whole(archive)
    first = plain["time"].to_numpy()[7]
    for key in (
        "2021-06-07",
        "2021-06-06T00:03",
        "2021-06-06T12",
        slice("2021-06-06", "2021-06-07"),
        slice("2021-06-06T00:02:30", None),
        slice(None, time("2021-06-06T00:02:30")),
        slice("2021-06-05T00:02", "2021-06-05T00:04", 2),
        first,
        [first, plain["time"].to_numpy()[200]],
    ):
        xr.testing.assert_equal(span["counts"].sel(time=key).compute(), plain["counts"].sel(time=key))
    for method in ("nearest", "ffill", "bfill"):
        key = first + np.timedelta64(1, "s")
        xr.testing.assert_equal(
            span["counts"].sel(time=key, method=method).compute(),
            plain["counts"].sel(time=key, method=method),
        )
    for key in (3, slice(2, 300, 7), slice(None, None, -1), [5, 3, 100], slice(-4, None)):
        xr.testing.assert_equal(span["counts"].isel(time=key).compute(), plain["counts"].isel(time=key))
    for wrong in (time("2021-06-06T12"), "2022-06-06T12", [time("2020-01-01")]):
        with pytest.raises(KeyError):
            span["counts"].sel(time=wrong)


def test_a_long_span_can_be_reckoned_with(archive, span):
    plain = whole(archive)
    xr.testing.assert_allclose(
        (span.counts / span.integration_time).mean("time").compute(),
        (plain.counts / plain.integration_time).mean("time"),
    )
    daily = span.counts.resample(time="1D").sum().compute()
    xr.testing.assert_equal(daily, plain.counts.resample(time="1D").sum())
    assert "time" in repr(span)


def add_day(archive, catalog, day, edges, n_bands=5):
    """A day of light curves with bands of its own, stored."""
    mask = sum(1 << e for e in edges)
    other = level1(*day_of_packets(n_packets=2, start=f"{day}T00:01:00", edge_mask=mask))[0]
    other = other.isel(energy=slice(n_bands))
    store_day(archive, catalog, other)
    update(archive, catalog, [day])
    return other


@pytest.fixture(params=["read at once", "long"])
def changed(tmp_path, request, monkeypatch):
    """Two days, a third with another last band, a fourth as the first two."""
    if request.param == "long":
        monkeypatch.setattr(time_axis, "_SHORT_TIMES", 5)
    archive, catalog, _ = filled(tmp_path, *DAYS[:2], DAYS[3])
    return archive, add_day(archive, catalog, DAYS[2], (1, 7, 12, 17, 23, 31))


def test_bands_that_lie_elsewhere_on_a_day_are_joined_with_bounds_along_time(changed):
    archive, other = changed
    ds = open_span(archive, "ql-lightcurve")
    usual = open_span(archive, "ql-lightcurve", time(DAYS[0]), time(DAYS[1]))
    assert ds["energy_bounds"].dims == ("time", "energy", "bound")
    assert ds["energy_bounds"].chunks  # made where it is asked for
    assert ds.sizes["time"] == 3 * 90 + other.sizes["time"]
    times = ds["time"].to_numpy()
    there = (times >= time(DAYS[2])) & (times < time(DAYS[3]))
    bounds = ds["energy_bounds"].to_numpy()
    np.testing.assert_array_equal(bounds[there], np.broadcast_to(other["energy_bounds"], bounds[there].shape))
    np.testing.assert_array_equal(
        bounds[~there], np.broadcast_to(usual["energy_bounds"], bounds[~there].shape)
    )
    np.testing.assert_array_equal(ds["energy"], usual["energy"])  # of most bins
    np.testing.assert_array_equal(ds["counts"].sel(time=DAYS[2]), other["counts"])
    one_day = ds["energy_bounds"].sel(time=DAYS[2])
    assert one_day.shape == (other.sizes["time"], 5, 2)
    assert pickle.loads(pickle.dumps(ds))["energy_bounds"].sel(time=DAYS[2]).equals(one_day)


def test_what_is_joined_says_which_times_have_which_bands(changed):
    archive, other = changed
    told = open_span(archive, "ql-lightcurve").attrs["energy_spans"].split("; ")
    assert len(told) == 3
    start, end = (str(t)[:23] for t in other["time_bounds"].to_numpy()[[0, -1], [0, 1]])
    assert told[1].startswith(f"{start} to {end}: 5 bands, ")
    assert told[0].split(": ")[1] == told[2].split(": ")[1] != told[1].split(": ")[1]
    spans = list_spans(archive, read_contents(archive, "L1", "ql-lightcurve", "flight"))
    assert [str(s) for s in spans] == told
    assert [s.n_times for s in spans] == [180, other.sizes["time"], 90]
    assert spans[1].energies == tuple(map(tuple, other["energy_bounds"].to_numpy().tolist()))
    for span in spans:
        apart = open_span(archive, "ql-lightcurve", span.start, span.end)
        assert apart.sizes["time"] == span.n_times
        assert apart["energy_bounds"].dims == ("energy", "bound")
        assert "energy_spans" not in apart.attrs


def test_one_table_is_had_where_the_bands_do_not_change(changed):
    archive, other = changed
    ds = open_span(archive, "ql-lightcurve")
    np.testing.assert_array_equal(energy_table(ds.sel(time=DAYS[2])), other["energy_bounds"])
    with pytest.raises(SchemaError, match=rf"3 stretches .*{DAYS[2]}T00:0.* apart"):
        energy_table(ds)
    assert [len(b) for b in band_ranges(ds)].count(2) >= 1
    assert has_changing_energies(ds)


def test_bands_that_change_within_a_day_are_in_the_order_of_time(tmp_path):
    """Two datasets of a day, one between the bins of the other."""
    archive, catalog, (early,) = filled(tmp_path, DAYS[0])
    other = add_day(archive, catalog, DAYS[1], (1, 7, 12, 17, 23, 31))
    contents = read_contents(archive, **TABLE)
    outer = day_dataset(DAYS[1], n_bins=150)
    between = slice(40, 40 + 50)
    outer = xr.concat([outer.isel(time=slice(0, 15)), outer.isel(time=slice(-20, None))], "time", data_vars="minimal", coords="minimal", compat="override", join="override", combine_attrs="override")  # fmt: skip
    inner = other.isel(time=between)
    made = [
        make_row(archive, replace(catalog.products.find()[-1], product_id=f"p{i}", zarr=archive.store_dataset(ds, np.datetime64(DAYS[1]), f"{i}" * 64)))
        for i, ds in enumerate((outer, inner))
    ]  # fmt: skip
    write_contents(archive, put_rows(contents, [DAYS[1]], made))
    ds = open_span(archive, "ql-lightcurve")
    times = ds["time"].to_numpy()
    assert len(times) == early.sizes["time"] + 35 + 50
    assert (np.diff(times) > np.timedelta64(0)).all()
    chosen = ds.sel(time=slice(inner["time"].to_numpy()[0], inner["time"].to_numpy()[-1]))
    np.testing.assert_array_equal(chosen["counts"], inner["counts"])
    np.testing.assert_array_equal(energy_table(chosen), inner["energy_bounds"])


def test_another_number_of_bands_is_refused_with_the_ranges_to_open_apart(tmp_path):
    archive, catalog, _ = filled(tmp_path, *DAYS[:2])
    other = add_day(archive, catalog, DAYS[2], (1, 7, 12, 17, 23, 31), n_bands=4)
    start = str(other["time_bounds"].to_numpy()[0, 0])[:23]
    with pytest.raises(
        SchemaError, match=rf"from {start} on .* apart: .*: 5 bands.*; {start} to .*: 4 bands"
    ):
        open_span(archive, "ql-lightcurve")
    spans = list_spans(archive, read_contents(archive, **TABLE))
    assert [len(s.energies) for s in spans] == [5, 4]
    assert open_span(archive, "ql-lightcurve", spans[1].start, spans[1].end).sizes["energy"] == 4


def test_a_chunk_that_is_missing_is_no_row_of_zeros(archive):
    row = read_contents(archive, "L1", "ql-lightcurve", "flight").rows[2]
    ds = open_span(archive, "ql-lightcurve")
    (archive.path(row.key) / "counts" / "c" / "0" / "0").unlink()
    stored_arrays._open.cache_clear()
    with pytest.raises(ArchiveError, match="chunk counts/c/0/0 is missing"):
        ds["counts"].sel(time="2021-06-07").compute()
    assert ds["counts"].sel(time="2021-06-06").compute().size


def test_a_flipped_bit_is_told(archive):
    row = read_contents(archive, "L1", "ql-lightcurve", "flight").rows[1]
    path = archive.path(row.key) / "counts" / "c" / "0" / "0"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="damaged"):
        open_span(archive, "ql-lightcurve")["counts"].compute()


def test_a_day_that_changes_is_seen_by_whoever_opens_again(tmp_path):
    archive, catalog, _ = filled(tmp_path, *DAYS)
    before = open_span(archive, "ql-lightcurve")
    new = day_dataset(DAYS[1], seed=99, n_bins=120)
    store_day(archive, catalog, new)
    update(archive, catalog, DAYS[1:2])
    after = open_span(archive, "ql-lightcurve")
    assert after.sizes["time"] == before.sizes["time"] + 30
    np.testing.assert_array_equal(after["counts"].sel(time=DAYS[1]), new["counts"])
    assert before["counts"].sel(time=DAYS[1]).compute().shape == (90, 5)  # who has it open reads on


def test_the_same_again_changes_nothing(archive, tmp_path):
    table = archive.path("zarr/L1/ql-lightcurve/contents_flight.json")
    before = table.stat()
    catalog = fill(tmp_path / "archive", *DAYS)[1]
    assert not update(archive, catalog, DAYS)
    assert table.stat().st_mtime_ns == before.st_mtime_ns


def test_chunks_along_time_are_blocks(tmp_path, monkeypatch):
    from stixlab.products.formats import zarr as form

    monkeypatch.setattr(form, "CHUNK_TIMES", 64)
    archive, _, parts = fill(tmp_path, *DAYS[:2])
    ds = open_span(archive, "ql-lightcurve", time("2021-06-05T00:02"), None)
    assert ds["counts"].chunks[0] == (64 - 15, 26, 64, 26)
    np.testing.assert_array_equal(ds["counts"], np.concatenate([parts[0]["counts"][15:], parts[1]["counts"]]))


def test_a_damaged_table_is_told_with_its_cure(archive):
    path = archive.path("zarr/L1/ql-lightcurve/contents_flight.json")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ArchiveError, match="--repair"):
        open_span(archive, "ql-lightcurve")


def test_years_open_from_one_table(tmp_path):
    """Five years of days: one table, and no dataset but the first and the last is looked at."""
    archive, catalog, _ = filled(tmp_path, "2021-01-01", n_bins=30)
    contents = read_contents(archive, **TABLE)
    (product,) = catalog.products.find()
    row, form, attrs = make_row(archive, product)
    made = [
        (type(row)(**vars(row) | {"day": day, "product_id": day}), form, attrs)
        for day in dates("2021-01-01", 1826)
    ]
    write_contents(archive, put_rows(contents, ["2021-01-01"], made))
    ds = open_span(archive, "ql-lightcurve")
    assert ds.sizes["time"] == 1826 * 30
    assert type(ds.xindexes["time"]).__name__ == "TimeAxis"
    assert ds.isel(time=slice(30_000, 30_090))["counts"].compute().shape == (90, 5)


def test_a_span_can_be_sent_to_another_process(span):
    again = pickle.loads(pickle.dumps(span))
    np.testing.assert_array_equal(
        again["counts"].sel(time="2021-06-07"), span["counts"].sel(time="2021-06-07")
    )


def test_a_table_that_is_not_written_yet_is_made_of_the_products(tmp_path):
    """What is opened by it is the same, and nothing is written."""
    archive, catalog, _ = filled(tmp_path, *DAYS)
    expected = open_span(archive, "ql-lightcurve").load()
    key = archive.path(contents_key("L1", "ql-lightcurve", "flight"))
    key.unlink()
    table = list_products(archive, catalog.products.find(), "L1", "ql-lightcurve", "flight")
    xr.testing.assert_identical(open_span(archive, "ql-lightcurve", contents=table).load(), expected)
    assert not key.exists()


@pytest.mark.skipif(not bytes_read(), reason="the system does not count what is read")
@pytest.mark.parametrize("n_days", [1, 2, 4, 8])
def test_what_is_read_is_what_is_selected(tmp_path, monkeypatch, n_days):
    """Of a long span the counts of some days cost the files of these counts, and the times at the edges."""
    monkeypatch.setattr(time_axis, "_SHORT_TIMES", 5)
    days = dates("2021-06-05", 16)
    archive, _, _ = filled(tmp_path, *days, n_bins=1500)
    counts = open_span(archive, "ql-lightcurve")["counts"]
    chosen = slice(days[2], days[1 + n_days])
    counts.sel(time=chosen).load()  # what has to be imported is
    stored_arrays._open.cache_clear()
    before = bytes_read()
    assert counts.sel(time=chosen).load().sizes["time"] == 1500 * n_days
    read = bytes_read() - before
    rows = read_contents(archive, "L1", "ql-lightcurve", "flight").rows
    sizes = {
        (row.day, name): sum(
            p.stat().st_size for p in (archive.path(row.key) / name).rglob("*") if p.is_file()
        )
        for row in rows
        for name in ("counts", "time")
    }
    wanted = sum(sizes[day, "counts"] for day in days[2 : 2 + n_days])
    # The times of what was selected, a short axis is read; and those of the days at its edges, to find them.
    wanted += sum(sizes[day, "time"] for day in days[2 : 2 + n_days]) * 2
    assert sizes[days[2], "counts"] > 2000
    assert wanted * 0.5 < read < wanted + 25_000
