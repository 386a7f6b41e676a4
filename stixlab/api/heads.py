"""HEAD wherever GET is answered: the same headers, no body. So ``curl -I`` and ``wget --spider`` ask."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Heads"]

_PATH_SEND = "http.response.pathsend"
"""A server that has this extension is told the path of a file, which then is not read."""
_OF_PARTS = (b"range", b"if-range")
"""These have no meaning for HEAD (RFC 9110, section 14.2)."""


class Heads:
    """Has a HEAD answered as the GET of the same address, and keeps what is not the head.

    Parameters
    ----------
    app
        The application behind. It sees a GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        asked = dict(scope)
        asked["method"] = "GET"
        asked["headers"] = [(name, value) for name, value in scope["headers"] if name not in _OF_PARTS]
        if scope["path"].startswith(
            "/data/"
        ):  # others are compressed on their way, which changes their headers
            asked["extensions"] = {**(scope.get("extensions") or {}), _PATH_SEND: {}}
        done = False

        async def without_body(message: Message) -> None:
            nonlocal done
            if message["type"] not in {"http.response.body", _PATH_SEND}:
                await send(message)
            elif not done:
                done = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app(asked, receive, without_body)
