import warnings

import numpy as np
import pytest
import xarray as xr

from stixlab.errors import ArchiveError, SchemaError
from stixlab.products.formats import zarr as form
from stixlab.products.formats.zarr import open_many, open_zarr, write_zarr
from stixlab.products.level1 import content_sha256, split_days
from tests.support.columns import light_curve, random_codes
from tests.support.light_curves import day_of_packets, level1, light_curve_dataset


def test_dataset_comes_back_with_all_attributes(tmp_path):
    ds = light_curve_dataset()
    write_zarr(ds, tmp_path / "a.zarr")
    xr.testing.assert_identical(open_zarr(tmp_path / "a.zarr").load(), ds)


def test_states_keep_their_meanings(tmp_path, real_data):
    from tests.support.housekeeping import real_report

    ds = real_report(real_data)
    write_zarr(ds, tmp_path / "a.zarr")
    back = open_zarr(tmp_path / "a.zarr")
    xr.testing.assert_identical(back.load(), ds)
    assert back.instrument_mode.attrs["flag_values"].dtype == np.uint8


def test_others_read_it_without_a_warning(tmp_path):
    """`xarray.open_zarr` and `zarr` know nothing of our writer."""
    import zarr

    ds = light_curve_dataset()
    write_zarr(ds, tmp_path / "a.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(tmp_path / "a.zarr") as back:
            xr.testing.assert_identical(back.load(), ds)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert (group["counts"][:] == ds.counts.to_numpy()).all()


def test_more_bins_than_a_chunk_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(form, "CHUNK_TIMES", 64)
    ds = light_curve_dataset()
    write_zarr(ds, tmp_path / "a.zarr")
    back = open_zarr(tmp_path / "a.zarr")
    assert back.counts.chunks[0] == (64, 64, 64, 64, 44)
    xr.testing.assert_identical(back.load(), ds)
    with xr.open_zarr(tmp_path / "a.zarr") as theirs:
        xr.testing.assert_identical(theirs.load(), ds)


@pytest.mark.parametrize(
    "key", [slice(3, 70), slice(60, 130, 7), slice(0, 0), slice(299, 300), slice(-5, None)]
)
def test_part_of_an_array_is_that_part(tmp_path, monkeypatch, key):
    monkeypatch.setattr(form, "CHUNK_TIMES", 64)
    ds = light_curve_dataset()
    write_zarr(ds, tmp_path / "a.zarr")
    part = open_zarr(tmp_path / "a.zarr").isel(time=key, energy=slice(1, 3))
    xr.testing.assert_identical(part.load(), ds.isel(time=key, energy=slice(1, 3)))


def test_dataset_without_times_is_written_and_read(tmp_path):
    ds = light_curve_dataset().isel(time=slice(0, 0))
    write_zarr(ds, tmp_path / "a.zarr")
    xr.testing.assert_identical(open_zarr(tmp_path / "a.zarr").load(), ds)


def test_days_one_behind_the_other_are_the_whole(tmp_path):
    ds = light_curve_dataset()
    folders = []
    for day, part in split_days(ds):
        folders.append(tmp_path / f"{day}.zarr")
        write_zarr(part, folders[-1])
    back = open_many(folders)
    assert back.counts.chunks[0] == (30, 270)
    xr.testing.assert_identical(back.load(), ds)
    assert content_sha256(open_many(folders)) == content_sha256(ds)
    assert back.attrs["time_coverage_end"] == ds.attrs["time_coverage_end"]


def test_opening_reads_no_data(tmp_path):
    """Chunks are read when they are asked for: a damaged one does not hinder the others."""
    write_zarr(light_curve_dataset(), tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / "counts" / "c" / "0" / "0").write_bytes(b"damaged")
    ds = open_zarr(tmp_path / "a.zarr")
    assert ds.triggers.load().sizes["time"] == 300
    with pytest.raises(RuntimeError):
        ds.counts.load()


def test_missing_chunk_is_told_and_not_read_as_zeros(tmp_path):
    write_zarr(light_curve_dataset(), tmp_path / "a.zarr")
    (tmp_path / "a.zarr" / "counts" / "c" / "0" / "0").unlink()
    with pytest.raises(ArchiveError, match="chunk counts/c/0/0 is missing"):
        open_zarr(tmp_path / "a.zarr")


def test_zeros_are_written_as_chunks(tmp_path):
    ds = light_curve_dataset()
    ds["triggers"] = ds.triggers * 0
    write_zarr(ds, tmp_path / "a.zarr")
    xr.testing.assert_identical(open_zarr(tmp_path / "a.zarr").load(), ds)


def test_flipped_bit_is_told(tmp_path):
    """Each chunk has a checksum."""
    write_zarr(light_curve_dataset(), tmp_path / "a.zarr")
    path = tmp_path / "a.zarr" / "counts" / "c" / "0" / "0"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(RuntimeError):
        open_zarr(tmp_path / "a.zarr").counts.load()


def test_missing_and_damaged_folders_are_told(tmp_path):
    with pytest.raises(ArchiveError, match=r"b\.zarr: expected a Zarr dataset"):
        open_zarr(tmp_path / "b.zarr")
    (tmp_path / "c.zarr").mkdir()
    (tmp_path / "c.zarr" / "zarr.json").write_text('{"attributes": {}}')
    with pytest.raises(ArchiveError, match="damaged"):
        open_zarr(tmp_path / "c.zarr")
    with pytest.raises(SchemaError, match="at least one"):
        open_many([])


def test_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ArchiveError, match="does not exist; it does"):
        write_zarr(light_curve_dataset(), tmp_path / "a.zarr")


def test_variable_that_has_no_place_is_refused(tmp_path):
    ds = xr.Dataset({"name": ("time", np.array(["a"]))})
    with pytest.raises(SchemaError, match="numbers or times"):
        write_zarr(ds, tmp_path / "a.zarr")


def test_other_energies_are_not_opened_together(tmp_path):
    write_zarr(level1(*day_of_packets(n_packets=1))[0], tmp_path / "a.zarr")
    mask = sum(1 << e for e in (1, 7, 12, 17, 23, 31))
    write_zarr(level1(light_curve(random_codes(1, 5), edge_mask=mask))[0], tmp_path / "b.zarr")
    with pytest.raises(SchemaError, match="open them apart"):
        open_many([tmp_path / "a.zarr", tmp_path / "b.zarr"])
    mask = sum(1 << e for e in (1, 7, 12))
    write_zarr(level1(light_curve(random_codes(1, 5, 2), edge_mask=mask))[0], tmp_path / "c.zarr")
    with pytest.raises(SchemaError, match=r"in c\.zarr"):
        open_many([tmp_path / "a.zarr", tmp_path / "c.zarr"])
