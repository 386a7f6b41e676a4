"""Where things stand in the archive. Keys are relative paths with slashes; the catalogue keeps keys, never paths."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from stixlab.errors import ArchiveError

__all__ = [
    "SCHEMA",
    "TRASH",
    "contents_key",
    "dataset_key",
    "day_of",
    "level_key",
    "packets_key",
    "raw_key",
    "replaced_mark",
    "run_key",
    "trash_key",
]

SCHEMA = "schema.json"
"""Tells in which form the archive is."""
TRASH = "trash"
"""Folder of what was deleted and can still be brought back."""


def raw_key(sha256: str) -> str:
    """Key of a file as received."""
    return f"raw/{sha256[:2]}/{sha256}"


def packets_key(sha256: str) -> str:
    """Key of the packets of a file, with their headers as columns."""
    return f"packets/{sha256[:2]}/{sha256}.packets"


def dataset_key(level: str, product_type: str, day: np.datetime64, origin: str, content_sha256: str) -> str:
    """Key of the analysis form of a day: named by its content, so that it never changes."""
    year, month, date = str(day.astype("datetime64[D]")).split("-")
    name = f"{product_type}_{year}{month}{date}_{origin}_{content_sha256[:16]}.zarr"
    return f"zarr/{level}/{product_type}/{year}/{month}/{name}"


def day_of(key: str) -> str:
    """UTC day of a dataset, as ``2021-06-06``, by its key.

    Raises
    ------
    ArchiveError
        If it is no key of `dataset_key`.
    """
    parts = PurePosixPath(key).name.rsplit("_", 3)
    if len(parts) == 4 and len(parts[1]) == 8 and parts[1].isdigit():
        return f"{parts[1][:4]}-{parts[1][4:6]}-{parts[1][6:]}"
    raise ArchiveError(
        f"archive key: expected zarr/LEVEL/TYPE/YYYY/MM/TYPE_YYYYMMDD_ORIGIN_HASH.zarr; found {key!r}"
    )


def contents_key(level: str, product_type: str, origin: str) -> str:
    """Key of the table of contents of a product type: its datasets, with their shapes, and its reduced levels."""
    return f"zarr/{level}/{product_type}/contents_{origin}.json"


def level_key(
    level: str, product_type: str, origin: str, *, width_s: int, span: str, content_sha256: str
) -> str:
    """Key of a reduced level: bins of one width over a day, a month or a year, named by content."""
    name = f"{product_type}_{span}_{origin}_{content_sha256[:16]}.npz"
    return f"zarr/{level}/{product_type}/levels/{width_s}s/{name}"


def replaced_mark(path: Path) -> Path:
    """File beside something that is named no more; its time tells since when."""
    return path.with_name(f".replaced-{path.name}")


def run_key(run_id: str) -> str:
    """Key of the folder of a run: its executed notebook and what it saved."""
    return f"runs/{run_id}"


def trash_key(entry_id: str, key: str) -> str:
    """Key of something that was deleted, by the entry of the audit trail that tells of it."""
    return f"{TRASH}/{entry_id}/{key}"
