"""Arrays of the archive's Zarr datasets, written and read without a detour: a file a chunk, as the format has them.

The general way, through xarray and zarr, takes some milliseconds an array whatever its size, and a dataset has tens of
them. What is written here is what they would write; what is not of that form they read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import zarr
    from numcodecs.zstd import Zstd

__all__ = ["LEVEL", "StoredArray", "open_array", "write_array", "write_group"]

LEVEL = 1
"""Of the compression: the quickest; more of it makes the files hardly smaller."""
_DOCUMENT = "zarr.json"
_PACKED = {"name": "zstd", "configuration": {"level": LEVEL, "checksum": True}}
_LITTLE = ({"name": "bytes", "configuration": {"endian": "little"}}, {"name": "bytes"})
_KEYS = {"name": "default", "configuration": {"separator": "/"}}


@lru_cache(maxsize=1)
def _codec() -> Zstd:
    from numcodecs.zstd import Zstd

    return Zstd(level=LEVEL, checksum=True)


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"expected numbers, text or arrays as attributes; found {type(value).__name__}")


def write_group(folder: Path, attrs: Mapping[str, Any], arrays: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what is known of a dataset as a whole.

    Parameters
    ----------
    folder
        It exists.
    attrs
        Attributes of the dataset.
    arrays
        What `write_array` returned for each of its arrays.
    """
    consolidated = {"kind": "inline", "must_understand": False, "metadata": dict(sorted(arrays.items()))}
    document = {"attributes": attrs, "zarr_format": 3, "consolidated_metadata": consolidated}
    (folder / _DOCUMENT).write_text(_text(document | {"node_type": "group"}))


def write_array(
    folder: Path, values: NDArray[Any], chunks: Sequence[int], dims: Sequence[str], attrs: Mapping[str, Any]
) -> dict[str, Any]:
    """Write one array to a folder that does not exist.

    Parameters
    ----------
    folder
        Its last part is the name of the array.
    values
        Integers, floats, or bool.
    chunks
        Shape of a chunk. Every chunk is written: one that is missing is damage, not zeros.
    dims
        Names of the dimensions.
    attrs

    Returns
    -------
    dict
        What is written of the array beside its values.
    """
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    fill = "NaN" if values.dtype.kind == "f" else values.dtype.type(0).item()
    document = {
        "shape": list(values.shape),
        "data_type": values.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": _KEYS,
        "fill_value": fill,
        "codecs": [_LITTLE[values.dtype.itemsize == 1], _PACKED],
        "attributes": dict(attrs),
        "dimension_names": list(dims),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    folder.mkdir()
    _write(f"{folder}/{_DOCUMENT}", _text(document).encode())
    made = set()
    for index in _indices(values.shape, chunks):
        piece = values[tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))]
        if piece.shape != tuple(chunks):  # chunks at an edge are as large as the others
            whole = np.full(chunks, np.nan if fill == "NaN" else fill, dtype=values.dtype)
            whole[tuple(slice(n) for n in piece.shape)] = piece
            piece = whole
        path = _chunk(str(folder), index)
        parent = os.path.dirname(path)  # noqa: PTH120  (of texts: paths as objects cost more than what is written)
        if parent not in made:
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103
            made.add(parent)
        _write(path, _codec().encode(np.ascontiguousarray(piece)))
    return document


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as stream:  # noqa: PTH123
        stream.write(content)


