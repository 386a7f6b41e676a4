"""Keywords of the observation campaign (Solar Orbiter metadata standard), remarks and version of the source.

They are attributes of a dataset, as far as something is known, and stand in every file: ``none`` where nothing is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from stixlab.products.formats.fits_cards import note_lines
from stixlab.vocabulary import SIMULATED

__all__ = ["campaign_attrs", "campaign_cards", "without_campaign"]

_KEYWORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "OBS_ID": ("obs_id", "identifier of the observation"),
        "OBS_MODE": ("obs_mode", "observation mode"),
        "OBS_TYPE": ("obs_type", "code of the observation mode"),
        "SOOPNAME": ("soop_name", "observation campaign"),
        "SOOPTYPE": ("soop_type", "identifier of the campaign"),
        "TARGET": ("target", "target of the planning"),
    }
)
"""Attribute and comment of each keyword."""
_PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {"OBS_ID": "obs_id", "OBS_MODE": "Nominal", "OBS_TYPE": "LC", "TARGET": "Sun"}
)
"""What stands in all files of STIX-SWF, whatever was observed."""
_NONE = "none"
_COMMENTS, _VERSION = "comments", "source_version"


def campaign_attrs(
    header: Mapping[str, Any], comments: Sequence[str], *, own: bool, notes: Sequence[str] = ()
) -> dict[str, str]:
    """What a file says, as attributes of a dataset; nothing of what it does not know.

    Parameters
    ----------
    header
    comments
        Its cards COMMENT.
    own
        A file of ours has the version of its source in SRC_VERS.
    notes
        Remarks that we add ourselves; they come last and are none of the source.
    """
    attrs = {}
    for keyword, (attribute, _) in _KEYWORDS.items():
        value = str(header.get(keyword, "")).strip()
        if value and value.lower() != _NONE and value != _PLACEHOLDERS.get(keyword):
            attrs[attribute] = value
    lines = [line.rstrip() for line in comments]
    for note in notes:
        mine = [line.rstrip() for line in note_lines(note)]
        if lines[-len(mine) :] == mine:
            lines = lines[: -len(mine)]
    if any(lines):
        attrs[_COMMENTS] = "\n".join(lines)
    version = str(header.get("SRC_VERS" if own else "VERSION", "")).strip()
    if version:
        attrs[_VERSION] = version.zfill(2) if version.isdigit() else version
    return attrs


def campaign_cards(attrs: Mapping[Any, Any]) -> tuple[list[tuple[str, Any, str]], list[str]]:
    """Keywords of a header, and its lines of COMMENT."""
    cards: list[tuple[str, Any, str]] = [
        (keyword, str(attrs.get(attribute) or _NONE), text)
        for keyword, (attribute, text) in _KEYWORDS.items()
    ]
    if attrs.get(_VERSION):
        cards.append(("SRC_VERS", str(attrs[_VERSION]), "version the source gave itself"))
    comments = str(attrs.get(_COMMENTS) or "")
    return cards, comments.split("\n") if comments else []


def without_campaign(keywords: Mapping[str, Any], attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Further keywords but those that the dataset itself knows better; of simulated data nothing was observed."""
    simulated = attrs.get("origin") == SIMULATED
    known = {keyword for keyword, (attribute, _) in _KEYWORDS.items() if simulated or attrs.get(attribute)}
    return {k: v for k, v in keywords.items() if k not in known}
