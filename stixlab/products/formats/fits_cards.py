"""Headers of FITS files as text: 80 characters a card, 36 cards a block.

Plain values are written here, as astropy writes them; what is not plain (long texts, other characters) it writes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["BLOCK", "Cards"]

BLOCK = 2880
"""Bytes of a block: headers and data are filled up to whole ones."""
_WIDTH, _VALUE_WIDTH, _LONGEST_TEXT = 80, 20, 68
_NOTE_WIDTH = 72


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
        for first in range(0, max(len(text), 1), _NOTE_WIDTH):
            self._notes.append(f"{keyword:<8}{text[first : first + _NOTE_WIDTH]}".ljust(_WIDTH))

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
    if isinstance(value, str) and value and value.isascii() and value.isprintable() and "'" not in value:
        told = f"'{value:<8}'"
        return f"{told:<{_VALUE_WIDTH}}" if len(value) <= _LONGEST_TEXT and value == value.rstrip() else None
    return None
