"""Datasets as Zarr (format 3): written whole, opened lazily, many at once.

The layout is written and read here directly, a day in a few milliseconds, because it is always the same: one
group, one array for each variable, chunks along time only, zstd with a checksum. `zarr` and `xarray.open_zarr` read it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import ArchiveError, SchemaError
from stixlab.files import flush_tree, write_failed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["open_many", "open_zarr", "write_zarr"]

CHUNK_TIMES = 32_768
"""Bins in a chunk at most: a day of bins of 4 s (21,600) is one chunk."""
_CODECS: list[dict[str, Any]] = [
    {"name": "bytes", "configuration": {"endian": "little"}},
    {"name": "zstd", "configuration": {"level": 1, "checksum": True}},
]
_EPOCH = "nanoseconds since 1970-01-01"
_META = "zarr.json"


def write_zarr(ds: xr.Dataset, folder: Path) -> None:
    """Write a dataset to a folder that does not exist, and flush it to the disk.

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
        If a variable has a type that has no place in the layout.
    """
    if folder.exists():
        raise ArchiveError(
            f"writing {folder.name}: expected a folder that does not exist; it does; choose another name"
        )
    metadata = {}
    try:
        folder.mkdir(parents=True)
        for name, variable in ds.variables.items():
            metadata[str(name)] = _write_array(folder / str(name), variable)
        attributes = _plain(ds.attrs)
        auxiliary = [str(n) for n in ds.coords if n not in ds.dims]
        if auxiliary:
            attributes["coordinates"] = " ".join(auxiliary)
        root = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": attributes,
            "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": metadata},
        }
        (folder / _META).write_text(json.dumps(root, indent=1))
        flush_tree(folder)
    except OSError as error:
        raise write_failed(folder, error) from error


def _write_array(folder: Path, variable: xr.Variable) -> dict[str, Any]:
    """Write one array; returns its metadata."""
    from numcodecs.zstd import Zstd  # type: ignore[import-untyped, unused-ignore]

    values, attributes = variable.to_numpy(), _plain(variable.attrs)
    if values.dtype.kind == "M":
        values = values.astype("datetime64[ns]").view(np.int64)
        attributes |= {"units": _EPOCH, "calendar": "proleptic_gregorian"}
    if values.dtype.kind not in "uif":
        raise SchemaError(f"Zarr array {folder.name}: expected numbers or times; found {values.dtype}")
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    chunk = tuple(
        max(1, min(n, CHUNK_TIMES) if d == "time" else n)
        for n, d in zip(values.shape, variable.dims, strict=True)
    )
    meta = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(values.shape),
        "data_type": values.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0 if values.dtype.kind != "f" else 0.0,
        "codecs": _CODECS,
        "attributes": attributes,
        "dimension_names": list(variable.dims),
        "storage_transformers": [],
    }
    folder.mkdir()
    (folder / _META).write_text(json.dumps(meta))
    codec = Zstd(level=1, checksum=True)
    for number in range(-(-values.shape[0] // chunk[0]) if values.size else 0):
        piece = values[number * chunk[0] : (number + 1) * chunk[0]]
        if len(piece) < chunk[0]:
            piece = np.concatenate(
                [piece, np.zeros((chunk[0] - len(piece), *piece.shape[1:]), dtype=piece.dtype)]
            )
        path = _chunk_path(folder, number, values.ndim)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(codec.encode(piece))
    return meta


def _chunk_path(folder: Path, number: int, ndim: int) -> Path:
    return folder.joinpath("c", str(number), *["0"] * (ndim - 1))


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON has them."""
    return {str(k): v.tolist() if isinstance(v, np.ndarray | np.generic) else v for k, v in attrs.items()}


@dataclass(frozen=True)
class _Piece:
    """One array of one folder, as its metadata describe it."""

    path: str
    shape: tuple[int, ...]
    chunk: int
    """Rows in a chunk."""


@dataclass(frozen=True)
class _Rows:
    """An array along time that stands in several folders, read as far as it is asked for."""

    pieces: tuple[_Piece, ...]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        rows, *rest = key if isinstance(key, tuple) else (key,)
        start, stop, step = rows.indices(self.shape[0])
        parts, begin = [], 0
        for piece in self.pieces:
            end = begin + piece.shape[0]
            if begin < stop and end > start:
                parts.append(_read_rows(piece, self.dtype, max(start - begin, 0), min(stop, end) - begin))
            begin = end
        if not parts:
            return np.empty((0, *self.shape[1:]), dtype=self.dtype)[(slice(None), *rest)]
        found = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return found[(slice(None, None, step), *rest)]


