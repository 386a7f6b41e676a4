"""Small HTTP servers that stand in for others."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["JsonHandler", "served"]


class JsonHandler(BaseHTTPRequestHandler):
    """Answers with documents and writes no log."""

    def answer(self, status: int, document: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(handler: type[BaseHTTPRequestHandler], **state: Any) -> Iterator[ThreadingHTTPServer]:
    """A server on a free port; `state` becomes attributes of it, which the handler finds as `self.server`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        vars(server).update(state)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
