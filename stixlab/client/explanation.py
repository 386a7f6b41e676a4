"""What is told of where something comes from: records, software, raw files and the packets in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stixlab.ingest.lineage import PacketPlaces

__all__ = ["Explanation", "Source"]

_SHOWN = 10


@dataclass(frozen=True)
class Source:
    """A raw file that data came from."""

    sha256: str
    names: tuple[str, ...] = ()
    """Names under which it arrived; empty if they were not looked up."""
    kind: str = ""
    packets: PacketPlaces | None = None
    """Its packets that the data were made from; None for files without packets, such as imported products."""
    is_text: bool = False
    """Whether the file holds its packets as hexadecimal digits: two for each byte of a packet, in XML or lines."""

    def as_document(self) -> dict[str, Any]:
        """Plain types, every packet named: where it begins in the file, its bytes, and the digits that the file has of it."""
        document: dict[str, Any] = {"sha256": self.sha256, "names": list(self.names), "kind": self.kind}
        if self.packets is not None:
            places = (
                self.packets.ids(),
                self.packets.offset_bytes.tolist(),
                self.packets.length_bytes.tolist(),
            )
            document["packets"] = [
                {"id": i, "offset_bytes": o, "length_bytes": n, "hex_digits": 2 * n if self.is_text else 0}
                for i, o, n in zip(*places, strict=True)
            ]
        return document


@dataclass(frozen=True)
class Explanation:
    """Everything something was made from."""

    id: str
    kind: str
    """``flare``, ``product``, ``request``, ``packet`` or ``run``."""
    record: dict[str, Any]
    """The record itself."""
    products: tuple[str, ...] = ()
    """Products that a flare was found in, or a run has read."""
    software: dict[str, Any] = field(default_factory=dict)
    """Software and definitions versions, clock, hashes of the inputs, as they were when it was made."""
    changed: tuple[str, ...] = ()
    """Inputs that are not what they were: made again, the data may come out otherwise."""
    run: dict[str, Any] | None = None
    """The pipeline run that found it: pipeline, parameters, versions, inputs; under ``problem`` why that is not known."""
    sources: tuple[Source, ...] = ()

    @property
    def n_packets(self) -> int:
        """Packets in all sources."""
        return sum(len(s.packets) for s in self.sources if s.packets is not None)

    def as_document(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "type": "explanation",
            "id": self.id,
            "kind": self.kind,
            "record": self.record,
            "products": list(self.products),
            "software": self.software,
            "changed": list(self.changed),
            "run": self.run,
            "n_packets": self.n_packets,
            "sources": [s.as_document() for s in self.sources],
        }

    def __str__(self) -> str:
        lines = [f"{self.kind} {self.id}"]
        lines += _run_lines(self.record) if self.kind == "run" else []
        verb = "has read" if self.kind == "run" else "found in"
        lines += [f"  {verb} {p}" for p in self.products]
        lines += [
            f"  {name}: {value}" for name, value in self.software.items() if name not in ("inputs", "keys")
        ]
        lines += [f"  input {n}: {h}" for n, h in self.software.get("inputs", {}).items()]
        if self.changed:
            cure = f"run {self.record['pipeline']}" if self.kind == "run" else "reprocess"
            lines.append(f"  changed since: {', '.join(self.changed)}; `stixlab {cure}` makes it again")
        if self.run is not None:
            told = ", ".join(f"{k}={v}" for k, v in self.run.get("parameters", {}).items())
            lines.append(f"  run {self.run['run_id']}: {self.run.get('pipeline', '')} {told}".rstrip(" :"))
            if problem := self.run.get("problem"):
                lines.append(f"  {problem}")
        for source in self.sources:
            lines.append(f"  from {source.sha256} {source.kind} {' '.join(source.names)}".rstrip())
            lines += _packet_lines(source)
        return "\n".join(lines)


def _run_lines(run: dict[str, Any]) -> list[str]:
    """What became of a run, where and when; what is not known is left out."""
    who = f" ({run['asked_by']})" if run["asked_by"] else ""
    lines = [f"  status: {run['status']}, asked for by {run['trigger']}{who} at {_time(run['created'])}"]
    if started := run["started"]:
        finished = run["finished"]
        took = f", ended after {(finished - started).total_seconds():.1f} s" if finished else ""
        lines.append(f"  started: {_time(started)}{took}")
    lines += [f"  machine: {run['machine']}"] if run["machine"] else []
    tried = [f"attempt {n} failed: {why}" for n, why in enumerate(run["failures"], start=1)]
    lines += [f"  attempts: {'; '.join([str(run['attempts']), *tried])}"] if run["attempts"] else []
    named = (("error", "error"), ("executed notebook", "notebook"), ("log", "log"))
    return lines + [f"  {word}: {run[name]}" for word, name in named if run[name]]


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _packet_lines(source: Source) -> list[str]:
    packets = source.packets
    if packets is None:
        return []
    lines = []
    shown = list(
        zip(packets.ids(), packets.offset_bytes.tolist(), packets.length_bytes.tolist(), strict=True)
    )
    for identity, offset, length in shown[:_SHOWN]:
        digits = f", {2 * length} hexadecimal digits in the file" if source.is_text else ""
        lines.append(f"    packet {identity}: byte {offset}, {length} bytes{digits}")
    return lines + ([f"    and {len(packets) - _SHOWN} packets more"] if len(packets) > _SHOWN else [])
