"""Table of contents of a product type: which datasets there are, of which shape.

With it a span of years is opened by reading one file. It is worked out from the catalogue's products and the
datasets' own metadata, is replaced whole, and can be made again at any time.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab import files
from stixlab.archive import layout
from stixlab.errors import ArchiveError
from stixlab.products.formats.zarr_arrays import open_array

if TYPE_CHECKING:
    from stixlab.archive.store import Archive
    from stixlab.model import Product

__all__ = [
    "Contents",
    "Form",
    "LevelFile",
    "Row",
    "Variable",
    "list_products",
    "make_row",
    "put_rows",
    "read_contents",
    "write_contents",
]

_VERSION = 1
_OF_ONE = {"source_files", "source_sha256", "time_coverage_start", "time_coverage_end", "history", "run_id"}
"""Attributes of a single dataset; those of a span do not carry them."""
_ENCODED = ("units", "calendar")
_EPOCH = "nanoseconds since 1970-01-01"


@dataclass(frozen=True)
class Variable:
    """A variable of datasets of one form."""

    dims: tuple[str, ...]
    dtype: str
    """As xarray shows it, such as ``datetime64[ns]``."""
    sizes: tuple[int, ...]
    """Sizes of the dimensions; that of time is 0."""
    attrs: dict[str, Any]
    coordinate: bool
    values: str = ""
    """Content of an array that does not lie along time, base64."""

    @property
    def shape(self) -> tuple[Any, ...]:
        """What must agree for datasets to be put one behind the other."""
        return self.dims, self.dtype, self.sizes, self.values

    def constant(self) -> NDArray[Any]:
        """Content of an array that does not lie along time."""
        array = np.frombuffer(base64.b85decode(self.values), dtype=np.dtype(self.dtype))
        return array.reshape(self.sizes)

    def decoded_attrs(self) -> dict[str, Any]:
        """Attributes as xarray gives them."""
        attrs = dict(self.attrs)
        if "flag_values" in attrs:
            attrs["flag_values"] = np.array(attrs["flag_values"], dtype=self.dtype)
        return attrs


@dataclass(frozen=True)
class Form:
    """What datasets that can be put one behind the other have in common."""

    variables: dict[str, Variable]
    """In the order of their names. Their attributes are those of the dataset that was added last."""

    def as_document(self) -> dict[str, Any]:
        """For JSON; the order of the variables is kept."""
        return {
            n: {
                "dims": list(v.dims),
                "dtype": v.dtype,
                "sizes": list(v.sizes),
                "attrs": v.attrs,
                "coordinate": v.coordinate,
                "values": v.values,
            }
            for n, v in self.variables.items()
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Form:
        """Of JSON."""
        return cls(
            {
                n: Variable(
                    tuple(d["dims"]), d["dtype"], tuple(d["sizes"]), d["attrs"], d["coordinate"], d["values"]
                )
                for n, d in document.items()
            }
        )


@dataclass(frozen=True)
class Row:
    """One dataset."""

    product_id: str
    key: str
    day: str
    """UTC day of the middle of its bins."""
    n_times: int
    chunk: int
    """Length of the chunks along time."""
    form: str
    """Id of its form."""
    attrs: str
    """Id of its attributes."""


@dataclass(frozen=True)
class LevelFile:
    """Reduced bins of a day, a month or a year."""

    key: str
    width_s: int
    span: str
    """``2021``, ``202106`` or ``20210606``."""
    form: str
    n_times: int


@dataclass(frozen=True)
class Contents:
    """All datasets of one level, type and origin, in the order of time."""

    level: str
    type: str
    origin: str
    rows: tuple[Row, ...] = ()
    forms: dict[str, Form] = field(default_factory=dict)
    attrs: dict[str, dict[str, Any]] = field(default_factory=dict)
    levels: tuple[LevelFile, ...] = ()

    def within(self, first: str, last: str) -> list[Row]:
        """Datasets of the days from `first` to `last`, both included (``2021-06-06``)."""
        return [r for r in self.rows if first <= r.day <= last]

    def as_document(self) -> dict[str, Any]:
        """For JSON; forms and attributes that nothing uses are left out."""
        forms = {r.form for r in self.rows} | {v.form for v in self.levels}
        attrs = {r.attrs for r in self.rows}
        return {
            "version": _VERSION,
            "level": self.level,
            "type": self.type,
            "origin": self.origin,
            "forms": {k: v.as_document() for k, v in self.forms.items() if k in forms},
            "attrs": {k: v for k, v in self.attrs.items() if k in attrs},
            "rows": [[*vars(r).values()] for r in self.rows],
            "levels": [[*vars(v).values()] for v in self.levels],
        }


_KNOWN: dict[Path, tuple[tuple[int, int, int], Contents]] = {}
"""Tables that this process has read, with what tells that they have been replaced since."""


def read_contents(archive: Archive, level: str, product_type: str, origin: str) -> Contents:
    """The table of contents as it is now; an empty one if there is none.

    Raises
    ------
    ArchiveError
        If it is damaged.
    """
    path = archive.path(layout.contents_key(level, product_type, origin))
    try:
        stat = path.stat()
        mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        known = _KNOWN.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        document = json.loads(path.read_bytes())
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']}")  # noqa: TRY301  (told below with the others)
        contents = Contents(
            document["level"],
            document["type"],
            document["origin"],
            tuple(Row(*r) for r in document["rows"]),
            {k: Form.from_document(d) for k, d in document["forms"].items()},
            document["attrs"],
            tuple(LevelFile(*v) for v in document["levels"]),
        )
    except FileNotFoundError:
        return Contents(level, product_type, origin)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            f"{path.name} of {level} {product_type}: expected a table of contents of version {_VERSION}; found"
            f" {error}; `stixlab doctor --archive --repair` makes it again",
            path=path,
        ) from error
    _KNOWN[path] = (mark, contents)
    return contents


def write_contents(archive: Archive, contents: Contents) -> None:
    """Replace the table of contents, whole.

    Raises
    ------
    ArchiveError
        If it cannot be written; the one that was there stays.
    """
    path = archive.path(layout.contents_key(contents.level, contents.type, contents.origin))
    text = json.dumps(contents.as_document(), separators=(",", ":"), allow_nan=False)
    files.write_bytes(path, text.encode())


def make_row(archive: Archive, product: Product) -> tuple[Row, Form, dict[str, Any]]:
    """What the table of contents says of a product, by the metadata of its dataset.

    Raises
    ------
    ArchiveError
        If the dataset is missing or damaged.
    """
    folder = archive.path(product.zarr)
    try:
        document = json.loads((folder / "zarr.json").read_bytes())
        arrays = document["consolidated_metadata"]["metadata"]
        coordinates = _coordinates(document["attributes"], arrays)
        variables = {n: _variable(folder, n, arrays[n], n in coordinates) for n in sorted(arrays)}
        time = arrays["time"]
        n_times, chunk = time["shape"][0], time["chunk_grid"]["configuration"]["chunk_shape"][0]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            f"{product.product_id}: expected a dataset along time at {product.zarr}; {type(error).__name__}: {error};"
            " it is missing or damaged: make the product again from its raw files",
            path=folder,
        ) from error
    form = Form(variables)
    attrs = {k: v for k, v in document["attributes"].items() if k not in {*_OF_ONE, "coordinates"}}
    row = Row(
        product.product_id,
        product.zarr,
        layout.day_of(product.zarr),
        n_times,
        chunk,
        _identity({n: v.shape for n, v in variables.items()}),
        _identity(attrs),
    )
    return row, form, attrs


def list_products(
    archive: Archive, products: Iterable[Product], level: str, product_type: str, origin: str
) -> Contents:
    """A table of contents of some products, for where none is written yet: what is known of each dataset is read.

    Raises
    ------
    ArchiveError
        If a dataset is missing or damaged.
    """
    made = [make_row(archive, p) for p in products if p.zarr]
    return put_rows(Contents(level, product_type, origin), (), made)


def _identity(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]


def _coordinates(attrs: Mapping[str, Any], arrays: Mapping[str, Any]) -> set[str]:
    """Names of coordinates, as CF tells them: dimensions, and what ``coordinates`` names."""
    named = {d for a in arrays.values() for d in a["dimension_names"] if d in arrays}
    for where in (attrs, *(a["attributes"] for a in arrays.values())):
        named |= set(where.get("coordinates", "").split())
    named |= {
        a["attributes"]["bounds"] for n, a in arrays.items() if n in named and "bounds" in a["attributes"]
    }
    return named & set(arrays)


def _variable(folder: Path, name: str, array: Mapping[str, Any], coordinate: bool) -> Variable:  # noqa: FBT001
    attrs = {k: v for k, v in array["attributes"].items() if k != "coordinates"}
    dtype = array["data_type"]
    if attrs.get("units") == _EPOCH and dtype == "int64":
        dtype = "datetime64[ns]"
        attrs = {k: v for k, v in attrs.items() if k not in _ENCODED}
    dims = tuple(array["dimension_names"])
    sizes = tuple(0 if d == "time" else n for d, n in zip(dims, array["shape"], strict=True))
    values = ""
    if "time" not in dims:
        found = open_array(folder / name).read()
        values = base64.b85encode(np.ascontiguousarray(found).tobytes()).decode()
    return Variable(dims, dtype, sizes, attrs, coordinate, values)


def put_rows(
    contents: Contents, days: Iterable[str], made: Iterable[tuple[Row, Form, dict[str, Any]]]
) -> Contents:
    """The table with all rows of some days replaced."""
    touched = set(days)
    rows = [r for r in contents.rows if r.day not in touched]
    forms, attrs = dict(contents.forms), dict(contents.attrs)
    for row, form, found in made:
        rows.append(row)
        forms[row.form] = form
        attrs[row.attrs] = found
    rows.sort(key=lambda r: (r.day, r.product_id))
    return Contents(
        contents.level, contents.type, contents.origin, tuple(rows), forms, attrs, contents.levels
    )
