"""Login with the accounts of the installation; repeated failures have to wait."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import Unicode

from stixlab.errors import ParameterError
from stixlab.hub.accounts import OPERATOR, Accounts
from stixlab.hub.password_page import PasswordPage

__all__ = ["AccountAuthenticator", "Throttle"]


class Throttle:
    """Who failed repeatedly waits, twice as long each time; others do not.

    Counted for a name from an address, and for an address alone: nobody can lock out another
    person from elsewhere, nor try many names from one place.
    """

    free_tries = 5
    """Failures before the first wait."""
    first_wait_s = 10.0
    longest_wait_s = 900.0
    _MOST = 10_000

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def wait_s(self, name: str, address: str, *, now: float | None = None) -> float:
        """Seconds that this name from this address has to wait; 0 if it may try."""
        moment = time.monotonic() if now is None else now
        return max(self._left(key, moment, scale) for key, scale in self._keys(name, address))

    def failed(self, name: str, address: str, *, now: float | None = None) -> None:
        """Count a failure."""
        moment = time.monotonic() if now is None else now
        for key, _ in self._keys(name, address):
            count, last = self._failures.pop(key, (0, moment))
            count = count + 1 if moment - last < 2 * self.longest_wait_s else 1
            self._failures[key] = (count, moment)
        while len(self._failures) > self._MOST:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of a name from an address."""
        self._failures.pop((name, address), None)

    @staticmethod
    def _keys(name: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
        return (((name, address), 1), (("", address), 4))

    def _left(self, key: tuple[str, str], now: float, scale: int) -> float:
        count, last = self._failures.get(key, (0, 0.0))
        over = count - self.free_tries * scale
        if over < 0:
            return 0.0
        wait = min(self.first_wait_s * 2.0 ** min(over, 16), self.longest_wait_s)
        return max(0.0, last + wait - now)


class AccountAuthenticator(Authenticator):  # type: ignore[misc]  # jupyterhub has no types
    """Accounts that an operator made; there is no sign-up."""

    home = Unicode(help="Home of the installation, where the accounts are.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._throttle = Throttle()
        self._one_at_a_time = asyncio.Semaphore(2)

    @property
    def accounts(self) -> Accounts:
        """The accounts."""
        return Accounts(Path(self.home))

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """The user, if name and password fit and it need not wait."""
        name, password = data.get("username", ""), data.get("password", "")
        address = handler.request.remote_ip if handler is not None else ""
        wait = self._throttle.wait_s(name, address)
        if wait > 0:
            self.log.warning("login of %r from %s refused: has to wait %.0f s", name[:40], address, wait)
            return None
        async with self._one_at_a_time:
            account = await asyncio.to_thread(self.accounts.check, name, password)
        if account is None:
            self._throttle.failed(name, address)
            return None
        self._throttle.succeeded(name, address)
        return {"name": account.name, "admin": account.role == OPERATOR}

    def check_allowed(self, username: str, authentication: Any = None) -> bool:  # noqa: ARG002
        """Whether there is such an account still; asked again with every refresh."""
        return username in self.accounts.all()

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> bool:  # noqa: ARG002
        """Whether a session may go on: not after its account was taken away."""
        return user.name in self.accounts.all()

    async def change_password(self, name: str, old: str, new: str, address: str) -> str:
        """Change a password; empty if it went well, otherwise why not."""
        if self._throttle.wait_s(name, address) > 0:
            return "Too many failed tries; wait a few minutes."
        if await asyncio.to_thread(self.accounts.check, name, old) is None:
            self._throttle.failed(name, address)
            return "The present password is not the right one."
        try:
            await asyncio.to_thread(self.accounts.set_password, name, new)
        except ParameterError as error:
            return error.message
        return ""

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """Pages of its own beside login: the one to change a password."""
        return [*super().get_handlers(app), (r"/password", PasswordPage)]
