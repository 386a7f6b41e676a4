"""Logins of the embedded database: made once, kept in a file that its owner alone reads."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from stixlab.catalog.users import KEEPER, ROLES
from stixlab.errors import ServiceError
from stixlab.files import flush_folder
from stixlab.services.locks import write_problem

__all__ = ["Credentials", "read_or_make_credentials", "write_private"]

_PASSWORD_BYTES = 24
_NAMES = (*ROLES, KEEPER)


@dataclass(frozen=True)
class Credentials:
    """Passwords by user."""

    passwords: dict[str, str] = field(repr=False)

    def uri(self, user: str, port: int, database: str) -> str:
        """URI of the embedded server with a user's login."""
        password = quote(self.passwords[user], safe="")
        return f"mongodb://{user}:{password}@127.0.0.1:{port}/{database}?authSource={database}&directConnection=true"


def read_or_make_credentials(path: Path) -> Credentials:
    """Logins of a file; where there is none, new ones, written before they are returned.

    Raises
    ------
    ServiceError
        If the file is damaged, belongs to somebody else, or cannot be written.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        made = {name: secrets.token_urlsafe(_PASSWORD_BYTES) for name in _NAMES}
        write_private(path, json.dumps(made))
        return Credentials(made)


def _read(path: Path) -> Credentials:
    try:
        passwords = json.loads(path.read_text())
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except PermissionError as error:
        raise ServiceError(
            f"{path}: belongs to somebody else ({error.strerror}); set STIXLAB_MONGO_URI to a URI that its owner "
            "gives you, or STIXLAB_HOME to a place of your own"
        ) from None
    except ValueError:
        passwords = None
    if not isinstance(passwords, dict) or not all(isinstance(passwords.get(n), str) for n in _NAMES):
        raise ServiceError(
            f"{path}: expected the logins of {', '.join(_NAMES)}; the file is damaged; delete it, new ones are made "
            "when the database starts the next time"
        )
    return Credentials({name: passwords[name] for name in _NAMES})


def write_private(path: Path, text: str) -> None:
    """Write a whole file that its owner alone reads, or nothing.

    Raises
    ------
    ServiceError
        If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_problem(path, error) from error
