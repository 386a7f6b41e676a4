"""What is searched for: any number of conditions, all of which a packet has to meet."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from stixlab.errors import ParameterError
from stixlab.idb import Versions
from stixlab.telemetry.frames import Status
from stixlab.timing import ClockTable, parse_time, to_datetime64
from stixlab.vocabulary import ORIGINS

__all__ = ["LARGEST_PAGE", "STATUSES", "PacketQuery", "Time"]

Time = str | datetime | np.datetime64
"""UTC, or text that is an on-board time (``coarse:fine``)."""
LARGEST_PAGE = 10_000
"""Most packets of one page."""
STATUSES = tuple(status.name.lower() for status in Status)
"""Names of what may have become of a packet."""
_FIRST_TEXT = 2


@dataclass(frozen=True)
class PacketQuery:
    """Conditions on packets; made by `PacketQuery.make`, which checks them.

    A condition that is empty or None is none. A condition with several values is met by any of them.
    """

    start: np.datetime64 | None = None
    """UTC; packets of this time and later."""
    end: np.datetime64 | None = None
    """UTC; packets before."""
    spids: frozenset[int] | None = None
    """Numbers of structures (-1: unknown), from `spid` and `text`; an empty set is met by nothing."""
    services: frozenset[int] = frozenset()
    subtypes: frozenset[int] = frozenset()
    ssids: frozenset[int] = frozenset()
    apids: frozenset[int] = frozenset()
    requests: frozenset[int] = frozenset()
    statuses: frozenset[int] = frozenset()
    """Values of `Status`."""
    file: str = ""
    """Name of a file (or part of it), or first digits of its hash."""
    origin: str | None = None

    @classmethod
    def make(
        cls,
        versions: Versions,
        clock: ClockTable,
        *,
        start: Time | None = None,
        end: Time | None = None,
        spid: int | Iterable[int] | None = None,
        service: int | Iterable[int] | None = None,
        subtype: int | Iterable[int] | None = None,
        ssid: int | Iterable[int] | None = None,
        apid: int | Iterable[int] | None = None,
        request: int | Iterable[int] | None = None,
        status: str | Iterable[str] | None = None,
        file: str = "",
        text: str = "",
        origin: str | None = None,
    ) -> PacketQuery:
        """Conditions, checked.

        Parameters
        ----------
        versions, clock
        start, end
            UTC or on-board time; packets in ``[start, end)``.
        spid, request
            Number of a structure, of a science request; or several.
        service, subtype, ssid, apid
            Fields of the header.
        status
            Such as ``ok``, ``truncated``, ``unknown``.
        file
            Name of a file or part of it, or at least the first six digits of the hash of its content.
        text
            Words that occur in the title of the packet, or in the title or name of one of its parameters.
        origin
            ``flight`` or ``simulated``.

        Raises
        ------
        ParameterError
            If a condition cannot be met by any packet of this instrument; the message says which values can.
        TimeError
            If a time cannot be read.
        """
        low, high = _range(start, end, clock)
        _check_origin(origin)
        return cls(
            start=low,
            end=high,
            spids=_structures(versions, _numbers("SPID", spid, range(-1, 2**31)), text.strip()),
            services=_numbers("service", service, range(256)),
            subtypes=_numbers("subtype", subtype, range(256)),
            ssids=_numbers("SSID", ssid, range(-1, 65536)),
            apids=_numbers("APID", apid, range(2048)),
            requests=_numbers("request", request, range(1, 2**32)),
            statuses=_statuses(status),
            file=file.strip(),
            origin=origin,
        )


def _range(
    start: Time | None, end: Time | None, clock: ClockTable
) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    low, high = _time(start, clock), _time(end, clock)
    if low is not None and high is not None and low >= high:
        raise ParameterError(f"packets: expected start before end; found {low} and {high}")
    return low, high


def _check_origin(origin: str | None) -> None:
    if origin is not None and origin not in ORIGINS:
        raise ParameterError(f"origin: expected {' or '.join(ORIGINS)}; found {origin!r}")


def _time(value: Time | None, clock: ClockTable) -> np.datetime64 | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return parse_time(value, clock) if isinstance(value, str) else to_datetime64(value)


def _numbers(what: str, given: int | Iterable[int] | None, allowed: range) -> frozenset[int]:
    if given is None:
        return frozenset()
    values = given if isinstance(given, Iterable) else (given,)
    found = frozenset(int(v) for v in values)
    wrong = sorted(v for v in found if v not in allowed)
    if wrong:
        raise ParameterError(f"{what}: expected {allowed.start} to {allowed.stop - 1}; found {wrong[0]}")
    return found


def _statuses(given: str | Iterable[str] | None) -> frozenset[int]:
    names = (given,) if isinstance(given, str) else tuple(given or ())
    wrong = [n for n in names if n.lower() not in STATUSES]
    if wrong:
        raise ParameterError(f"status: expected one of {', '.join(STATUSES)}; found {wrong[0]!r}")
    return frozenset(STATUSES.index(n.lower()) for n in names)


def _structures(versions: Versions, spids: Collection[int], text: str) -> frozenset[int] | None:
    """Structures asked for by number and by words; None if neither is given."""
    known = {spid for definitions in versions.distinct for spid in definitions.packet_types}
    unknown = sorted(set(spids) - known - {-1})
    if unknown:
        raise ParameterError(
            f"SPID: expected the number of a structure of the instrument, such as 54118 (-1: packets of no known "
            f"structure); found {unknown[0]}; search by text instead"
        )
    if not text:
        return frozenset(spids) or None
    if len(text) < _FIRST_TEXT:
        raise ParameterError(f"text: expected at least {_FIRST_TEXT} letters; found {text!r}")
    described = {spid for definitions in versions.distinct for spid in definitions.find(text)}
    return frozenset(described & set(spids)) if spids else frozenset(described)
