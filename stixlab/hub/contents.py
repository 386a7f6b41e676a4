"""Files of a member's JupyterLab: the notebooks of the installation are read, everything else is the member's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

from stixlab.settings import project_folder

__all__ = ["SHARED", "TeamContents"]

SHARED = ("notebooks", "pipelines")
"""Folders of the installation that every member sees as ``shared-<name>``."""


class TeamContents(AsyncLargeFileManager):  # type: ignore[misc]  # jupyter_server's traits are not read by mypy
    """The member's folder, in which JupyterLab saves nothing into what belongs to the installation.

    JupyterLab saves open notebooks by itself; through a link it would change what runs in production. This guards
    against accidents: whoever has a terminal of the same account can write there.
    """

    def is_writable(self, path: str) -> bool:
        """Whether something may be saved at a path; JupyterLab does not try where it may not."""
        return not self._is_shared(path) and bool(super().is_writable(path))

    async def save(self, model: dict[str, Any], path: str = "") -> Any:
        """Save a file or make a folder."""
        self._own(path)
        return await super().save(model, path)

    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Move a file."""
        self._own(old_path)
        self._own(new_path)
        await super().rename_file(old_path, new_path)

    async def delete_file(self, path: str) -> None:
        """Delete a file or a folder."""
        self._own(path)
        await super().delete_file(path)

    async def create_checkpoint(self, path: str) -> Any:
        """Keep a file as it is now."""
        self._own(path)
        return await super().create_checkpoint(path)

    async def restore_checkpoint(self, checkpoint_id: str, path: str) -> None:
        """Make a file what it was."""
        self._own(path)
        await super().restore_checkpoint(checkpoint_id, path)

    async def delete_checkpoint(self, checkpoint_id: str, path: str) -> None:
        """Forget what a file was."""
        self._own(path)
        await super().delete_checkpoint(checkpoint_id, path)

    def _is_shared(self, path: str) -> bool:
        found = Path(self._get_os_path(path)).resolve()
        return any(found.is_relative_to(project_folder(name).resolve()) for name in SHARED)

    def _own(self, path: str) -> None:
        """Refuse a path that belongs to the installation.

        Raises
        ------
        HTTPError
            403, if it does.
        """
        if self._is_shared(path):
            message = (
                f"{path}: expected a path of your own; this is a notebook of the installation, which is only read here: "
                "File > Save Notebook As keeps a copy in your folder"
            )
            raise HTTPError(
                403, message.replace("%", "%%"), reason=message.encode("ascii", "replace").decode()
            )
