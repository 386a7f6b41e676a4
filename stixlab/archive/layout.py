"""Where things stand in the archive. Keys are relative paths with slashes; the catalogue keeps keys, never paths."""

from __future__ import annotations

import numpy as np

__all__ = ["dataset_key", "packets_key", "raw_key", "run_key"]


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


def run_key(run_id: str) -> str:
    """Key of the folder of a run: its executed notebook and what it saved."""
    return f"runs/{run_id}"
