"""Where the hub keeps what is its own, with the rights it needs; and which ports it took."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stixlab.errors import ServiceError
from stixlab.files import write_bytes

__all__ = ["choose_ports", "hub_folder", "log_folder", "runtime_folder", "secret", "services_folder"]

_SECRET_BYTES = 32


def hub_folder(home: Path) -> Path:
    """Folder of accounts, secrets and the hub's own database; its owner alone reads it."""
    return _private(home / "hub")


def services_folder(home: Path) -> Path:
    """Folder in which each service that the hub started is noted."""
    folder = home / "run" / "services"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_folder(home: Path) -> Path:
    """Folder of the logs; its owner alone reads it."""
    return _private(home / "log")


def runtime_folder(home: Path) -> Path:
    """A short folder for sockets, one for each home; its owner alone reads it.

    Names of Unix sockets end at about a hundred characters, homes may be deeper than that.

    Raises
    ------
    ServiceError
        If somebody else made a folder of that name.
    """
    name = hashlib.sha256(str(home).encode()).hexdigest()[:10]
    folder = _private(Path(tempfile.gettempdir()) / f"stixlab-{os.getuid()}-{name}")
    state = folder.lstat()
    if state.st_uid != os.getuid() or not stat.S_ISDIR(state.st_mode):
        raise ServiceError(
            f"folder {folder}: expected to be ours; it belongs to user {state.st_uid}; have it removed"
        )
    return folder


def secret(home: Path, name: str) -> bytes:
    """Random bytes that stay the same for a home; in a file that its owner alone reads."""
    path = hub_folder(home) / name
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return bytes.fromhex(path.read_text().strip())
    made = secrets.token_bytes(_SECRET_BYTES)
    with open(handle, "w") as file:  # noqa: PTH123  (a handle, not a path)
        file.write(made.hex() + "\n")
    return made


def choose_ports(home: Path, names: Sequence[str], *, host: str = "127.0.0.1") -> dict[str, int]:
    """A free port for each name; those of the last start again where they are still free.

    Servers of the team that outlive the hub find it again when its port stays the same.
    """
    path = hub_folder(home) / "ports.json"
    try:
        last = {str(k): int(v) for k, v in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        last = {}
    held: list[socket.socket] = []
    ports: dict[str, int] = {}
    try:
        for name in names:
            holder = _bound(host, last.get(name, 0)) or _bound(host, 0)
            assert holder is not None, "the system always has a free port"
            held.append(holder)
            ports[name] = holder.getsockname()[1]
    finally:
        for holder in held:
            holder.close()
    write_bytes(path, json.dumps(ports).encode())
    return ports


def _bound(host: str, port: int) -> socket.socket | None:
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((host, port))
    except OSError:
        holder.close()
        return None
    return holder


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(folder.lstat().st_mode) != 0o700 and folder.lstat().st_uid == os.getuid():
        folder.chmod(0o700)
    return folder
