"""Servers of the team: processes beside the hub, all under the account that runs it.

Right for one machine whose team trusts one another, and for demonstrations: there is no wall
between members. An installation for strangers spawns into containers or accounts of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import Any as AnyTrait

from stixlab.hub.environment import settings_environment
from stixlab.hub.places import runtime_folder
from stixlab.settings import project_folder

__all__ = ["TeamSpawner", "prepare_folder"]


_UNWANTED = ("@jupyterlab/apputils-extension:announcements", "@voila-dashboards/jupyterlab-preview")
"""Parts of JupyterLab that would ask other machines for news, or show what the public apps show."""


class TeamSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]  # jupyterhub has no types
    """A JupyterLab with the data center at hand."""

    settings = AnyTrait(help="Settings of the installation.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        users = self.settings.home / "users"
        self.home_dir_template = str(users / "{username}")
        self.notebook_dir = self.home_dir_template
        self.default_url = "/lab"
        self.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
        self.args = [
            "--KernelManager.transport=ipc",
            "--ServerApp.terminals_enabled=True",
            "--LabApp.extension_manager=readonly",
            "--ServerApp.contents_manager_class=stixlab.hub.contents.TeamContents",
            *(["--allow-root"] if os.geteuid() == 0 else []),
        ]
        self.http_timeout = 60
        self.start_timeout = 60
        self.poll_interval = 10
        self.interrupt_timeout = 2

    def get_env(self) -> dict[str, str]:
        """Environment of the server: access by the member's role."""
        access = "operator" if self.user.admin else "team"
        env: dict[str, str] = super().get_env()
        folder = Path(self.home_dir)
        return (
            env
            | settings_environment(self.settings, access=access)
            | {
                "PATH": f"{Path(sys.executable).parent}:{env.get('PATH', '')}",
                "IPYTHONDIR": str(folder / ".ipython"),
                "JUPYTER_RUNTIME_DIR": str(self._runtime_folder()),
                "JUPYTER_CONFIG_DIR": str(folder / ".jupyter"),
                "JUPYTER_DATA_DIR": str(folder / ".local" / "share" / "jupyter"),
            }
        )

    def _runtime_folder(self) -> Path:
        """Where the sockets of the member's kernels are; short, since names of sockets are."""
        name = hashlib.sha256(self.user.name.encode()).hexdigest()[:8]
        folder = runtime_folder(self.settings.home) / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    async def start(self) -> Any:
        """Make the member's folder with the shared notebooks in it, then start the server."""
        prepare_folder(Path(self.home_dir))
        return await super().start()


def prepare_folder(folder: Path) -> None:
    """Make the folder of a member, with links to the shared notebooks that follow the installation."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("notebooks", "pipelines"):
        link, shared = folder / f"shared-{name}", project_folder(name)
        if link.is_symlink() and link.readlink() != shared:
            link.unlink()
        if not link.exists() and not link.is_symlink():
            link.symlink_to(shared, target_is_directory=True)
    page_config = folder / ".jupyter" / "labconfig" / "page_config.json"
    if not page_config.exists():
        page_config.parent.mkdir(parents=True, exist_ok=True)
        page_config.write_text(json.dumps({"disabledExtensions": dict.fromkeys(_UNWANTED, True)}, indent=1))
