"""What every answer carries: headers that keep browsers strict, and compression."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CONTENT_POLICY", "Compressed", "SecurityHeaders"]

CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
"""Everything comes from here. Styles may stand inline, since plots set their own."""
_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class SecurityHeaders:
    """Adds the headers that keep browsers strict, and how long an answer may be kept.

    Parameters
    ----------
    app
        The application behind.
    shared
        Whether pages of other sites may read what ``/api/`` answers: right for what is public.
    """

    def __init__(self, app: ASGIApp, *, shared: bool = True) -> None:
        self.app = app
        self.shared = shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, adding to its answer."""
        path = scope.get("path", "")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if path.startswith("/static/") and message["status"] == 200:
                    headers.setdefault("Cache-Control", "public, max-age=3600")
                elif self.shared and path.startswith("/api/") and message["status"] == 200:
                    headers.setdefault("Access-Control-Allow-Origin", "*")
            await send(message)

        await self.app(scope, receive, with_headers)


class Compressed(GZipMiddleware):
    """Compresses texts; files of the archive go as they are, so that parts of them can be asked for."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=1000, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, compressing its answer where that is worth it."""
        if scope["type"] == "http" and not scope["path"].startswith("/data/"):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
