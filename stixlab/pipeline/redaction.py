"""Secrets taken out of what a run leaves behind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

__all__ = ["Redaction"]

_NAMES = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|COOKIE|_KEY$", re.IGNORECASE)
"""Names of variables whose values are nobody's business."""
_LOGIN = re.compile(r"://[^\s/@'\"<>\\]{1,300}@")
"""Name and password within an address; begins with what is rare, so that long texts are read once."""
_LEAST = 6
"""Shorter values are words that occur by chance."""


class Redaction:
    """Replaces secrets by ``***``.

    Parameters
    ----------
    *environments
        Variables; the values of those named like secrets are taken out, and logins within any address.
    """

    def __init__(self, *environments: Mapping[str, str]) -> None:
        values = {
            value
            for environment in environments
            for name, value in environment.items()
            if _NAMES.search(name) and len(value) >= _LEAST
        }
        written = values | {repr(v)[1:-1] for v in values}
        quoted = {json.dumps(v, ensure_ascii=False)[1:-1] for v in written}
        self._values = sorted(written | quoted, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets.

        Parameters
        ----------
        text
            Plain, or JSON: it stays valid.
        """
        for value in self._values:
            text = text.replace(value, "***")
        return _LOGIN.sub("://***@", text)
