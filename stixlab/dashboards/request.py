"""The query string under which an app was asked for."""

from __future__ import annotations

import json
import os
import urllib.request
from urllib.parse import urlsplit

from stixlab.errors import ServiceError

__all__ = ["REQUEST_VARIABLE", "is_public_app", "query_string"]

REQUEST_VARIABLE = "STIXLAB_APP_REQUESTS"
"""Where the server of the apps hands a waiting kernel its request; unset outside of it."""


def is_public_app() -> bool:
    """Whether this process is the kernel of an app, and not somebody's notebook."""
    return REQUEST_VARIABLE in os.environ


def query_string() -> str:
    """The query of the page that is to be made; empty in a notebook.

    The kernel of a public app is started before its visitor comes; this waits for the visitor. A member who
    has Voila show a notebook in the own server brings the query along.

    Raises
    ------
    ServiceError
        If the server of the apps went away.
    """
    server = os.environ.get(REQUEST_VARIABLE)
    if server is None:
        return os.environ.get("QUERY_STRING", "")
    url = f"{server}/{os.environ.get('VOILA_KERNEL_ID', '')}"
    if urlsplit(url).hostname != "127.0.0.1":
        raise ServiceError(f"{REQUEST_VARIABLE}: expected an address on this machine; found {server!r}")
    try:
        with urllib.request.urlopen(url) as answer:  # noqa: S310  (http on this machine, checked above)
            return str(json.load(answer)["query"])
    except (OSError, ValueError, KeyError) as error:
        raise ServiceError(f"request of the app: the server of the apps at {server} went away") from error
