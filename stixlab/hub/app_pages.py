"""What the server of the public apps answers: pages, health, and the request to a kernel that waits for it."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tornado.web import RequestHandler as TornadoHandler

from stixlab.errors import ConflictError, NotInCatalogError, ServiceError
from stixlab.hub.viewers import Viewers

__all__ = ["AppHandler", "HealthHandler", "IndexHandler", "RequestHandler"]

log = logging.getLogger(__name__)

_LONGEST_QUERY = 300
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'"
)
"""Scripts come from this site and are files; a page of an app carries none itself."""


class _Plain(TornadoHandler):  # type: ignore[misc]  # tornado is not read by mypy
    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", CONTENT_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.clear_header("Server")


class _WithViewers(_Plain):
    def initialize(self, viewers: Viewers) -> None:
        self.viewers = viewers


class IndexHandler(_Plain):
    """The apps are listed on the front page."""

    def get(self) -> None:
        """To the front page."""
        self.redirect("/")


class HealthHandler(_WithViewers):
    """Whether this server answers, and how busy it is."""

    def get(self) -> None:
        """Numbers as JSON."""
        self.write({"status": "ok", **self.viewers.state()})


class RequestHandler(_WithViewers):
    """Tells a kernel what its visitor asked for."""

    async def get(self, kernel_id: str) -> None:
        """The request, once there is one; to processes of this machine that did not come through the proxy."""
        if self.request.headers.get("X-Forwarded-For") or self.request.remote_ip != "127.0.0.1":
            self.set_status(404)
            return
        self.write(await self.viewers.request_of(kernel_id))


class AppHandler(_WithViewers):
    """A page of an app."""

    async def get(self, name: str) -> None:
        """The page, or why there is none."""
        query = self.request.query
        if len(query) > _LONGEST_QUERY:
            self._problem(
                414,
                "This link is too long",
                f"Expected at most {_LONGEST_QUERY} characters; found {len(query)}.",
            )
            return
        try:
            page = await self.viewers.page(name, canonical(query))
        except NotInCatalogError as error:
            self._problem(404, "No such app", f"Expected the name of an app; {error.message}.")
        except ConflictError as error:
            self.set_header("Retry-After", "5")
            self._problem(503, "Many visitors", f"Busy: {error.message}.")
        except ServiceError as error:
            log.error("app failed", extra={"error": error.message})  # noqa: TRY400
            self.set_header("Retry-After", "30")
            self._problem(503, "This did not work", "The app failed; it was logged. Try again in a minute.")
        else:
            self.set_status(page.status)
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.set_header("Cache-Control", "no-cache" if page.status == 200 else "no-store")
            self.write(page.html)

    def _problem(self, status: int, title: str, message: str) -> None:
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        again = self.request.uri if status == 503 else "/apps/lightcurves"
        self.write(
            _templates().get_template("problem.html.j2").render(title=title, message=message, again=again)
        )


def canonical(query: str) -> str:
    """A query string with its parts in order, so that the same view is made once."""
    return urlencode(sorted(parse_qsl(query, keep_blank_values=True)))


@cache
def _templates() -> Environment:
    folder = Path(__file__).with_name("templates") / "apps"
    return Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
