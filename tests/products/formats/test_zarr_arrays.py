"""Arrays written without a detour: what zarr would write, and read as zarr would read it."""

import json

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.errors import ArchiveError
from stixlab.products.formats import zarr as form
from stixlab.products.formats.zarr import open_zarr, stored_sha256, write_zarr
from stixlab.products.formats.zarr_arrays import open_array, write_array
from stixlab.products.merging import content_sha256
from tests.support.examples import examples
from tests.support.light_curves import light_curve_dataset


def documents(folder):
    return {str(p.relative_to(folder)): json.loads(p.read_text()) for p in sorted(folder.rglob("zarr.json"))}


def chunks(folder):
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "zarr.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


@pytest.mark.parametrize("length", [64, 1 << 15])
def test_a_dataset_is_written_as_xarray_and_zarr_write_it(tmp_path, monkeypatch, length):
    """File by file: whoever reads one reads the other, and both give a dataset the same form."""
    monkeypatch.setattr(form, "CHUNK_TIMES", length)
    ds = light_curve_dataset().assign(seen=("time", np.arange(300) % 2 == 0))
    write_zarr(ds, tmp_path / "ours")
    write_zarr(ds.chunk(time=100), tmp_path / "theirs")
    assert documents(tmp_path / "ours") == documents(tmp_path / "theirs")
    assert chunks(tmp_path / "ours") == chunks(tmp_path / "theirs")


@settings(max_examples=examples(40), deadline=None)
@given(
    shape=st.lists(st.integers(0, 7), min_size=0, max_size=4),
    sizes=st.lists(st.integers(1, 8), min_size=4, max_size=4),
    dtype=st.sampled_from(["bool", "uint8", "int16", ">i4", "uint64", "float32", ">f8"]),
    edges=st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
)
def test_any_part_is_what_zarr_reads(tmp_path_factory, shape, sizes, dtype, edges):
    folder = tmp_path_factory.mktemp("arrays") / "a"
    values = np.random.default_rng(0).integers(0, 99, shape).astype(dtype)
    given = tuple(sizes[: len(shape)])
    write_array(folder, values, given, [f"d{i}" for i in range(len(shape))], {"units": "1"})
    theirs = zarr.open_array(folder, mode="r")
    np.testing.assert_array_equal(theirs[...], values)
    found = open_array(folder)
    assert (found.shape, found.chunks, found.attrs) == (values.shape, given, {"units": "1"})
    np.testing.assert_array_equal(found.read(), values)
    assert found.read().dtype == values.dtype.newbyteorder("=")
    if shape:
        np.testing.assert_array_equal(found.read(*edges), values[slice(*edges)])


def test_what_is_read_can_be_changed_and_stays_as_it_is_on_the_disk(tmp_path):
    write_array(tmp_path / "a", np.arange(8), (8,), ["time"], {})
    array = open_array(tmp_path / "a")
    array.read()[:] = 0
    np.testing.assert_array_equal(array.read(), np.arange(8))


def test_an_array_of_another_form_is_read_by_zarr_unless_a_chunk_is_missing(tmp_path):
    values = np.arange(20)
    other = zarr.create_array(tmp_path / "a", shape=20, chunks=5, dtype="int64", compressors=None)
    other[:] = values
    np.testing.assert_array_equal(open_array(tmp_path / "a").read(3, 17), values[3:17])
    (tmp_path / "a" / "c" / "1").unlink()
    with pytest.raises(FileNotFoundError, match="3 of 4 chunks"):
        open_array(tmp_path / "a")


def test_a_missing_chunk_is_told_when_it_is_asked_for(tmp_path):
    write_array(tmp_path / "a", np.arange(20), (5,), ["time"], {})
    (tmp_path / "a" / "c" / "1").unlink()
    array = open_array(tmp_path / "a")
    np.testing.assert_array_equal(array.read(10, 20), np.arange(10, 20))
    with pytest.raises(FileNotFoundError, match="chunk a/c/1 is missing"):
        array.read()


@pytest.mark.parametrize("content", [b"", b"no zstd", bytes(40)])
def test_a_damaged_chunk_is_an_error(tmp_path, content):
    write_array(tmp_path / "a", np.arange(20), (20,), ["time"], {})
    (tmp_path / "a" / "c" / "0").write_bytes(content)
    with pytest.raises((RuntimeError, ValueError)):
        open_array(tmp_path / "a").read()


def test_an_attribute_that_has_no_place_is_refused(tmp_path):
    with pytest.raises(TypeError, match="found set"):
        write_array(tmp_path / "a", np.arange(2), (2,), ["time"], {"names": {1}})


@pytest.mark.parametrize("n_bins", [300, 0])
def test_the_hash_of_what_is_stored_is_that_of_the_dataset(tmp_path, n_bins):
    ds = light_curve_dataset().isel(time=slice(n_bins))
    write_zarr(ds, tmp_path / "a")
    assert stored_sha256(tmp_path / "a") == content_sha256(ds) == content_sha256(open_zarr(tmp_path / "a"))


@pytest.mark.parametrize("change", ["gone", "chunk gone", "chunk damaged", "document damaged"])
def test_what_is_damaged_has_no_hash(tmp_path, change):
    folder = tmp_path / "a"
    if change != "gone":
        write_zarr(light_curve_dataset(), folder)
    if change == "chunk gone":
        (folder / "triggers" / "c" / "0").unlink()
    elif change == "chunk damaged":
        (folder / "triggers" / "c" / "0").write_bytes(b"else")
    elif change == "document damaged":
        (folder / "zarr.json").write_text("{}")
    with pytest.raises(ArchiveError, match="missing or damaged"):
        stored_sha256(folder)
