"""The import of jsonschema without a part of it that takes seconds and that nothing here uses."""

from __future__ import annotations

import sys

__all__ = ["load_jsonschema"]

_SLOW = "rfc3987_syntax"
"""Checks international web addresses; builds its parser from a grammar whenever it is imported."""


def load_jsonschema() -> None:
    """Import jsonschema, if that has not been done, as where its optional check of ``iri`` is not installed.

    Whoever imports papermill or jupyter_client imports it, too: then this comes first.
    """
    if "jsonschema" in sys.modules or _SLOW in sys.modules:
        return
    sys.modules[_SLOW] = None  # type: ignore[assignment]  # how Python is told that there is no such module
    try:
        import jsonschema  # noqa: F401
    finally:
        del sys.modules[_SLOW]
