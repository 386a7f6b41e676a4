"""Errors of callbacks, shown where the person looks: widgets hide what their callbacks raise."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from html import escape
from typing import Any

from stixlab.errors import StixlabError

__all__ = ["problem_html", "showing_errors"]

log = logging.getLogger(__name__)


def problem_html(message: str) -> str:
    """A message that something is wrong, as HTML."""
    return f'<p role="alert" style="color:#a40000;white-space:pre-wrap">{escape(message)}</p>'


def showing_errors(callback: Callable[..., Any], place: Any) -> Callable[..., None]:
    """A callback of which every error is shown; one that is none of ours is logged with its traceback, too.

    Parameters
    ----------
    callback
        Of a widget or of a thread.
    place
        Widget whose ``value`` is HTML.
    """

    @functools.wraps(callback)
    def called(*given: Any, **named: Any) -> None:
        try:
            callback(*given, **named)
        except StixlabError as error:
            place.value = problem_html(error.message)
        except Exception as error:
            log.exception("callback failed", extra={"callback": getattr(callback, "__qualname__", "")})
            place.value = problem_html(
                f"{type(error).__name__}: {error}: this is an error of the program; the log has its traceback"
            )

    return called
