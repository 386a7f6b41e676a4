"""The program itself as something that products depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

__all__ = ["code_sha256", "sha256_of_parts"]

_CODE = (
    *("compiled.py", "vocabulary.py", "timing", "instrument", "idb", "telemetry", "engineering", "datasets"),
    "products",
)
"""Parts of the package that decide about the data of a product."""


@cache
def code_sha256(*also: str) -> str:
    """Hash of the program texts and tables that decide about the data of a product.

    An allow-list: only what turns packets into products counts, so that an edit elsewhere makes no product stale.
    `stixlab.pipeline.identity.code_sha256` is wider on purpose: a pipeline may call nearly anything.

    Parameters
    ----------
    *also
        Further parts of the package.
    """
    return sha256_of_parts(Path(__file__).parents[1], (*_CODE, *also))


def sha256_of_parts(root: Path, names: Iterable[str]) -> str:
    """Hash of files and folders; what was compiled from them is left out, as it comes and goes.

    Parameters
    ----------
    root
        Folder they are in.
    names
    """
    digest = hashlib.sha256()
    for name in names:
        place = root / name
        found = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
        for path in found:
            if "__pycache__" not in path.parts and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