def _read_rows(piece: _Piece, dtype: np.dtype[Any], start: int, stop: int) -> NDArray[Any]:
    """Rows of one array, from the chunks that hold them."""
    from numcodecs.zstd import Zstd  # type: ignore[import-untyped, unused-ignore]

    codec, parts = Zstd(), []
    folder = Path(piece.path)
    for number in range(start // piece.chunk, -(-stop // piece.chunk)):
        whole = np.empty((piece.chunk, *piece.shape[1:]), dtype=dtype)
        path = _chunk_path(folder, number, len(piece.shape))
        try:
            codec.decode(path.read_bytes(), whole.reshape(-1).view(np.uint8))
        except (OSError, RuntimeError, ValueError) as error:
            raise ArchiveError(
                f"{folder.parent.name}: chunk {path.relative_to(folder.parent)} cannot be read ({error}); it is missing"
                " or damaged: make the product again from its raw files",
                path=path,
            ) from error
        first = number * piece.chunk
        parts.append(whole[max(start - first, 0) : stop - first])
    if not parts:
        return np.empty((0, *piece.shape[1:]), dtype=dtype)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def open_zarr(folder: Path, chunks: Mapping[str, int] | None = None) -> xr.Dataset:
    """One dataset, lazy; see `open_many`."""
    return open_many([folder], chunks)


def open_many(folders: Sequence[Path], chunks: Mapping[str, int] | None = None) -> xr.Dataset:
    """Datasets one behind the other along time, backed by dask: nothing but the time axis is read.

    Parameters
    ----------
    folders
        In the order of time, of the same product and the same energies.
    chunks
        Other chunks than those of the files.

    Returns
    -------
    xarray.Dataset
        Attributes are those that all datasets share; a day's coverage becomes that of the whole.

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
    roots = [_read_root(f) for f in folders]
    arrays = [r["consolidated_metadata"]["metadata"] for r in roots]
    auxiliary = str(roots[0]["attributes"].get("coordinates", "")).split()
    coords: dict[str, xr.Variable] = {}
    variables: dict[str, xr.Variable] = {}
    token = hashlib.sha256("\0".join(map(str, folders)).encode()).hexdigest()[:16]
    for name, first in arrays[0].items():
        metas = [_same_kind(name, first, a, f) for a, f in zip(arrays, folders, strict=True)]
        dims = tuple(first["dimension_names"])
        values = _joined(name, metas, folders, token, eager=dims == ("time",) and name == "time")
        attrs = dict(first["attributes"])
        if attrs.get("units") == _EPOCH:
            values = values.view("datetime64[ns]")
            del attrs["units"], attrs["calendar"]
        if "flag_values" in attrs:
            attrs["flag_values"] = np.array(attrs["flag_values"], dtype=first["data_type"])
        target = coords if name in auxiliary or (name,) == dims else variables
        target[name] = xr.Variable(dims, values, attrs, fastpath=True)
    ds = xr.Dataset(variables, coords, _shared_attrs(roots))
    return ds.chunk(dict(chunks)) if chunks else ds


def _read_root(folder: Path) -> dict[str, Any]:
    try:
        root: dict[str, Any] = json.loads((folder / _META).read_bytes())
        _ = root["consolidated_metadata"]["metadata"], root["attributes"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            f"{folder.name}: expected a dataset with consolidated metadata in {_META}; {error}; it is missing or"
            " damaged: make the product again from its raw files",
            path=folder,
        ) from error
    return root


def _same_kind(name: str, first: dict[str, Any], arrays: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Metadata of an array, if it is of the same kind as in the first dataset."""
    meta: dict[str, Any] | None = arrays.get(name)
    if (
        meta is None
        or any(meta[k] != first[k] for k in ("data_type", "dimension_names"))
        or meta["shape"][1:] != first["shape"][1:]
    ):
        raise SchemaError(
            f"open: expected {name} of type {first['data_type']} along {first['dimension_names']} in {folder.name};"
            f" found {meta and (meta['data_type'], meta['dimension_names'], meta['shape'])}; open them apart"
        )
    if meta["codecs"] != _CODECS:
        raise ArchiveError(
            f"{folder.name}: {name} is stored with other codecs; open it with xarray.open_zarr", path=folder
        )
    return meta


def _joined(
    name: str, metas: list[dict[str, Any]], folders: Sequence[Path], token: str, *, eager: bool
) -> Any:
    """Array that stands in several folders: lazy along time, in memory if asked for or without time."""
    dtype = np.dtype(metas[0]["data_type"]).newbyteorder("<")
    pieces = tuple(
        _Piece(str(f / name), tuple(m["shape"]), m["chunk_grid"]["configuration"]["chunk_shape"][0])
        for m, f in zip(metas, folders, strict=True)
    )
    if "time" not in metas[0]["dimension_names"]:
        found = [_read_rows(p, dtype, 0, p.shape[0]) for p in pieces]
        for values, folder in zip(found[1:], folders[1:], strict=True):
            if not np.array_equal(values, found[0], equal_nan=True):
                raise SchemaError(
                    f"open: expected {name} {found[0].tolist()} in {folder.name}; found {values.tolist()}; open them apart"
                )
        return found[0]
    rows = _Rows(pieces, dtype, (sum(p.shape[0] for p in pieces), *pieces[0].shape[1:]))
    if eager:
        return rows[:]
    import dask.array as da

    times = tuple(min(p.chunk, p.shape[0] - begin) for p in pieces for begin in range(0, p.shape[0], p.chunk))
    chunks = (times or (0,), *((n,) for n in rows.shape[1:]))
    return da.from_array(
        rows,
        chunks=chunks,
        name=f"{name}-{token}",
        asarray=False,
        fancy=False,
        meta=np.empty((0,) * rows.ndim, dtype),
    )


def _shared_attrs(roots: list[dict[str, Any]]) -> dict[str, Any]:
    first = roots[0]["attributes"]
    attrs = {
        k: v
        for k, v in first.items()
        if k != "coordinates" and all(r["attributes"].get(k) == v for r in roots[1:])
    }
    for key, choose in (("time_coverage_start", min), ("time_coverage_end", max)):
        found = [r["attributes"][key] for r in roots if key in r["attributes"]]
        if found:
            attrs[key] = choose(found)
    return attrs
