"""How many examples hypothesis makes up: all that a test asks for, fewer in the quick check of a developer."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["QUICK", "examples", "register_profiles"]

QUICK = "quick"
"""Name of the profile of `make check`; every other run has all examples."""

_SHARE = 5
"""One example of so many is left in the quick profile."""
_DEFAULT = 100
"""What hypothesis makes for a test that names no number."""


def register_profiles() -> None:
    """Make the quick profile known; to be called before pytest chooses one."""
    settings.register_profile(QUICK, max_examples=_DEFAULT // _SHARE)


def examples(full: int) -> int:
    """Number of examples in the profile that was chosen.

    Parameters
    ----------
    full : number without the quick profile

    Returns
    -------
    `full`, or a fifth of it in the quick profile, there at least two: the first is always the simplest.
    """
    return max(full // _SHARE, min(full, 2)) if settings.get_current_profile_name() == QUICK else full
