"""A public archive on this machine, as Apache serves one: index pages, conditional answers, parts, and faults on demand."""

from __future__ import annotations

import email.utils
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

CHANGED = 1_650_000_000


def fits_bytes(seed: int, size: int = 2880) -> bytes:
    """Something that begins like a FITS file."""
    return b"SIMPLE  =                    T".ljust(80) + hashlib.shake_256(str(seed).encode()).digest(
        size - 80
    )


@dataclass
class PublicArchive:
    """What is served, and what was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Content by path from the root."""
    changed: dict[str, int] = field(default_factory=dict)
    """Seconds since 1970, by path."""
    robots: str | None = None
    bare: bool = False
    """Index pages with links alone."""
    conditional: bool = True
    """Whether If-None-Match and Range are understood."""
    announced: bool = True
    """Whether the length of a file is told before it."""
    faults: dict[str, list[Any]] = field(default_factory=dict)
    """What to do instead, once each: a status, (status, headers), or ("cut", bytes)."""
    pages: dict[str, str] = field(default_factory=dict)
    """Index pages that are not made from the files."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def paths(self) -> list[str]:
        """Paths asked for, robots.txt left out."""
        return [path for path, _ in self.asked if path != "/robots.txt"]

    def index(self, path: str) -> str | None:
        """Page of a folder, as Apache writes it; None if there is none."""
        below = sorted(
            {
                f[len(path) :].split("/")[0] + ("/" if "/" in f[len(path) :] else "")
                for f in self.files
                if f.startswith(path)
            }
        )
        if path in self.pages:
            return self.pages[path]
        if not below:
            return None
        rows = []
        for name in below:
            changed, content = self.changed.get(path + name, CHANGED), self.files.get(path + name, b"")
            words = (
                ""
                if self.bare
                else f"  {email.utils.formatdate(changed, usegmt=True)}  {len(content) or '-'}"
            )
            rows.append(
                f'<img src="/icons/unknown.gif" alt="[ ]"> <a href="{quote(name)}">{name[:23]}</a>{words}\n'
            )
        return (
            f"<!DOCTYPE HTML><html><head><title>Index of {path}</title></head><body><h1>Index of {path}</h1><pre>"
            '<a href="?C=N;O=D">Name</a> <a href="?C=M;O=A">Last modified</a><hr>'
            f'<a href="{path.rstrip("/").rpartition("/")[0]}/">Parent Directory</a>          -   \n'
            + "".join(rows)
            + "<hr></pre><address>Apache/2.4 Server Port 80, 12:00:01</address></body></html>"
        )


class _Handler(BaseHTTPRequestHandler):
    archive: PublicArchive

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        archive, path = self.archive, unquote(urlsplit(self.path).path)
        archive.asked.append((self.path, dict(self.headers.items())))
        fault = archive.faults.get(path, [])
        answer = fault.pop(0) if fault else None
        if isinstance(answer, int):
            self._send(answer, b"sorry", {})
        elif isinstance(answer, tuple) and answer[0] != "cut":
            self._send(answer[0], b"", answer[1])
        elif path == "/robots.txt":
            status = 404 if archive.robots is None else 200
            self._send(status, (archive.robots or "no").encode(), {"Content-Type": "text/plain"})
        elif path in archive.files:
            self._file(path, cut=None if answer is None else answer[1])
        elif path.endswith("/") and (page := archive.index(path)) is not None:
            self._send(200, page.encode(), {"Content-Type": "text/html;charset=UTF-8"})
        elif archive.index(path + "/") is not None:
            self._send(301, b"", {"Location": path + "/"})
        else:
            self._send(404, b"not found", {})

    def _file(self, path: str, cut: int | None) -> None:
        content = self.archive.files[path]
        tag = f'"{hashlib.sha256(content).hexdigest()[:12]}"'
        headers = {
            "ETag": tag,
            "Last-Modified": email.utils.formatdate(self.archive.changed.get(path, CHANGED), usegmt=True),
            "Content-Type": "application/fits",
        }
        if self.archive.conditional:
            if self.headers.get("If-None-Match") == tag:
                self._send(304, b"", headers)
                return
            part = self.headers.get("Range", "")
            if part and self.headers.get("If-Range") == tag:
                first = int(part.removeprefix("bytes=").removesuffix("-"))
                if first >= len(content):
                    self._send(416, b"", headers)
                    return
                headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
                self._send(206, content[first:], headers, cut)
                return
        self._send(200, content, headers, cut)

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304 and (self.archive.announced or "ETag" not in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut] if cut is not None else body)
        self.close_connection = True


@contextmanager
def served(archive: PublicArchive) -> Iterator[PublicArchive]:
    """Serve it on a free port of this machine."""
    handler = type("Handler", (_Handler,), {"archive": archive})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        archive.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield archive
        finally:
            server.shutdown()
            thread.join()
