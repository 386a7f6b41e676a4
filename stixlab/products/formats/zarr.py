"""Datasets as Zarr (format 3): written whole, opened lazily by xarray, several at once."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.errors import ArchiveError, SchemaError
from stixlab.files import write_failed
from stixlab.products.formats.zarr_arrays import LEVEL, open_array, write_array, write_group

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["chunk_shape", "open_many", "open_zarr", "stored_sha256", "write_zarr"]

CHUNK_TIMES = 32_768
"""Bins in a chunk at most: a day of bins of 4 s (21,600) is one chunk."""
_EPOCH = "nanoseconds since 1970-01-01"
_CHUNK_BYTES = 1 << 20
"""About the size of a chunk before compression; arrays that are no larger are one chunk."""
_SPLIT_FIRST = ("detector", "pixel", "energy", "time")
"""Of several dimensions that are cut into as many pieces, which is cut next."""


def write_zarr(ds: xr.Dataset, folder: Path) -> None:
    """Write a dataset to a folder that does not exist.

    Parameters
    ----------
    ds
        Variables along time first, or without time; times as datetime64[ns].
    folder
        Give a temporary name and rename it when this returns: the folder is not whole until then.

    Raises
    ------
    ArchiveError
        If the folder exists, or cannot be written.
    SchemaError
        If a variable has a type that has no place in the archive.
    """
    if folder.exists():
        raise ArchiveError(
            f"writing {folder.name}: expected a folder that does not exist; it does; choose another name"
        )
    for name, variable in ds.variables.items():
        if variable.dtype.kind not in "uifMb":
            raise SchemaError(f"Zarr array {name}: expected numbers or times; found {variable.dtype}")
    chunks = _chunks(ds)
    try:
        (_write_lazy if _lazy(ds) else _write)(ds, folder, chunks)
    except OSError as error:
        raise write_failed(folder, error) from error


def _write(ds: xr.Dataset, folder: Path, chunks: Mapping[str, tuple[int, ...]]) -> None:
    """Write a dataset that is in memory."""
    from xarray.conventions import encode_dataset_coordinates

    variables, attrs = encode_dataset_coordinates(ds)
    folder.mkdir(parents=True)
    written = {}
    for name, variable in variables.items():
        values, facts = variable.to_numpy(), dict(variable.attrs)
        if values.dtype.kind == "M":
            values = values.astype("datetime64[ns]").view(np.int64)
            facts |= {"units": _EPOCH, "calendar": "proleptic_gregorian"}
        written[str(name)] = write_array(
            folder / str(name), values, chunks[str(name)], [str(d) for d in variable.dims], facts
        )
    write_group(folder, attrs, written)


def _write_lazy(ds: xr.Dataset, folder: Path, chunks: Mapping[str, tuple[int, ...]]) -> None:
    """Write a dataset that is computed as it is written, a chunk at a time."""
    import zarr
    from zarr.errors import ZarrUserWarning

    encoding = {n: _encoding(ds.variables[n], chunks[n]) for n in chunks}
    lazy = {n: ds[n].chunk(dict(zip(ds[n].dims, chunks[n], strict=True))) for n in _lazy(ds)}
    ds = ds.assign({n: v for n, v in lazy.items() if n not in ds.coords})
    ds = ds.assign_coords({n: v for n, v in lazy.items() if n in ds.coords})
    # An empty chunk is written, too: one that is missing is damage, not zeros.
    with zarr.config.set({"array.write_empty_chunks": True}), warnings.catch_warnings():
        # Consolidated metadata are not in the standard yet; whoever does not know them reads the others.
        warnings.simplefilter("ignore", ZarrUserWarning)
        ds.to_zarr(folder, mode="w-", zarr_format=3, consolidated=True, encoding=encoding)


def _lazy(ds: xr.Dataset) -> list[str]:
    """Names of the variables that are computed only as they are written."""
    return [str(n) for n, v in ds.variables.items() if v.chunks is not None]


def chunk_shape(dims: Sequence[str], shape: Sequence[int], item_bytes: int) -> tuple[int, ...]:
    """Chunks for the questions asked: a band over a day, all energies of ten minutes, one pixel of a request.

    Parameters
    ----------
    dims
        Names of the dimensions.
    shape
    item_bytes
        Size of an element.

    Returns
    -------
    tuple of int
        Small arrays are one chunk. Of larger ones the dimension that is cut least so far is halved until a chunk
        has about 1 MB: whoever asks for one part of any dimension reads a small part of the whole.
    """
    pieces = [1 for _ in dims]
    chunk = [max(1, min(n, CHUNK_TIMES) if d == "time" else n) for n, d in zip(shape, dims, strict=True)]
    order = {name: i for i, name in enumerate(_SPLIT_FIRST)}
    while int(np.prod(chunk, dtype=np.int64)) * item_bytes > _CHUNK_BYTES:
        axes = [i for i, n in enumerate(chunk) if n > 1]
        axis = min(axes, key=lambda i: (pieces[i], order.get(dims[i], len(order))))
        pieces[axis] *= 2
        half = -(-chunk[axis] // 2)
        # Along time powers of two: the arrays of a dataset then agree on the smallest of theirs.
        chunk[axis] = 1 << (chunk[axis] - 1).bit_length() - 1 if dims[axis] == "time" else half
    return tuple(chunk)


def _chunks(ds: xr.Dataset) -> dict[str, tuple[int, ...]]:
    """Chunks of all variables; along time the same for all."""
    found = {
        str(name): chunk_shape([str(d) for d in v.dims], v.shape, v.dtype.itemsize)
        for name, v in ds.variables.items()
    }
    dims = {n: [str(d) for d in ds.variables[n].dims] for n in found}
    times = [c for n, chunk in found.items() for d, c in zip(dims[n], chunk, strict=True) if d == "time"]
    return {
        n: tuple(min(times) if d == "time" else c for d, c in zip(dims[n], chunk, strict=True))
        for n, chunk in found.items()
    }


def _encoding(variable: xr.Variable, chunks: tuple[int, ...]) -> dict[str, Any]:
    from zarr.codecs import ZstdCodec

    encoding: dict[str, Any] = {"chunks": chunks, "compressors": [ZstdCodec(level=LEVEL, checksum=True)]}
    if variable.dtype.kind == "M":
        encoding |= {"units": _EPOCH, "dtype": "int64"}
    if variable.dtype.kind in "fM":
        encoding["_FillValue"] = None
    return encoding


def open_zarr(folder: Path) -> xr.Dataset:
    """One dataset, lazy, backed by dask in the chunks of its files.

    Raises
    ------
    ArchiveError
        If the folder is missing, is no dataset, or lacks a chunk.
    """
    import xarray as xr

    try:
        ds: xr.Dataset = xr.open_zarr(folder, chunks={}, consolidated=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            f"{folder.name}: expected a Zarr dataset; {error}; it is missing or damaged: make the product again"
            " from its raw files",
            path=folder,
        ) from error
    _check_chunks(ds, folder)
    for variable in ds.variables.values():
        if "flag_values" in variable.attrs:
            variable.attrs["flag_values"] = np.array(variable.attrs["flag_values"], dtype=variable.dtype)
    return ds


def stored_sha256(folder: Path) -> str:
    """What `stixlab.products.merging.content_sha256` says of a stored dataset: all of it is read, a variable at a time.

    Raises
    ------
    ArchiveError
        If the folder is missing, is no dataset, or lacks a chunk or has a damaged one.
    """
    import xarray as xr

    from stixlab.products.merging import content_sha256

    try:
        document = json.loads((folder / "zarr.json").read_bytes())
        arrays = document["consolidated_metadata"]["metadata"]
        variables = {}
        for name, facts in arrays.items():
            values, attrs = open_array(folder / name).read(), facts["attributes"]
            if attrs.get("units") == _EPOCH and values.dtype == np.int64:
                values, attrs = values.view("datetime64[ns]"), {}
            variables[name] = xr.Variable(facts["dimension_names"], values, attrs, fastpath=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ArchiveError(
            f"{folder.name}: expected a Zarr dataset; {error}; it is missing or damaged: make the product again"
            " from its raw files",
            path=folder,
        ) from error
    return content_sha256(xr.Dataset(variables))


def _check_chunks(ds: xr.Dataset, folder: Path) -> None:
    """Refuse a dataset that lacks a chunk: zarr would read zeros in its place."""
    for name, variable in ds.variables.items():
        chunk = variable.encoding["chunks"]
        if not variable.size:
            continue
        numbers = [range(-(-n // c)) for n, c in zip(variable.shape, chunk, strict=True)]
        for index in product(*numbers):
            path = folder.joinpath(str(name), "c", *map(str, index))
            if not path.is_file():
                raise ArchiveError(
                    f"{folder.name}: chunk {path.relative_to(folder)} is missing: make the product again from its raw"
                    " files",
                    path=path,
                )


def open_many(folders: Sequence[Path]) -> xr.Dataset:
    """Datasets one behind the other along time, lazy: nothing but their axes is read.

    Parameters
    ----------
    folders
        In the order of time, of the same product and the same energies.

    Returns
    -------
    xarray.Dataset
        Attributes are those that all datasets share; the coverage becomes that of the whole.

    Raises
    ------
    ArchiveError
        If a folder is missing or damaged.
    SchemaError
        If the datasets do not have the same variables and energies.
    """
    import xarray as xr

    if not folders:
        raise SchemaError("open: expected at least one dataset; found none")
    parts = [open_zarr(folder) for folder in folders]
    if len(parts) == 1:
        return parts[0]
    for part, folder in zip(parts[1:], folders[1:], strict=True):
        _check_alike(parts[0], part, folder)
    ds = xr.concat(
        parts,
        dim="time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="drop_conflicts",
    )
    for key, choose in (("time_coverage_start", min), ("time_coverage_end", max)):
        found = [p.attrs[key] for p in parts if key in p.attrs]
        if found:
            ds.attrs[key] = choose(found)
    return ds


def _check_alike(first: xr.Dataset, other: xr.Dataset, folder: Path) -> None:
    """Refuse to put together what is not of one kind; only small arrays without time are read."""
    for name, variable in first.variables.items():
        found = other.variables.get(name)
        if found is None or (found.dims, found.dtype, found.shape[1:]) != (
            variable.dims,
            variable.dtype,
            variable.shape[1:],
        ):
            raise SchemaError(
                f"open: expected {name} of type {variable.dtype} along {variable.dims} in {folder.name};"
                f" found {found is not None and (found.dtype, found.dims, found.shape)}; open them apart"
            )
        if "time" not in variable.dims and not np.array_equal(variable, found):
            raise SchemaError(
                f"open: expected {name} {variable.to_numpy().tolist()} in {folder.name};"
                f" found {found.to_numpy().tolist()}; open them apart"
            )
