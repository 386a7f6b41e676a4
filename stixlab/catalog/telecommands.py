"""Telecommands: one document for each command, however many reports tell of it and in whatever order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, TypeVar

from stixlab.catalog.collections import Collection
from stixlab.catalog.documents import Document, from_document, to_document, truncate
from stixlab.model import Telecommand

__all__ = ["Telecommands", "merge"]

_AT_ONCE = 500
"""Commands that are stored in one go."""
_LARGE = {"parameters", "raw", "details", "custom"}
_BRIEF = tuple(f.name for f in dataclasses.fields(Telecommand) if f.name not in _LARGE)
_STAGES = (
    "ReleaseState",
    "GroundState",
    "UplinkState",
    "OnBoardState",
    "OnBoardAccState",
    "OnBoardAccPBState",
    "ExecStartRTState",
    "ExecStartPBState",
    "ExecStep1RTState",
    "ExecStep1PBState",
    "ExecStep2RTState",
    "ExecStep2PBState",
    "ExecCompState",
    "ExecCompPBState",
    "TtObqStatus",
)
"""States in the order of the reports."""
_NOTHING_SAID = {"UNKNOWN", "TT_UNKNOWN", "NOT_APPLICABLE", "DISABLED", "IDLE"}


class Telecommands:
    """Store of `Telecommand` records."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def get(self, identity: str) -> Telecommand | None:
        """Command of that identity, None if there is none."""
        found = self._collection.get(identity)
        return None if found is None else from_document(found, Telecommand)

    def take(self, commands: Iterable[Telecommand], source: str = "") -> tuple[int, int]:
        """Join commands of a report with what is known of them; the same ones again change nothing.

        What is stored in the end does not depend on the order in which reports arrive. A command that was
        reported before its release gives way to the one released for the same order.

        Parameters
        ----------
        commands
            Taken some hundred at a time, so that a report may be of any length.
        source
            Hash of the file they stand in.

        Returns
        -------
        new, changed
            How many were not known, and of how many something new was learnt.

        Raises
        ------
        CatalogError
            If the database does not answer; what was stored stays, and the same call goes on from there.
        """
        new = changed = 0
        given = iter(commands)
        while part := list(islice(given, _AT_ONCE)):
            a, b = self._take(part, source)
            new, changed = new + a, changed + b
        return new, changed

    def find(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        name: str = "",
        service: int | None = None,
        subtype: int | None = None,
        apid: int | None = None,
        sequence_count: int | None = None,
        unique_id: str = "",
        text: str = "",
        outcome: str = "",
        parameters: Mapping[str, str] | None = None,
        brief: bool = False,
    ) -> list[Telecommand]:
        """Commands whose `Telecommand.time` lies in ``[start, end)``, earliest first; without a range also those without.

        Parameters
        ----------
        start, end
            UTC with a zone. Open where None.
        name
            Mnemonic; ``*`` stands for any letters. Capitals do not matter.
        service, subtype, apid, sequence_count
            Only commands with these numbers.
        unique_id
            Only commands that carry out this order.
        text
            Words that stand in the description, one behind the other; capitals do not matter.
        outcome
            What it has come to, as `Telecommand.outcome` says.
        parameters
            Values that parameters have, by their names.
        brief
            Leave out parameters, packet and details: they are most of a record.

        Raises
        ------
        CatalogError
            If the database does not answer.
        """
        # the first field that has an index is the one that is searched by: the rarest stands first
        query: Document = {"unique_id": unique_id} if unique_id else {}
        query |= {} if sequence_count is None else {"sequence_count": sequence_count}
        query |= _within(start, end)
        numbers = {"service": service, "subtype": subtype, "apid": apid}
        query |= {key: value for key, value in numbers.items() if value is not None}
        fields = _BRIEF if brief and not parameters else ()
        found = (from_document(d, Telecommand) for d in self._collection.find(query, fields))
        chosen = (
            c
            for c in found
            if (not name or fnmatchcase(c.name.upper(), name.upper()))
            and text.casefold() in c.description.casefold()
            and (not outcome or c.outcome == outcome)
            and (not parameters or _has(c, parameters))
        )
        return sorted(chosen, key=_order)

    def delete(self, identity: str) -> bool:
        """Whether there was such a command."""
        return self._collection.delete({"_id": identity}) > 0

    def _take(self, commands: list[Telecommand], source: str) -> tuple[int, int]:
        known = self._known(commands)
        now = dict(known)
        for each in commands:
            command = dataclasses.replace(each, sources=(source,)) if source else each
            now[command.identity] = merge(now.get(command.identity, command), command)
        superseded = _superseded(now)
        documents = {i: _document(c) for i, c in now.items() if i not in superseded}
        wanted = [d for i, d in documents.items() if i not in known or d != _document(known[i])]
        gone = superseded & set(known)
        if wanted or gone:
            self._collection.replace_range(wanted, {"_id": {"$in": sorted(gone)}})
        new = sum(d["_id"] not in known for d in wanted)
        return new, len(wanted) - new

    def _known(self, commands: list[Telecommand]) -> dict[str, Telecommand]:
        """What is stored of these commands and of others for the same orders."""
        ids = sorted({c.identity for c in commands})
        orders = sorted({c.unique_id for c in commands if c.unique_id})
        found = self._collection.find({"_id": {"$in": ids}})
        if orders:
            found += self._collection.find({"unique_id": {"$in": orders}})
        return {d["_id"]: from_document(d, Telecommand) for d in found}


