"""Loops that numba compiles, where there is enough to do that it pays; plain Python or numpy elsewhere.

Nothing here imports numba before `get_kernel` is asked for a loop.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["get_kernel", "is_worth_calling", "is_worth_compiling"]

log = logging.getLogger(__name__)

_STEPS_WORTH_COMPILING = 150_000
"""Steps of plain Python above which importing numba (about 0.4 s) pays."""
_STEPS_WORTH_COMPILED = 300
"""The same when numba is there already and only the call has to pay."""
_ELEMENTS_WORTH_COMPILED = 20_000
"""Elements of an array above which a compiled loop beats numpy, its loading from the cache included."""


class _Work:
    """Steps taken so far without numba: a process that goes on decoding small files pays for it in the end."""

    done = 0


def is_worth_compiling(n_steps: int) -> bool:
    """Whether a loop over so many steps is quicker compiled than in plain Python, the import of numba included."""
    if "numba" in sys.modules:
        return n_steps > _STEPS_WORTH_COMPILED
    _Work.done += n_steps
    return _Work.done > _STEPS_WORTH_COMPILING


def is_worth_calling(n_elements: int) -> bool:
    """Whether a compiled loop over so many elements is quicker than numpy: never so if numba must be imported first."""
    return n_elements > _ELEMENTS_WORTH_COMPILED and "numba" in sys.modules


@cache
def get_kernel(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The loop, compiled; None if that cannot be done here.

    The compiled form is kept beside the file of the loop, or in the cache folder of the user where
    the package cannot be written to, or for this process only.
    """
    try:
        from numba import njit
    except ImportError as error:
        log.warning("numba cannot be imported, decoding is slow", extra={"reason": str(error)})
        return None
    try:
        compiled: Callable[..., Any] = njit(cache=True, nogil=True)(function)
    except (RuntimeError, OSError) as error:
        log.info("no place for compiled kernels, compiling for this process", extra={"reason": str(error)})
        compiled = njit(nogil=True)(function)
    return compiled
