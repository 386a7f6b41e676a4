"""Which notebooks are shown to everyone: those that say so themselves.

A notebook whose metadata has ``"audience": "public"`` is a public app. Everything else, also what says
nothing or cannot be read, is the team's: forgetting the line hides a notebook, it never shows one.
"""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["is_public", "public_notebooks"]

PUBLIC = "public"


def is_public(notebook: Path) -> bool:
    """Whether a notebook is there and meant for everyone."""
    try:
        metadata = json.loads(notebook.read_bytes())["metadata"]
        return bool(metadata["audience"] == PUBLIC)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def public_notebooks(folder: Path) -> list[Path]:
    """The public apps of a folder, by name."""
    return [path for path in sorted(folder.glob("*.ipynb")) if is_public(path)]
