"""Pages for who is logged in at the hub: executed notebooks, and the dashboard of the dask cluster.

A service below ``/services/team/``. Logins are the hub's (OAuth, with a cookie for these pages alone). It reads; the
dashboard's own pages are handed through, by GET and its websocket only, from the one scheduler that the settings name.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.web import Application, HTTPError, RequestHandler, authenticated
from tornado.websocket import WebSocketClosedError, WebSocketHandler, websocket_connect

from stixlab.errors import NotInCatalogError, ServiceError, StixlabError
from stixlab.pipeline.html import NOTEBOOK_POLICY, notebook_html

if TYPE_CHECKING:
    from stixlab.client.lab import Lab
    from stixlab.settings import Settings

__all__ = ["Dashboard", "make_application", "serve"]

log = logging.getLogger(__name__)

_RUN_ID = r"([A-Za-z0-9_.-]{1,120})"
_KNOWN_S = 30.0
_TIMEOUT_S = 20.0
_SCHEDULER_S = 5.0
"""So long the scheduler may take to say where its dashboard is."""
_MOST_BYTES = 64_000_000
_ASKED = ("Accept", "Accept-Language", "If-None-Match", "If-Modified-Since", "User-Agent")
"""Headers of a request that the dashboard gets; no cookie and no token is among them."""
_ANSWERED = ("Content-Type", "Etag", "Last-Modified", "Cache-Control", "Location")


class Dashboard:
    """Where the dashboard of the cluster is.

    Parameters
    ----------
    scheduler
        Address such as ``tcp://host:8786``; empty: there is no cluster.
    """

    def __init__(self, scheduler: str) -> None:
        self._scheduler = scheduler
        self._found, self._asked = "", float("-inf")
        self._lock = asyncio.Lock()

    async def address(self) -> str:
        """Host and port, as the scheduler says them; remembered for some seconds.

        Raises
        ------
        NotInCatalogError
            If no cluster is set up, or it has no dashboard.
        ServiceError
            If the scheduler does not answer.
        """
        if not self._scheduler:
            raise NotInCatalogError("dask: no cluster is set up; STIXLAB_DASK names its scheduler")
        async with self._lock:
            if time.monotonic() - self._asked > _KNOWN_S:
                self._found = await self._ask()
                self._asked = time.monotonic()
            return self._found

    async def _ask(self) -> str:
        from distributed.core import rpc

        address = self._scheduler if "://" in self._scheduler else f"tcp://{self._scheduler}"
        try:
            async with rpc(address, timeout=_SCHEDULER_S) as scheduler:  # type: ignore[no-untyped-call]
                found = await asyncio.wait_for(scheduler.identity(), _SCHEDULER_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise ServiceError(f"dask: expected a scheduler at {address}; {error}") from error
        port = found.get("services", {}).get("dashboard")
        if not isinstance(port, int):
            raise NotInCatalogError("dask: the scheduler has no dashboard; start it with bokeh installed")
        host = urlsplit(found.get("address") or address).hostname or "127.0.0.1"
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Page(HubOAuthenticated, RequestHandler):  # type: ignore[misc]  # neither is read by mypy
    """A page for members; a stranger is sent to the hub's login."""

    def initialize(self, **parts: Any) -> None:
        self.parts = parts

    def set_default_headers(self) -> None:
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("X-Frame-Options", "SAMEORIGIN")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def write_error(self, status_code: int, **about: Any) -> None:
        error = about.get("exc_info", (None, None, None))[1]
        known = isinstance(error, HTTPError) and error.log_message
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {error.log_message if known else self._reason}\n")

    def refuse(self, error: StixlabError) -> HTTPError:
        """An error of ours as an answer; addresses and paths stay in the log."""
        if isinstance(error, NotInCatalogError):
            return HTTPError(404, error.message.replace("%", "%%"))
        log.error("page of the team failed", extra={"error": error.message})
        return HTTPError(503, "what this page needs does not answer; it was logged; try again in a minute")


class RunNotebook(_Page):
    """The executed notebook of a run."""

    @authenticated  # type: ignore[untyped-decorator,unused-ignore]
    async def get(self, run_id: str) -> None:
        """The notebook as a page without scripts."""
        try:
            page = await asyncio.to_thread(self._made, run_id)
        except StixlabError as error:
            raise self.refuse(error) from None
        self.set_header("Content-Security-Policy", NOTEBOOK_POLICY)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(page)

    def _made(self, run_id: str) -> str:
        lab: Lab = self.parts["lab"]()
        run = lab.catalog.runs.get(run_id)
        if run is None or not run.notebook:
            raise NotInCatalogError(f"run {run_id}: there is no executed notebook of it")
        page: str = notebook_html(lab.archive.path(run.notebook), run)
        return page


