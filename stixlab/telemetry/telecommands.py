"""Reports of telecommands: XML of the control system, read element by element into records.

Not here: what stands in the packets of telecommands (`stixlab.telemetry.commands`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TypeVar
from xml.parsers import expat

from stixlab.errors import FormatError, TimeError
from stixlab.model import Telecommand
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.streams import Source, Stream, open_stream
from stixlab.timing import parse_utc, to_datetime

__all__ = ["read_telecommands"]

_CHUNK_BYTES = 1 << 20
_LONGEST_ELEMENT = 4 << 20
"""Bytes; real elements have some 100 kB. What is longer has lost its end."""
_LONGEST_BORDER = 256
_BORDER = re.compile(rb"<(/?)(?:\w{1,20}:)?PktTcReportListElement(?:\s[^<>]{0,200})?>")
_ENCODING = re.compile(rb"""^(?:\xef\xbb\xbf)?\s*<\?xml[^>]{0,200}?encoding=["']([\w.-]{1,40})["']""")
_DEEPEST = 16
_HEADER_BYTES = 10
_DIGITS = re.compile(r"\d{1,9}", re.ASCII)
_Value = TypeVar("_Value")
_UNKNOWN_YEAR = 1970
"""Year that stands for a time not known."""

_PARAMETER_FIELDS = {
    "ParameterName": "name",
    "ParamValue": "value",
    "Radix": "radix",
    "ParameterDescription": "title",
    "ParameterUnit": "unit",
    "ParamType": "type",
    "ParamRep": "representation",
}
_ALWAYS = {"name", "value"}
_STATE = re.compile(r"\w+(?<!Check)State|TtObqStatus")
"""Names of states; those that end with CheckState say what was to be checked."""


def read_telecommands(source: Source, name: str, report: DecodeReport) -> Iterator[Telecommand]:
    """Commands of a report, one after the other; only one element of the file is in memory at a time.

    Damaged elements are remarked in the report and left out, and the rest is kept; a truncated file gives
    what it holds. The bytes of all uses (``telecommands``, ``markup``, ``skipped``) add up to the size of
    the file, uncompressed.

    Parameters
    ----------
    source
        A file, its content, or an open file; may be compressed with gzip.
    name
        For error messages.
    report
        Takes remarks, bytes by use and, at the end, the size.

    Yields
    ------
    Telecommand
        In the order of the file; ``sources`` is left to the caller, who knows the hash of the file.

    Raises
    ------
    FormatError
        If the file cannot be read at all.
    """
    try:
        with open_stream(source, report) as stream:
            yield from _Scanner(report).scan(stream)
            report.size_bytes, report.compressed_bytes = stream.n_read, stream.n_packed
    except OSError as error:
        raise FormatError(f"{name}: cannot be read: {error.strerror or error}", name=name) from error


class _Scanner:
    """Finds the elements in a stream."""

    def __init__(self, report: DecodeReport) -> None:
        self._report = report
        self._encoding = "utf-8"
        self._text = b""
        """What is still needed of the stream."""
        self._base = 0
        """Place in the stream of its first byte."""
        self._around = 0
        """Bytes outside of elements since the last one, not yet in the report."""
        self._open_bytes = 0
        """Length of the start tag that the text begins with; 0 outside of elements."""

    def scan(self, stream: Stream) -> Iterator[Telecommand]:
        """Commands of the stream; at the end every byte of it is accounted for."""
        self._encoding = _encoding_of(stream.peek(_LONGEST_BORDER))
        while chunk := stream.read(_CHUNK_BYTES):
            searched = max(self._open_bytes, len(self._text) - _LONGEST_BORDER)
            self._text += chunk
            yield from self._take(searched)
        if self._open_bytes:
            self._skip("telecommand report without its end", self._base, len(self._text))
        else:
            self._around += len(self._text)
        self._report.use("markup", self._around)

    def _take(self, searched: int) -> Iterator[Telecommand]:
        """All elements that end within the text, which is then cut to what is left."""
        start = 0
        for border in _BORDER.finditer(self._text, searched):
            if border[1] and self._open_bytes:
                yield from self._read(start, border.end())
                start, self._open_bytes = border.end(), 0
            elif border[1]:
                size = self._around + border.end() - start
                self._skip("telecommand report without its beginning", self._base + border.end() - size, size)
                start, self._around = border.end(), 0
            else:
                if self._open_bytes:
                    size = border.start() - start
                    self._skip("telecommand report without its end", self._base + start, size)
                else:
                    self._report.use("markup", self._around + border.start() - start)
                start, self._around, self._open_bytes = border.start(), 0, len(border[0])
        if self._open_bytes and len(self._text) - start > _LONGEST_ELEMENT:
            keep = len(self._text) - _LONGEST_BORDER
            self._skip("telecommand report without its end", self._base + start, keep - start)
            start, self._open_bytes = keep, 0
        if not self._open_bytes:
            keep = max(start, len(self._text) - _LONGEST_BORDER)
            self._around += keep - start
            start = keep
        self._text, self._base = self._text[start:], self._base + start

    def _read(self, start: int, end: int) -> Iterator[Telecommand]:
        place = self._base + start
        if end - start > _LONGEST_ELEMENT:
            self._skip("telecommand report without its end", place, end - start)
            return
        element = _Element()
        try:
            element.parse(self._text[start:end], self._encoding)
            command = _telecommand(element, lambda reason: self._report.remark(reason, place))
        except (expat.ExpatError, _DamagedError, UnicodeError) as error:
            # the place within the element differs with every damage; the kind of it does not
            reason = expat.ErrorString(error.code) if isinstance(error, expat.ExpatError) else str(error)
            self._skip(f"telecommand report that is damaged: {reason}", place, end - start)
            return
        self._report.use("telecommands", end - start)
        yield command

    def _skip(self, reason: str, place: int, size_bytes: int) -> None:
        self._report.remark(reason, place, size_bytes)
        self._report.use("skipped", size_bytes)


def _encoding_of(start: bytes) -> str:
    """Encoding that the file declares; UTF-8 if none or one that is not known."""
    declared = _ENCODING.match(start)
    name = declared[1].decode("ascii") if declared else "utf-8"
    try:
        # what is not ASCII for ASCII could not have been searched for tags
        return name if "<".encode(name) == b"<" else "utf-8"
    except (LookupError, UnicodeError):
        return "utf-8"


class _DamagedError(Exception):
    """An element that is XML, but no report of a command."""


@dataclass
class _Element:
    """Texts of one element."""

    texts: dict[str, str] = field(default_factory=dict)
    custom: dict[str, str] = field(default_factory=dict)
    parameters: list[dict[str, str]] = field(default_factory=list)
    _path: list[str] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _group: dict[str, str] = field(default_factory=dict)
    """Texts of the custom field or parameter that is being read."""
    _is_leaf: bool = False

    def parse(self, xml: bytes, encoding: str) -> None:
        """Read the whole element.

        Raises
        ------
        xml.parsers.expat.ExpatError
            If it is no XML.
        """
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.Parse(xml, True)

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._path.append(tag.rpartition(":")[2])
        self._text.clear()
        self._is_leaf = True
        if len(self._path) > _DEEPEST:
            raise _DamagedError("elements within elements without end")

    def _end(self, _tag: str) -> None:
        name, leaf = self._path.pop(), self._is_leaf
        self._is_leaf = False
        text = "".join(self._text).strip()
        self._text.clear()
        match self._path:
            case [_] if leaf:
                self.texts[name] = text
            case [_, "CustomField"] | [_, "PktTcReportParameterList", _]:
                self._group[name] = text
            case [_] if name == "CustomField":
                self._end_custom()
            case [_, "PktTcReportParameterList"]:
                self._end_parameter()

    def _end_custom(self) -> None:
        name = self._group.get("FieldName", "")
        if name or self._group.get("Value"):
            self.custom[name or "unnamed"] = self._group.get("Value", "")
        self._group.clear()

    def _end_parameter(self) -> None:
        values = {ours: self._group.get(theirs, "") for theirs, ours in _PARAMETER_FIELDS.items()}
        self.parameters.append({k: v for k, v in values.items() if v or k in _ALWAYS})
        self._group.clear()


@dataclass
class _Report:
    """Texts of a report, each taken once; one that cannot be read stays."""

    texts: dict[str, str]
    remark: Callable[[str], None]

    def text(self, tag: str) -> str:
        """Text of that tag, empty if there is none."""
        return self.texts.pop(tag, "")

    def number(self, tag: str) -> int | None:
        """Number from 0 to 999999999; None if there is none."""
        text = self.texts.get(tag, "")
        value = int(text) if _DIGITS.fullmatch(text) else None
        return self._taken(tag, value)

    def time(self, tag: str) -> datetime | None:
        """UTC; None if there is none or it is that of 1970."""
        try:
            moment = to_datetime(parse_utc(self.texts.get(tag, "")))
        except TimeError:
            return self._taken(tag, None)
        self._taken(tag, moment)
        return None if moment.year == _UNKNOWN_YEAR else moment

    def packet(self, tag: str) -> str:
        """Hexadecimal digits in capitals; empty if there are none."""
        try:
            digits = bytes.fromhex(self.texts.get(tag, "").removeprefix("0x")).hex().upper()
        except ValueError:
            digits = ""
        return self._taken(tag, digits or None) or ""

    def _taken(self, tag: str, value: _Value | None) -> _Value | None:
        if value is not None or not self.texts.get(tag):
            self.texts.pop(tag, None)
        else:
            self.remark(f"telecommand report with a {tag} that cannot be read")
        return value


def _telecommand(element: _Element, remark: Callable[[str], None]) -> Telecommand:
    """Record of an element; what cannot be read as number or time is left as text in ``details``."""
    report = _Report(dict(element.texts), remark)
    name = report.text("CommandName")
    if not name:
        raise _DamagedError("no CommandName in it")
    release, uplink, execution = map(report.time, ("ReleaseTime", "UplinkTime", "ExecutionTime"))
    apid, count, service, subtype = map(report.number, ("Apid", "SSC", "PUSServiceType", "PUSSubServiceType"))
    raw = report.packet("RawBodyData")
    if raw:
        _check_packet(bytes.fromhex(raw), (apid, count, service, subtype), remark)
    unique_id = element.custom.get("uniqueID", "")
    return Telecommand(
        identity=_identity(element, name, unique_id, release, count),
        name=name,
        description=report.text("Description"),
        sequence=report.text("SequenceName"),
        release=release,
        uplink=uplink,
        execution=execution,
        service=service,
        subtype=subtype,
        apid=apid,
        sequence_count=count,
        unique_id=unique_id,
        states={tag: report.text(tag) for tag in element.texts if _STATE.fullmatch(tag)},
        parameters=tuple(element.parameters),
        custom=element.custom,
        details={tag: text for tag, text in report.texts.items() if text},
        raw=raw,
    )


def _identity(
    element: _Element, name: str, unique_id: str, release: datetime | None, sequence_count: int | None
) -> str:
    """What all reports of one command have in common.

    A count comes again after 16384 commands, and an order may lead to several commands; with the time of
    release there is no doubt. A command that was not released is known by its order and its parameters.
    """
    if release is not None:
        parts = [name, f"{release:%Y%m%dT%H%M%S}", "-" if sequence_count is None else str(sequence_count)]
    else:
        content = repr([(p["name"], p["value"]) for p in element.parameters])
        parts = [name, "unreleased", sha256(content.encode()).hexdigest()[:16]]
    return ".".join([*parts, unique_id] if unique_id else parts)


def _check_packet(
    packet: bytes, told: tuple[int | None, int | None, int | None, int | None], remark: Callable[[str], None]
) -> None:
    """Compare the header of the packet with what the report says of it."""
    if len(packet) < _HEADER_BYTES:
        remark("telecommand report with a packet that is too short")
        return
    count = int.from_bytes(packet[2:4]) & 0x3FFF
    found = (int.from_bytes(packet[:2]) & 0x7FF, count, packet[7], packet[8])
    for what, report_says, packet_says in zip(
        ("APID", "sequence count", "service", "subtype"), told, found, strict=True
    ):
        if report_says is not None and report_says != packet_says:
            remark(f"telecommand report whose packet has another {what}")
