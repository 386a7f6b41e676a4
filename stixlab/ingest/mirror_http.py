"""Asking a public server politely: one request at a time, with pauses, as its robots.txt allows, within one tree."""

from __future__ import annotations

import email.utils
import http.client
import logging
import time
import urllib.error
import urllib.request
import urllib.robotparser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.parse import urljoin, urlsplit

from stixlab import __version__
from stixlab.errors import AccessError, ParameterError, ServiceError

__all__ = ["Answer", "Asker", "RefusedError", "read_count"]

log = logging.getLogger(__name__)

_AGENT = "stixlab-mirror"
_ATTEMPTS = 4
_LONGEST_WAIT_S = 600.0
_SILENT_ON_END = 3
"""Addresses on end that do not answer before the server counts as away."""
_AGAIN = (429, 500, 502, 503, 504)
_MAX_ROBOTS_BYTES = 1 << 19
_MOST_DIGITS = 18
_REDIRECTS = (301, 302, 303, 307, 308)


class RefusedError(ServiceError):
    """The server answered, and the answer is no: this address is told and left out, the rest goes on."""


@dataclass(frozen=True)
class Answer:
    """An answer whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    body: IO[bytes]
    url: str
    """Where it came from in the end."""

    @property
    def length(self) -> int | None:
        """Bytes of the body as the server announces them."""
        return read_count(self.headers.get("Content-Length", ""))


def read_count(text: str) -> int | None:
    """A number of bytes as a server writes it; None for anything that cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and " " not in text
    return bool(whole and plain and parts.username is None and not parts.query and not parts.fragment)


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Redirects are told to the caller, who knows what may be followed."""

    def redirect_request(self, *_: object) -> None:
        return None


class Asker:
    """Asks one server for what lies below one address.

    Parameters
    ----------
    base
        Address, with a slash at its end.
    delay_s
        Pause between requests, seconds; longer if robots.txt asks for it.
    timeout_s
        Of a silent connection, seconds.
    sleep, clock
        For tests.
    """

    def __init__(
        self,
        base: str,
        *,
        delay_s: float,
        timeout_s: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if delay_s < 0:
            raise ParameterError(f"delay: expected seconds, 0 or more; found {delay_s:g}")
        if not _is_address(base):
            raise ParameterError(
                f"mirror: expected an address such as https://host/data/fits/ (no user, no query); found {base!r}"
            )
        self.base = base
        self.delay_s = delay_s
        self.n_requests = 0
        self._timeout_s, self._sleep, self._clock = timeout_s, sleep, clock
        self._opener = urllib.request.build_opener(_StayHere())
        self._robots: urllib.robotparser.RobotFileParser | None = None
        self._not_before = 0.0
        self._silent = 0

    def read_robots(self) -> None:
        """Learn what the server allows to programs, and how often.

        Raises
        ------
        ServiceError
            If that cannot be told now.
        AccessError
            If it asks for pauses that make no copy possible, or cannot be understood.
        """
        robots = urllib.robotparser.RobotFileParser()
        lines: list[str] = []
        try:
            with self._answer(urljoin(self.base, "/robots.txt"), {}) as answer:
                lines = answer.body.read(_MAX_ROBOTS_BYTES).decode("utf-8", "replace").splitlines()
        except RefusedError as error:
            status = error.details.get("status")
            if status in (401, 403):
                lines = ["User-agent: *", "Disallow: /"]
            elif not isinstance(status, int) or status >= 500:
                raise ServiceError(error.message) from error
            # Otherwise there is none, or it is kept elsewhere: nothing is forbidden.
        try:
            robots.parse(lines)
        except ValueError as error:
            raise AccessError(
                f"{self.base}: expected a robots.txt that says what is allowed; found {str(error)[:100]}; ask its owners"
            ) from error
        self._robots = robots
        pauses = [self.delay_s]
        crawl, rate = robots.crawl_delay(_AGENT), robots.request_rate(_AGENT)
        pauses += [] if crawl is None else [float(crawl)]
        pauses += [] if rate is None or not rate.requests else [rate.seconds / rate.requests]
        self.delay_s = max(pauses)
        if self.delay_s > _LONGEST_WAIT_S:
            raise AccessError(
                f"{self.base}: the server's robots.txt asks for a pause of {self.delay_s:g} s between requests; that would not"
                " end; ask its owners"
            )

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Answer]:
        """Ask for an address below the base; a server that is busy is asked again, later and later.

        Raises
        ------
        AccessError
            If robots.txt forbids it.
        RefusedError
            If the server refuses it or sends elsewhere.
        ServiceError
            If the server does not answer.
        """
        if self._robots is not None and not self._robots.can_fetch(_AGENT, url):
            raise AccessError(f"{url}: the server's robots.txt asks programs not to read it; ask its owners")
        with self._answer(url, headers or {}) as answer:
            yield answer

    @contextmanager
    def _answer(self, url: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._ask(url, headers)
            except (OSError, http.client.HTTPException) as error:
                reason, asked_s = str(getattr(error, "reason", "") or error) or type(error).__name__, None
                status = None
            else:
                status = answer.status
                if status not in _AGAIN:
                    break
                reason, asked_s = f"status {status}", _retry_after(answer.headers)
                answer.body.close()
            wait_s = 2.0**attempt if asked_s is None else asked_s
            if attempt == _ATTEMPTS or wait_s > _LONGEST_WAIT_S:
                raise self._given_up(url, reason, status, wait_s)
            log.info("server busy", extra={"url": url, "reason": reason, "wait_s": wait_s})
            self._sleep(wait_s)
        self._silent = 0
        with answer.body:
            if answer.status >= 400 or answer.status in _REDIRECTS:
                raise RefusedError(
                    f"{url}: expected content; the server answers {answer.status}", status=answer.status
                )
            yield answer

    def _given_up(self, url: str, reason: str, status: int | None, wait_s: float) -> ServiceError:
        """One address that never answers is left out; several on end are a server that is away."""
        self._silent += 1
        if wait_s > _LONGEST_WAIT_S:
            return ServiceError(
                f"{url}: the server asks to come again in {wait_s:.0f} s ({reason}); what is complete stays, the same"
                " command goes on from there"
            )
        message = f"{url}: expected an answer; {reason}, asked {_ATTEMPTS} times"
        if self._silent >= _SILENT_ON_END:
            return ServiceError(f"{message}; what is complete stays, the same command goes on from there")
        return RefusedError(message, status=status)

    def _ask(self, url: str, headers: Mapping[str, str], *, hops: int = 0) -> Answer:
        pause = self._not_before - self._clock()
        if pause > 0:
            self._sleep(pause)
        self.n_requests += 1
        request = urllib.request.Request(  # noqa: S310  (the scheme was looked at)
            url, headers={"User-Agent": f"{_AGENT}/{__version__}", "Accept-Encoding": "identity", **headers}
        )
        try:
            response = self._opener.open(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            response = error
        finally:
            self._not_before = self._clock() + self.delay_s
        status = int(response.status or 0)
        target = response.headers.get("Location")
        if status in _REDIRECTS and target and hops < 3:
            response.close()
            there = urljoin(url, target)
            if not self._may_follow(url, there):
                raise RefusedError(
                    f"{url}: the server sends to {there[:200]}, which is outside {self.base}; if the archive has moved, give"
                    " its new address",
                    status=status,
                )
            return self._ask(there, headers, hops=hops + 1)
        return Answer(status, response.headers, response, url)

    def _may_follow(self, url: str, target: str) -> bool:
        """Below the base; the base itself may lead to another folder of its host."""
        here, there = urlsplit(self.base), urlsplit(target)
        same = there.hostname == here.hostname and (
            (there.scheme, there.port) == (here.scheme, here.port)
            or (here.scheme, there.scheme, there.port) == ("http", "https", None)
        )
        first = url.rstrip("/") == self.base.rstrip("/") or urlsplit(url).path == "/robots.txt"
        return same and (first or there.path.startswith(here.path))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a busy server asks to wait; None if it does not say."""
    text = str(headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())
