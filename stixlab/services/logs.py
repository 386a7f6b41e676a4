"""Logs of the services: one file each, kept to a size, with an end that can be shown."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from stixlab.catalog.connect import mask_uri
from stixlab.services.locks import write_problem

__all__ = ["MAX_BYTES", "last_lines", "open_log", "rotate"]

MAX_BYTES = 5_000_000
"""A log larger than this is set aside when its service starts; the one set aside before is dropped."""

_TAIL_BYTES = 16_384


def rotate(path: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Set a log aside if it has grown too large."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > max_bytes:
            path.replace(path.with_suffix(path.suffix + ".1"))


def open_log(path: Path, *, max_bytes: int = MAX_BYTES) -> int:
    """Descriptor to append to a log that its owner alone reads; the caller closes it.

    Raises
    ------
    ServiceError
        If the log cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        rotate(path, max_bytes=max_bytes)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise write_problem(path, error) from error


def last_lines(path: Path, n_lines: int = 15, *, offset: int = 0) -> str:
    """End of a log from a byte on, logins in URIs masked; empty if there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(offset, path.stat().st_size - _TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return mask_uri("\n".join(text.splitlines()[-n_lines:]))
