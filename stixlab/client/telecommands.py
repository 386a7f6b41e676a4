"""Telecommands for the client: search, one with what its packet says, and the one that led to a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from stixlab.catalog import Catalog
from stixlab.errors import NotInCatalogError, PacketError, ParameterError
from stixlab.model import ScienceRequest, Telecommand
from stixlab.settings import Settings
from stixlab.telemetry.commands import DecodedCommand, decode_command
from stixlab.timing import to_datetime, to_datetime64

__all__ = [
    "OUTCOMES",
    "decode_telecommand",
    "find_telecommand_of",
    "find_telecommands",
    "find_telecommands_of_request",
    "get_telecommand",
    "telecommand_document",
]

Time = str | datetime | np.datetime64
OUTCOMES = ("executed", "on board", "accepted", "sent", "on its way", "released", "failed", "unknown")
"""What a command may have come to."""
_WORD_OF_TELECOMMANDS = 0b00011
"""Top five bits of the first word of every telecommand."""
_DATA_SELECTION = (238, 1)
"""Service and subtype of commands that ask for data (238, 10: of aspect data)."""
_REQUEST_NUMBER = "PIX00076"
"""Parameter of a data selection that gives the number of the request."""


def find_telecommands(
    catalog: Catalog,
    start: Time | None = None,
    end: Time | None = None,
    *,
    name: str = "",
    service: int | None = None,
    subtype: int | None = None,
    sequence_control: int | None = None,
    text: str = "",
    outcome: str = "",
    parameters: Mapping[str, str | int] | None = None,
    brief: bool = False,
) -> list[Telecommand]:
    """Commands executed (or, while that is unknown, sent or released) in ``[start, end)``, earliest first.

    Parameters
    ----------
    catalog
    start, end
        UTC. Open where None; without both also commands of unknown time, last.
    name
        Mnemonic; ``ZIX38*`` for all that begin so.
    service, subtype
        Only commands of this kind.
    sequence_control
        Second word of the packet header, which telemetry repeats as NIX00002.
    text
        Stands in the description; capitals do not matter.
    outcome
        One of `OUTCOMES`.
    parameters
        Values that parameters have in the report, by name: ``{"PIX00076": 2203010001}``.
    brief
        Leave out parameters, packet and details: quicker for long lists.

    Raises
    ------
    ParameterError
        If an outcome does not exist, or the range ends before it starts.
    """
    if outcome and outcome not in OUTCOMES:
        raise ParameterError(f"outcome: expected one of {', '.join(OUTCOMES)}; found {outcome!r}")
    low = None if start is None else to_datetime(to_datetime64(start))
    high = None if end is None else to_datetime(to_datetime64(end))
    if low is not None and high is not None and low >= high:
        raise ParameterError(f"time range: expected start before end; found {low} and {high}")
    return catalog.telecommands.find(
        start=low,
        end=high,
        name=name,
        service=service,
        subtype=subtype,
        sequence_count=None if sequence_control is None else sequence_control & 0x3FFF,
        text=text,
        outcome=outcome,
        parameters={k: str(v) for k, v in (parameters or {}).items()},
        brief=brief,
    )


def get_telecommand(catalog: Catalog, identity: str) -> Telecommand:
    """Command of that identity, or the only one of that unique id.

    Raises
    ------
    NotInCatalogError
        If there is none, or the unique id is that of several.
    """
    found = catalog.telecommands.get(identity)
    if found is not None:
        return found
    same_order = catalog.telecommands.find(unique_id=identity)
    if len(same_order) == 1:
        return same_order[0]
    several = f"found those of one order: {', '.join(c.identity for c in same_order)}" if same_order else ""
    raise NotInCatalogError(
        f"telecommand {identity!r}: expected an identity as `stixlab telecommands` lists them; "
        f"{several or 'it is not in the catalogue'}"
    )


def find_telecommand_of(
    catalog: Catalog, packet_id: int, sequence_control: int, before: Time, *, request_id: int = 0
) -> Telecommand | None:
    """The command that telemetry names by the words of its header: NIX00001 and NIX00002.

    The count comes again after 16384 commands, so that the last before the telemetry is the one. Verification
    reports (service 1) repeat both words; science data have 91 in place of the first, which then says nothing.

    Parameters
    ----------
    catalog
    packet_id, sequence_control
        First and second word of the command's packet header.
    before
        UTC of the telemetry.
    request_id
        Number of the data request (NIX00037): a data selection with another number is not the one.

    Returns
    -------
    Telecommand or None
        None if no report of it has arrived.
    """
    found = catalog.telecommands.find(
        end=to_datetime(to_datetime64(before)), sequence_count=sequence_control & 0x3FFF
    )
    is_word = packet_id >> 11 == _WORD_OF_TELECOMMANDS
    for command in reversed(found):
        numbers = _request_numbers(command)
        if (command.packet_id == packet_id or not is_word) and (
            not request_id or not numbers or request_id in numbers
        ):
            return command
    return None


def find_telecommands_of_request(catalog: Catalog, request: ScienceRequest) -> list[Telecommand]:
    """Commands that asked for the data of a request, earliest first: by their header, and by its number.

    Returns
    -------
    list of Telecommand
        Mostly one; several if the same number was asked for again; none if no report of it has arrived.
    """
    named = None
    if request.tc_sequence and request.sent_start is not None:
        named = find_telecommand_of(
            catalog,
            request.tc_packet_id,
            request.tc_sequence,
            request.sent_start,
            request_id=request.request_id,
        )
    if named is not None and request.request_id in _request_numbers(named):
        return [named]
    if request.request_id:
        service, subtype = _DATA_SELECTION
        wanted = {_REQUEST_NUMBER: str(request.request_id)}
        found = catalog.telecommands.find(service=service, subtype=subtype, parameters=wanted)
        if found:
            return found
    # a count is repeated too soon to be trusted alone for anything but a command for data
    return [named] if named is not None and named.service == _DATA_SELECTION[0] else []


def _request_numbers(command: Telecommand) -> set[int | None]:
    """Numbers of data requests that a command gives; none of most commands."""
    return {_number(p) for p in command.parameters if p["name"] == _REQUEST_NUMBER}


def _number(parameter: Mapping[str, str]) -> int | None:
    base = 16 if parameter.get("radix", "").startswith("H") else 10
    try:
        return int(parameter["value"], base)
    except ValueError:
        return None


def decode_telecommand(command: Telecommand, settings: Settings) -> DecodedCommand | None:
    """What stands in the packet of a command, with the mission databases at hand.

    Parameters
    ----------
    command
    settings
        Says where databases are: the setting ``STIXLAB_IDB``, and what `stixlab idb import` made.

    Returns
    -------
    DecodedCommand or None
        None if the report holds no packet, no database is at hand, or the packet is none that they know.

    Raises
    ------
    FormatError
        If a database is damaged.
    """
    from stixlab.idb import load_versions
    from stixlab.idb.loading import IMPORTED
    from stixlab.idb.telecommands import in_force_first, load_commands

    definitions = load_commands(settings.idb, settings.home / IMPORTED) if command.raw else ()
    if not definitions:
        return None
    ordered = in_force_first(definitions, command.time, load_versions().eras)
    try:
        return decode_command(bytes.fromhex(command.raw), ordered, name=command.name)
    except PacketError:
        return None


def telecommand_document(command: Telecommand, decoded: DecodedCommand | None = None) -> dict[str, Any]:
    """Plain types for JSON: the record, what follows from it, and what its packet says."""
    document = asdict(command) | {
        "time": command.time,
        "outcome": command.outcome,
        "initials": command.initials,
        "packet_id": command.packet_id,
        "sequence_control": command.sequence_control,
    }
    if decoded is not None:
        document["packet"] = {
            "name": decoded.name,
            "idb_version": decoded.database_version,
            "header": asdict(decoded.header),
            "parameters": [
                {
                    "name": v.name,
                    "raw": v.raw.hex().upper() if isinstance(v.raw, bytes) else v.raw,
                    "value": v.value.hex().upper() if isinstance(v.value, bytes) else v.value,
                    "title": v.title,
                    "unit": v.unit,
                    "repeat": list(v.repeat),
                }
                for v in decoded.parameters
            ],
            "remainder": decoded.remainder.hex().upper(),
            "problems": list(decoded.problems),
        }
    return document
