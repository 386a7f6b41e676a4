"""Records as documents of the database, and back.

Times are UTC. A document keeps milliseconds, so times are **truncated to the millisecond** (towards the
past) when they are written *and* when they are used in a search: a record is found by its own times.
What is read back is aware of its zone. Tuples become lists and come back as tuples. A field that a stored
document lacks takes its default, one that the record no longer has is left out: old catalogues stay readable.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar

from stixlab.errors import SchemaError

__all__ = ["Document", "from_document", "to_document", "truncate"]

Document = dict[str, Any]
Record = TypeVar("Record")

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def truncate(time: datetime) -> datetime:
    """The same instant in UTC, whole milliseconds, towards the past.

    Raises
    ------
    SchemaError
        If the time has no zone.
    """
    if time.tzinfo is None:
        raise SchemaError(f"time {time}: expected one with a time zone; give UTC with tzinfo=datetime.UTC")
    utc = time.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def to_document(record: Any, identity: str) -> Document:
    """Document of a record.

    Parameters
    ----------
    record
        One of `stixlab.model`.
    identity
        What it is stored under, ``_id``.

    Raises
    ------
    SchemaError
        If a value is none that a document can hold; the message says where it stands.
    """
    name = type(record).__name__
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    return {"_id": identity} | {k: _plain(v, f"{name} {identity}, {k}") for k, v in values.items()}


def _plain(value: Any, where: str) -> Any:
    """A value made of what BSON has, checked now: the server would refuse it with less to say."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    plain = value.value if isinstance(value, Enum) else value
    if isinstance(plain, datetime):
        plain = truncate(plain)
    elif isinstance(plain, Mapping):
        plain = {_key(k, where): _plain(v, f"{where}.{k}") for k, v in plain.items()}
    elif isinstance(plain, list | tuple):
        plain = [_plain(v, f"{where}[{i}]") for i, v in enumerate(plain)]
    elif isinstance(plain, int) and not _INT64_MIN <= plain <= _INT64_MAX:
        raise SchemaError(f"{where}: {plain} does not fit a signed integer of 64 bits; store it as text")
    elif plain is not None and not isinstance(plain, bool | int | str | float):
        raise SchemaError(
            f"{where}: expected texts, numbers, times, lists and mappings of them; found {type(plain).__name__}"
        )
    return plain


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise SchemaError(f"{where}: keys are texts in a document; found {key!r}")
    return str(key)


def from_document(document: Mapping[str, Any], kind: type[Record]) -> Record:
    """Record of a document.

    Raises
    ------
    SchemaError
        If a field without a default is missing, or one cannot be read.
    """
    values = {}
    try:
        for name, convert in _converters(typing.cast("Any", kind)).items():
            if name in document:
                values[name] = convert(document[name])
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"document {document.get('_id')!r}: cannot be read as {kind.__name__}: {error}; was it written by a newer version?"
        ) from None


@cache
def _converters(kind: Any) -> dict[str, typing.Callable[[Any], Any]]:
    return {name: _converter(hint) for name, hint in typing.get_type_hints(kind).items()}


def _converter(hint: Any) -> typing.Callable[[Any], Any]:
    if typing.get_origin(hint) in (typing.Union, UnionType):
        (inner,) = [_converter(h) for h in typing.get_args(hint) if h is not type(None)] or [_same]
        return lambda value: None if value is None else inner(value)
    if typing.get_origin(hint) is tuple:
        return tuple
    if hint is datetime:
        return _aware
    if hint is float:
        return float
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return _same


def _same(value: Any) -> Any:
    return value


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
