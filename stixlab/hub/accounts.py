"""Accounts of the team on one installation: names, roles, hashes of passwords.

One file that its owner alone reads. Passwords are kept as scrypt hashes with a salt of their own.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from stixlab.errors import ConflictError, NotInCatalogError, ParameterError
from stixlab.files import write_bytes
from stixlab.hub.places import hub_folder

__all__ = ["OPERATOR", "ROLES", "Account", "Accounts", "ensure_operator"]

log = logging.getLogger(__name__)

OPERATOR = "operator"
"""Name of the first account, and the role that may write."""
ROLES = ("team", "operator")
_NAME = re.compile(r"[a-z][a-z0-9_-]{1,31}")
_LEAST_PASSWORD = 10
_MOST_PASSWORD = 1024
_COST = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}
"""scrypt: 32 MB and about 0.1 s for each try."""


@dataclass(frozen=True)
class Account:
    """One member of the team."""

    name: str
    role: str
    """``team`` reads and works in notebooks; ``operator`` writes and manages accounts."""
    salt: str
    """Hexadecimal."""
    hash: str
    """scrypt of the password, hexadecimal."""
    created: str
    """UTC."""


class Accounts:
    """The accounts of one home.

    Parameters
    ----------
    home
        Home of the installation.
    """

    def __init__(self, home: Path) -> None:
        self._path = hub_folder(home) / "accounts.json"

    def all(self) -> dict[str, Account]:
        """Accounts by name."""
        try:
            found = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        return {name: Account(**entry) for name, entry in found.items()}

    def add(self, name: str, *, role: str = "team", password: str | None = None) -> str:
        """A new account; its password, made here unless given.

        Raises
        ------
        ParameterError
            If the name, the role or the password is not what it must be.
        ConflictError
            If there is an account of that name.
        """
        if not _NAME.fullmatch(name):
            raise ParameterError(
                f"account: expected 2 to 32 small letters, digits, - and _, a letter first; found {name[:40]!r}"
            )
        if role not in ROLES:
            raise ParameterError(f"role: expected {' or '.join(ROLES)}; found {role!r}")
        chosen = _checked(password) if password is not None else _made()
        with self._changing() as accounts:
            if name in accounts:
                raise ConflictError(f"account {name}: there is one already; give it a new password instead")
            accounts[name] = _account(name, role, chosen)
        log.info("account made", extra={"account": name, "role": role})
        return chosen

    def set_password(self, name: str, password: str | None = None) -> str:
        """A new password of an account, made here unless given.

        Raises
        ------
        NotInCatalogError
            If there is no such account.
        ParameterError
            If the password is too short or too long.
        """
        chosen = _checked(password) if password is not None else _made()
        with self._changing() as accounts:
            if name not in accounts:
                raise NotInCatalogError(f"account {name!r}: there is none; there are {', '.join(accounts)}")
            accounts[name] = _account(name, accounts[name].role, chosen)
        log.info("password set", extra={"account": name})
        return chosen

    def remove(self, name: str) -> None:
        """Take an account away.

        Raises
        ------
        NotInCatalogError
            If there is no such account.
        """
        with self._changing() as accounts:
            if accounts.pop(name, None) is None:
                raise NotInCatalogError(f"account {name!r}: there is none")
        log.info("account removed", extra={"account": name})

    def check(self, name: str, password: str) -> Account | None:
        """The account, if the password is its own; takes as long where there is no such account."""
        account = self.all().get(name)
        salt = bytes.fromhex(account.salt) if account else b"\0" * 16
        expected = bytes.fromhex(account.hash) if account else b"\0" * 64
        found = _hash(password[:_MOST_PASSWORD], salt)
        same = hmac.compare_digest(found, expected)
        return account if same else None

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Account]]:
        """Accounts to be changed, by one process at a time; written when the block ends well."""
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            accounts = self.all()
            yield accounts
            text = json.dumps({name: asdict(each) for name, each in sorted(accounts.items())}, indent=1)
            write_bytes(self._path, text.encode())
            self._path.chmod(0o600)


def ensure_operator(home: Path) -> str | None:
    """Make the first operator account; its password, to be shown once, or none if there is one already."""
    accounts = Accounts(home)
    if accounts.all():
        return None
    try:
        return accounts.add(OPERATOR, role=OPERATOR)
    except ConflictError:
        return None


def _account(name: str, role: str, password: str) -> Account:
    salt = secrets.token_bytes(16)
    return Account(
        name, role, salt.hex(), _hash(password, salt).hex(), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    )


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, dklen=64, **_COST)


def _made() -> str:
    """A random password of 80 bits that can be read out and typed."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def _checked(password: str) -> str:
    if not _LEAST_PASSWORD <= len(password) <= _MOST_PASSWORD:
        raise ParameterError(
            f"password: expected {_LEAST_PASSWORD} to {_MOST_PASSWORD} characters; found {len(password)}"
        )
    return password