def _indices(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return product(*(range(-(-n // c)) for n, c in zip(shape, chunks, strict=True)))


def _chunk(folder: str, index: Sequence[int]) -> str:
    return "/".join((folder, "c", *map(str, index)))


@dataclass(frozen=True)
class StoredArray:
    """An array of the archive, of which only what is asked for is read."""

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    attrs: Mapping[str, Any]
    other: zarr.Array[Any] | None = None
    """What reads an array of another form; every chunk of it was seen."""

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Values from `start` to `stop` along the first dimension; by default all.

        Raises
        ------
        FileNotFoundError
            If a chunk is missing.
        RuntimeError, ValueError
            If a chunk is damaged.
        OSError
            If a chunk cannot be read.
        """
        if self.other is not None:
            return np.asarray(self.other[start:stop] if self.shape else self.other[()])
        if not self.shape:
            return self._read_chunk(()).copy()
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        if not self.chunks[1:] or self.chunks[1:] == self.shape[1:]:
            return self._read_rows(start, max(start, stop))
        found = np.empty((max(stop - start, 0), *self.shape[1:]), dtype=self.dtype)
        wanted = range(start // self.chunks[0], -(-stop // self.chunks[0]) if stop > start else 0)
        for index in _indices(self.shape, self.chunks):
            if index[0] in wanted:
                self._place(found, index, start, stop)
        return found

    def _read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """As `read`, of an array that is cut along its first dimension only."""
        length, rest = self.chunks[0], (0,) * (len(self.shape) - 1)
        pieces = []
        for i in range(start // length, -(-stop // length) if stop > start else 0):
            low, high = max(start - i * length, 0), min(stop - i * length, length)
            pieces.append(self._read_chunk((i, *rest))[low:high])
        if len(pieces) == 1:
            return pieces[0] if len(pieces[0]) == length else pieces[0].copy()
        return np.concatenate(pieces) if pieces else np.empty((0, *self.shape[1:]), dtype=self.dtype)

    def _place(self, found: NDArray[Any], index: tuple[int, ...], start: int, stop: int) -> None:
        """Copy the part of a chunk that lies from `start` to `stop` to where it belongs."""
        low = [i * c for i, c in zip(index, self.chunks, strict=True)]
        high = [min(a + c, n) for a, c, n in zip(low, self.chunks, self.shape, strict=True)]
        first, last = max(low[0], start), min(high[0], stop)
        inner = [slice(a, b) for a, b in zip(low[1:], high[1:], strict=True)]
        rows = self._read_chunk(index)[first - low[0] : last - low[0]]
        found[(slice(first - start, last - start), *inner)] = rows[
            (slice(None), *(slice(s.stop - s.start) for s in inner))
        ]

    def _read_chunk(self, index: tuple[int, ...]) -> NDArray[Any]:
        path = _chunk(str(self.folder), index)
        try:
            with open(path, "rb") as stream:  # noqa: PTH123
                content = stream.read()
        except FileNotFoundError as error:
            where = _chunk(self.folder.name, index)
            raise FileNotFoundError(f"chunk {where} is missing") from error
        found = np.frombuffer(bytearray(_codec().decode(content)), dtype=self.dtype)
        return found.reshape(self.chunks)


def open_array(folder: Path) -> StoredArray:
    """An array that `write_array` wrote, or zarr.

    Raises
    ------
    FileNotFoundError
        If it is not there, or not of the archive's form and lacks a chunk.
    OSError, ValueError, KeyError, TypeError
        If it cannot be read, or what is written of it is damaged.
    """
    document = json.loads((folder / _DOCUMENT).read_bytes())
    shape, name = tuple(document["shape"]), document["data_type"]
    chunks = tuple(document["chunk_grid"]["configuration"]["chunk_shape"])
    plain = (
        isinstance(name, str)
        and document["chunk_grid"]["name"] == "regular"
        and document["chunk_key_encoding"] == _KEYS
        and len(document["codecs"]) == 2
        and document["codecs"][0] in _LITTLE
        and document["codecs"][1]["name"] == "zstd"
        and not document.get("storage_transformers")
    )
    if plain:
        dtype = np.dtype(name).newbyteorder("<")
        return StoredArray(folder, shape, dtype, chunks, document["attributes"])
    import zarr

    other = zarr.open_array(folder, mode="r")
    # zarr would read zeros in place of a chunk that is not there
    there = sum(p.is_file() for p in (folder / "c").rglob("*"))
    if there != (wanted := sum(1 for _ in _indices(shape, other.chunks))):
        raise FileNotFoundError(f"{there} of {wanted} chunks of {folder.name} are there")
    return StoredArray(folder, shape, other.dtype, tuple(other.chunks), document["attributes"], other)
