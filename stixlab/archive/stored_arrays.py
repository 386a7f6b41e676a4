"""Arrays of many datasets as one: nothing is opened before a value is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import ArchiveError
from stixlab.products.formats.zarr_arrays import StoredArray, open_array

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["Blocks", "Part", "Stretch", "read_part", "read_times"]


@dataclass(frozen=True)
class Part:
    """A stretch of the bins of one dataset."""

    folder: str
    day: str
    """UTC day of the middle of its bins."""
    start: int
    stop: int
    n_times: int
    """Bins of the whole dataset."""
    chunk: int
    """Length of the chunks along time."""

    def __len__(self) -> int:
        return self.stop - self.start

    def narrowed(self, start: int, stop: int) -> Part:
        """Bins of it, counted from its start."""
        return Part(self.folder, self.day, self.start + start, self.start + stop, self.n_times, self.chunk)

    def blocks(self) -> list[Part]:
        """The same in pieces that end where the chunks end."""
        edges = [
            self.start,
            *range((self.start // self.chunk + 1) * self.chunk, self.stop, self.chunk),
            self.stop,
        ]
        return [Part(self.folder, self.day, a, b, self.n_times, self.chunk) for a, b in pairwise(edges)]


class Blocks:
    """Gives dask the blocks of one variable by their number.

    No dataclass: dask would look into all its parts for arrays of its own.

    Parameters
    ----------
    parts
        The blocks, one behind the other.
    name, dtype
        Of the variable.
    """

    def __init__(self, parts: tuple[Part, ...], name: str, dtype: str) -> None:
        self.parts = parts
        self.name = name
        self.dtype = dtype

    def __call__(self, block_id: tuple[int, ...]) -> NDArray[Any]:
        """Values of a block."""
        return read_part(self.parts[block_id[0]], self.name, self.dtype)


class Stretch:
    """Several stretches, one behind the other, as dask has them: a block for each chunk along time.

    Parameters
    ----------
    parts
        In the order of time.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._blocks = tuple(block for part in parts for block in part.blocks())
        self._lengths = tuple(map(len, self._blocks))
        told = ";".join(f"{b.folder}:{b.start}:{b.stop}" for b in self._blocks)
        self._token = hashlib.sha256(told.encode()).hexdigest()[:24]

    def array(self, name: str, dtype: str, inner: Sequence[int] = ()) -> da.Array:
        """(time, ...) values of a variable.

        Parameters
        ----------
        name, dtype
            Of the variable.
        inner
            Sizes of its other dimensions.
        """
        import dask.array as da

        return da.map_blocks(
            Blocks(self._blocks, name, dtype),
            chunks=(self._lengths, *((n,) for n in inner)),
            dtype=np.dtype(dtype),
            meta=np.empty((0,) * (1 + len(inner)), dtype=dtype),
            name=f"{name}-{self._token}",
        )


def read_part(part: Part, name: str, dtype: str) -> NDArray[Any]:
    """(time, ...) values of a variable in a stretch of a dataset.

    Raises
    ------
    ArchiveError
        If the dataset is gone, lacks a chunk or is damaged.
    """
    try:
        array = _open(part.folder, name)
        if array.shape[0] != part.n_times:
            raise ValueError(f"{array.shape[0]} bins")  # noqa: TRY301  (told below with the others)
        values = array.read(part.start, part.stop)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ArchiveError(
            f"{Path(part.folder).name}: expected {name} of {part.n_times} bins; {type(error).__name__}: {error}; it is damaged,"
            " or was replaced long ago: open it again; if that does not help, make the product again from its raw files",
            path=part.folder,
        ) from error
    return values if str(values.dtype) == dtype else values.view(dtype)


def read_times(parts: Sequence[Part]) -> NDArray[np.datetime64]:
    """(time,) UTC, middle of the bins of several stretches."""
    if not parts:
        return np.zeros(0, dtype="datetime64[ns]")
    return np.concatenate([read_part(p, "time", "datetime64[ns]") for p in parts])


@lru_cache(maxsize=2048)
def _open(folder: str, name: str) -> StoredArray:
    """An array; datasets are named by their content, so that what was read of one stays right."""
    return open_array(Path(folder, name))
