"""Headers of FITS files as text: 80 characters a card, 36 cards a block.

Plain values are written here, as astropy writes them; what is not plain (long texts, other characters) it writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["BLOCK", "Cards", "name_list", "note_lines"]

BLOCK = 2880
"""Bytes of a block: headers and data are filled up to whole ones."""
_WIDTH, _VALUE_WIDTH, _LONGEST_TEXT = 80, 20, 68
_PIECE = _LONGEST_TEXT - 1
"""Characters of a card whose text goes on in the next, before the ``&`` that says so."""
_NOTE_WIDTH = 72
_MOST_NAMES = 50
"""Names of files that a card tells: a day has a few, one that was sent again and again hundreds."""


def name_list(names: Iterable[str]) -> str:
    """Names of files as the value of one card: each once, in the order of the alphabet; of many, how many more.

    Parameters
    ----------
    names
        Characters that FITS does not have, and the semicolon between names, are told as ``?``.
    """
    plain = sorted({re.sub(r"[^ -~]|;", "?", name) for name in names if name})
    more = [f"and {len(plain) - _MOST_NAMES} more"] if len(plain) > _MOST_NAMES else []
    return ";".join([*plain[:_MOST_NAMES], *more])


def note_lines(text: str) -> list[str]:
    """Pieces of a text that fit a card of HISTORY or COMMENT; one at least."""
    return [text[first : first + _NOTE_WIDTH] for first in range(0, max(len(text), 1), _NOTE_WIDTH)]


class Cards:
    """Cards of a header in order; notes (HISTORY, COMMENT) come last, as astropy has them."""

    def __init__(self) -> None:
        self._cards: dict[str, str] = {}
        self._notes: list[str] = []

    def __contains__(self, keyword: str) -> bool:
        return keyword in self._cards

    def set(self, keyword: str, value: Any, comment: str = "") -> None:
        """Put a card in the place of the one of that keyword, or at the end."""
        self._cards[keyword] = _card(keyword, value, comment)

    def note(self, keyword: str, text: str) -> None:
        """Add HISTORY or COMMENT, on as many cards as it takes."""
        self._notes += [f"{keyword:<8}{line}".ljust(_WIDTH) for line in note_lines(text)]

    def encode(self) -> bytes:
        """The header in whole blocks."""
        text = "".join([*self._cards.values(), *self._notes, "END".ljust(_WIDTH)])
        return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")


def _card(keyword: str, value: Any, comment: str) -> str:
    told = _text(value) if len(keyword) <= 8 and keyword.isupper() else None
    if told is not None:
        image = f"{keyword:<8}= {told}{' / ' if comment else ''}{comment}"
        if len(image) <= _WIDTH and comment.isascii() and comment.isprintable():
            return image.ljust(_WIDTH)
    if not comment and len(keyword) <= 8 and keyword.isupper() and _is_long(value):
        return _continued(keyword, value)
    from astropy.io.fits import Card

    return str(Card(keyword, value, comment).image)


def _text(value: Any) -> str | None:
    """A plain value as FITS has it; None if it is not plain."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return f"{'T' if value else 'F':>{_VALUE_WIDTH}}"
    if isinstance(value, int):
        return f"{value:>{_VALUE_WIDTH}}"
    if isinstance(value, float) and np.isfinite(value):
        told = str(value).upper()
        plain = len(told) <= _VALUE_WIDTH and "E" not in told
        return f"{told:>{_VALUE_WIDTH}}" if plain else None
    if isinstance(value, str) and value and _is_plain(value) and len(value) <= _LONGEST_TEXT:
        return f"'{value:<8}'".ljust(_VALUE_WIDTH)
    return None


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and "'" not in text and text == text.rstrip()


def _is_long(value: Any) -> bool:
    return (
        isinstance(value, str)
        and len(value) > _LONGEST_TEXT
        and _is_plain(value)
        and not value.endswith("&")  # at the end it would say that more follows
    )


def _continued(keyword: str, text: str) -> str:
    """A text on as many cards as it takes, by the CONTINUE convention of FITS 4.0, section 4.2.1.2."""
    pieces, begin = [], 0
    while begin < len(text):
        end = len(text)
        if end - begin >= _PIECE:
            blank = text.rfind(" ", begin, begin + _PIECE)
            end = blank + 1 if blank >= begin else min(begin + _PIECE, end)
        pieces.append(text[begin:end])
        begin = end
    heads = [f"{keyword:<8}= ", *["CONTINUE  "] * (len(pieces) - 1)]
    ends = [*["&"] * (len(pieces) - 1), ""]
    return "".join(
        f"{head}'{piece}{end}'".ljust(_WIDTH) for head, piece, end in zip(heads, pieces, ends, strict=True)
    )