class DaskPage(_Page):
    """A page or a file of the dashboard."""

    @authenticated  # type: ignore[untyped-decorator,unused-ignore]
    async def get(self, path: str) -> None:
        """What the dashboard answers."""
        if not path:
            self.redirect("status")
            return
        try:
            address = await self.parts["dashboard"].address()
        except StixlabError as error:
            raise self.refuse(error) from None
        asked = self.request.headers
        headers = HTTPHeaders({name: asked[name] for name in _ASKED if name in asked})
        request = HTTPRequest(
            f"http://{address}/{path}{_query(self.request.query)}",
            headers=headers,
            follow_redirects=False,
            request_timeout=_TIMEOUT_S,
            decompress_response=True,
        )
        try:
            answer = await AsyncHTTPClient().fetch(request, raise_error=False)
        except (HTTPClientError, OSError) as error:
            raise self.refuse(ServiceError(f"dask dashboard at {address}: {error}")) from None
        if answer.code == 599:
            raise self.refuse(ServiceError(f"dask dashboard at {address}: {answer.error}"))
        self.set_status(answer.code)
        for name in _ANSWERED:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        if answer.code != 304:
            self.write(answer.body)

    async def head(self, path: str) -> None:
        """As `get`."""
        await self.get(path)


class DaskSocket(_Page, WebSocketHandler):  # type: ignore[misc]
    """The websocket by which a page of the dashboard follows the cluster."""

    upstream: Any = None

    async def get(self, path: str) -> None:
        """Let in who is logged in and comes from a page of ours."""
        if self.get_current_user() is None:
            raise HTTPError(403, "log in first")
        self.path = path
        await WebSocketHandler.get(self, path)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Bokeh's; what follows it is the page's token, for the dashboard only."""
        self.subprotocols = subprotocols
        return "bokeh" if "bokeh" in subprotocols else None

    async def open(self, path: str) -> None:
        """Connect to the dashboard, too."""
        try:
            address = await self.parts["dashboard"].address()
            url = f"ws://{address}/{path}/ws{_query(self.request.query)}"
            self.upstream = await websocket_connect(
                HTTPRequest(
                    url, headers=HTTPHeaders({"Origin": f"http://{address}"}), connect_timeout=_TIMEOUT_S
                ),
                subprotocols=self.subprotocols,
                max_message_size=_MOST_BYTES,
            )
        except (StixlabError, HTTPClientError, OSError) as error:
            log.warning("dask dashboard: no websocket", extra={"error": str(error)})
            self.close(1011, "the dashboard does not answer")
            return
        self.pump = asyncio.create_task(self._from_dashboard())

    async def on_message(self, message: str | bytes) -> None:
        """From the page to the dashboard."""
        if self.upstream is not None:
            try:
                await self.upstream.write_message(message, binary=isinstance(message, bytes))
            except WebSocketClosedError:
                self.close()

    def on_close(self) -> None:
        """The page went away."""
        if self.upstream is not None:
            self.upstream.close()

    async def _from_dashboard(self) -> None:
        """From the dashboard to the page, as fast as the page takes it."""
        while (message := await self.upstream.read_message()) is not None:
            try:
                await self.write_message(message, binary=isinstance(message, bytes))
            except WebSocketClosedError:
                self.upstream.close()
                return
        self.close()


def make_application(lab: Callable[[], Lab], settings: Settings, *, prefix: str) -> Application:
    """The application.

    Parameters
    ----------
    lab
        Connects to the lab; asked with each page.
    settings
        Of this installation.
    prefix
        Path below which it is reached, with slashes at both ends.
    """
    base = re.escape(prefix)
    dashboard = {"dashboard": Dashboard(settings.dask)}
    return Application(
        [
            (rf"{base}oauth_callback", HubOAuthCallbackHandler),
            (rf"{base}runs/{_RUN_ID}", RunNotebook, {"lab": lab}),
            (rf"{base}dask/(.+)/ws", DaskSocket, dashboard),
            (rf"{base}dask/(.*)", DaskPage, dashboard),
        ],
        cookie_secret=secrets.token_bytes(32),
        websocket_max_message_size=_MOST_BYTES,
        websocket_ping_interval=30,
    )


def serve(lab: Callable[[], Lab], settings: Settings, *, host: str, port: int) -> None:
    """Answer requests until the process is told to stop.

    Parameters
    ----------
    lab, settings
        As `make_application` takes them.
    host, port
        Where to listen; the proxy of the hub stands before it.
    """

    async def live() -> None:
        prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/services/team/")
        make_application(lab, settings, prefix=prefix).listen(port, host, xheaders=True)
        await asyncio.Event().wait()

    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    asyncio.run(live())


def _query(query: str) -> str:
    return f"?{query}" if query else ""
