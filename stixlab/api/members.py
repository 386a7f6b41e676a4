"""Who asks: members of the team, known by the hub's token of their server; how often they may ask."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from stixlab.errors import ServiceError

__all__ = ["HubTokens", "Limit", "MaybeMember", "Member", "TheMember", "Whois"]

log = logging.getLogger(__name__)

_KEPT_S = 30.0
"""So long an answer of the hub holds; an account that was taken away is out after it."""
_MOST_KEPT = 1000
_LONGEST_TOKEN = 200
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Member:
    """A member of the team, as the hub knows it."""

    name: str
    operator: bool
    """Whether runs of others may be cancelled and tried again."""


Whois = Callable[[str], Member | None]
"""The member that a token belongs to; none if it belongs to nobody."""


class HubTokens:
    """Asks the hub whose token it is.

    Parameters
    ----------
    url
        Address of the hub's interface, such as ``http://127.0.0.1:8081/hub/api``.
    """

    def __init__(self, url: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ServiceError(f"hub: expected the address of its interface; found {url!r}")
        self._url = url.rstrip("/")
        self._kept: OrderedDict[str, tuple[float, Member | None]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, token: str) -> Member | None:
        """The member, from what the hub said within the last seconds or says now.

        Raises
        ------
        ServiceError
            If the hub does not answer.
        """
        # Kept under a hash, so that no token stands in the memory of this process for longer than a request.
        key = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        with self._lock:
            asked, member = self._kept.get(key, (float("-inf"), None))
        if time.monotonic() - asked < _KEPT_S:
            return member
        member = self._ask(token)
        with self._lock:
            self._kept[key] = (time.monotonic(), member)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return member

    def _ask(self, token: str) -> Member | None:
        request = urllib.request.Request(f"{self._url}/user", headers={"Authorization": f"token {token}"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  (http, checked above)
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (400, 401, 403):
                return None
            raise ServiceError(f"hub: expected to hear whose token it is; it answered {error.code}") from None
        except (OSError, ValueError) as error:
            raise ServiceError(f"hub: expected an answer from {self._url}; {error}") from None
        return _member(found)


def _member(found: object) -> Member | None:
    """The member; only a token that may enter a server of the member counts, as that of the server itself may.

    Tokens that merely tell other services who somebody is are not enough to start something.
    """
    if not isinstance(found, dict) or found.get("kind") != "user" or not found.get("name"):
        return None
    scopes = found.get("scopes", [])
    name = str(found["name"])
    whole, one = ("access:servers", f"access:servers!user={name}"), f"access:servers!server={name}/"
    if not any(s in whole or str(s).startswith(one) for s in scopes):
        return None
    return Member(name, operator=bool(found.get("admin")))


class Limit:
    """How often something may be done in a while, by each of many.

    Parameters
    ----------
    most
        So often.
    within_s
        In so many seconds.
    """

    _MOST_KEYS = 10_000

    def __init__(self, most: int, within_s: float) -> None:
        self._most, self._within_s = most, within_s
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, key: str, *, now: float | None = None, count: bool = True) -> float:
        """0 if it may be done now, which counts, otherwise the seconds to wait."""
        moment = time.monotonic() if now is None else now
        with self._lock:
            times = self._times.setdefault(key, deque())
            self._times.move_to_end(key)
            while len(self._times) > self._MOST_KEYS:
                self._times.popitem(last=False)
            while times and times[0] <= moment - self._within_s:
                times.popleft()
            if len(times) >= self._most:
                return times[0] + self._within_s - moment
            if count:
                times.append(moment)
            return 0.0


def _token(request: Request) -> str | None:
    """The token of a request; it stands in a header that no page of another site can make a browser send."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() in ("token", "bearer") and token.strip() else None


def _maybe_member(request: Request) -> Member | None:
    """Who asks; none if without a token.

    Raises
    ------
    HTTPException
        403 for a token that belongs to no member, 429 after too many of these.
    """
    token = _token(request)
    if token is None:
        return None
    address = request.client.host if request.client else ""
    failures: Limit = request.app.state.failures
    if (wait_s := failures.wait_s(address, count=False)) > 0:
        raise too_often(wait_s)
    whois: Whois = request.app.state.whois
    member = whois(token) if len(token) <= _LONGEST_TOKEN else None
    if member is None:
        failures.wait_s(address)
        log.warning("token refused", extra={"address": address})
        raise HTTPException(403, "token: expected that of a member's server; the hub knows none such")
    return member


def _the_member(request: Request) -> Member:
    """Who asks.

    Raises
    ------
    HTTPException
        401 without a token; otherwise as `_maybe_member`.
    """
    member = _maybe_member(request)
    if member is None:
        raise HTTPException(
            401,
            "runs: expected the header 'Authorization: token ...' of a member of the team; found none",
            {"WWW-Authenticate": "token"},
        )
    return member


def too_often(wait_s: float) -> HTTPException:
    """The answer to who asks too often."""
    after = int(wait_s) + 1
    return HTTPException(429, f"too many requests; try again in {after} s", {"Retry-After": str(after)})


MaybeMember = Annotated[Member | None, Depends(_maybe_member)]
"""Argument of a route: who asks, if anybody says so."""
TheMember = Annotated[Member, Depends(_the_member)]
"""Argument of a route that is for members of the team."""