def _document(command: Telecommand) -> Document:
    time = command.time
    document = to_document(command, command.identity)
    return document | {"time": None if time is None else truncate(time)}


def _within(start: datetime | None, end: datetime | None) -> Document:
    bounds: Document = {}
    if start is not None:
        bounds["$gte"] = truncate(start)
    if end is not None:
        bounds["$lt"] = truncate(end)
    return {"time": bounds} if bounds else {}


def _has(command: Telecommand, wanted: Mapping[str, str]) -> bool:
    there = {(p["name"], p["value"]) for p in command.parameters}
    return all(pair in there for pair in wanted.items())


def _order(command: Telecommand) -> tuple[bool, float, str]:
    time = command.time
    return time is None, 0.0 if time is None else time.timestamp(), command.identity


def _superseded(commands: Mapping[str, Telecommand]) -> set[str]:
    """Identities of reports made before the release of a command that is there as released, too."""
    released = {_same_order(c) for c in commands.values() if c.release is not None}
    return {
        identity
        for identity, each in commands.items()
        if each.release is None and each.unique_id and _same_order(each) in released
    }


def _same_order(command: Telecommand) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    values = tuple((p["name"], p["value"]) for p in command.parameters)
    return command.unique_id, command.name, values


def merge(one: Telecommand, other: Telecommand) -> Telecommand:
    """What two reports say of the same command together; the order of the two does not matter.

    Of two times the later counts, of two states the one that says more (a failure before all), of
    two texts the longer.
    """
    values: dict[str, Any] = {}
    for each in dataclasses.fields(Telecommand):
        a, b = getattr(one, each.name), getattr(other, each.name)
        if each.name == "states":
            values[each.name] = _merge_states(a, b)
        elif each.name == "sources":
            values[each.name] = tuple(sorted({*a, *b}))
        elif isinstance(a, dict):
            values[each.name] = {k: max(a.get(k, ""), b.get(k, ""), key=_length) for k in sorted({*a, *b})}
        elif isinstance(a, str):
            values[each.name] = max(a, b, key=_length)
        elif each.name == "parameters":
            values[each.name] = max(a, b, key=lambda p: (len(p), repr(p)))
        else:
            values[each.name] = _later(a, b)
    return Telecommand(**values)


_Ordered = TypeVar("_Ordered", datetime, int)


def _later(a: _Ordered | None, b: _Ordered | None) -> _Ordered | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


def _length(text: str) -> tuple[int, str]:
    return len(text), text


def _merge_states(a: dict[str, str], b: dict[str, str]) -> dict[str, str]:
    stages = {*a, *b}
    ordered = [s for s in _STAGES if s in stages] + sorted(stages - set(_STAGES))
    return {stage: max(a.get(stage, ""), b.get(stage, ""), key=_certainty) for stage in ordered}


def _certainty(state: str) -> tuple[int, str]:
    """How much a state says."""
    rank = {"": 0, "PASSED": 4, "FAILED": 5}.get(state)
    if rank is None:
        rank = 1 if state in _NOTHING_SAID else 3 if state.startswith("UNCERTAIN") else 2
    return rank, state
