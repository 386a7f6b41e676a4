"""Files below folders, as they are given to an ingest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["UNFINISHED", "find_files"]

UNFINISHED = (".part", ".tmp", ".filepart")
"""Ends of names of files that are still being written."""


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files named, and files below folders named; hidden and unfinished ones within folders are left out."""
    for path in paths:
        if path.is_dir():
            for each in sorted(path.rglob("*")):
                hidden = any(part.startswith(".") for part in each.relative_to(path).parts)
                if each.is_file() and not hidden and not each.name.endswith(UNFINISHED):
                    yield each
        else:
            yield path
