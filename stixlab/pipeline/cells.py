"""The cells of a notebook, read as text, and how one says where something is wrong."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from stixlab.errors import PipelineError

__all__ = ["Cell", "Place", "did_you_mean", "faults_error", "read_cells"]


class Cell(NamedTuple):
    """One cell."""

    kind: str
    """``code``, ``markdown`` or ``raw``."""
    source: str
    tags: tuple[str, ...]


class Place:
    """Where in a notebook something is wrong.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cell = 0
        """From 1; 0 means the whole file."""

    def error(self, name: str, message: str) -> PipelineError:
        """The error that names file, cell and field."""
        where = f"{self.path.name}, cell {self.cell}" if self.cell else self.path.name
        return PipelineError(f"{where}, {name}: {message}", path=self.path, cell=self.cell, field=name)


def faults_error(faults: Sequence[PipelineError]) -> PipelineError:
    """Several errors as one, which is of the cell and field of the first.

    Parameters
    ----------
    faults
        From `Place.error`, at least one; they stay readable one by one as `faults`.
    """
    first = faults[0]
    message = "; ".join(e.message for e in faults)
    return PipelineError(message, **first.details, faults=tuple(faults))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name that is nearest to one that is not known, as part of a message; empty if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def read_cells(place: Place) -> tuple[bytes, list[Cell]]:
    """Content of a notebook file, and its cells.

    Raises
    ------
    PipelineError
        If the file cannot be read or is no notebook.
    """
    try:
        content = place.path.read_bytes()
        cells = [
            Cell(
                str(cell["cell_type"]),
                cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"]),
                tuple(cell.get("metadata", {}).get("tags", ())),
            )
            for cell in json.loads(content)["cells"]
        ]
    except OSError as error:
        raise place.error("file", f"cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise place.error(
            "file", f"expected a Jupyter notebook, format 4; {type(error).__name__}: {error}"
        ) from error
    return content, cells
