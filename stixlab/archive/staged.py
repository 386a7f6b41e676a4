"""An archive to write results to before anybody may see them: reads the real one, writes beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stixlab import files
from stixlab.archive.store import Archive, below
from stixlab.errors import AccessError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["StagedArchive"]


class StagedArchive(Archive):
    """The files of an archive, with those that were written here in front of them.

    It can be sent to other processes; what they write is seen by all that have the same folder.

    Parameters
    ----------
    base
        What is there; it is only read.
    stage
        Folder for what is written; it is made when something is.
    """

    def __init__(self, base: Archive, stage: Path) -> None:
        super().__init__(base.root, writable=True)
        self.stage = stage
        self._dropped: set[str] = set()

    def path(self, key: str) -> Path:
        """Path of a key: that of the file written here if there is one, or if the archive has none."""
        base = super().path(key)
        if not key:
            return base
        staged = self.target(key)
        return staged if staged.exists() or key in self._dropped or not base.exists() else base

    def target(self, key: str) -> Path:
        """Path below the stage."""
        return below(self.stage, key)

    @contextmanager
    def writing(self, *, wait_s: float = 600.0) -> Iterator[None]:  # noqa: ARG002  (nobody is waited for)
        """Nothing to wait for: nobody else writes here."""
        yield

    def remove(self, key: str) -> None:
        """Let a file or folder be gone, as seen from here; the archive keeps its own."""
        self._dropped.add(key)
        staged = self.target(key)
        try:
            if staged.is_dir():
                shutil.rmtree(staged)
            else:
                staged.unlink(missing_ok=True)
        except OSError as error:
            raise files.write_failed(staged, error) from error

    def remove_superseded(
        self,
        level: str,  # noqa: ARG002
        product_type: str,  # noqa: ARG002
        day: np.datetime64,  # noqa: ARG002
        keep: set[str],  # noqa: ARG002
    ) -> list[str]:
        """Nothing: whoever takes the results over does it."""
        return []

    def mark_replaced(self, keys: Iterable[str]) -> None:
        """Nothing: whoever takes the results over does it."""

    def mark_named(self, keys: Iterable[str]) -> None:
        """Nothing: whoever takes the results over does it."""

    def run_folder(self, run_id: str) -> Path:
        """Not here.

        Raises
        ------
        AccessError
            Always.
        """
        raise AccessError(f"run {run_id}: expected the real archive; found a staged one")
