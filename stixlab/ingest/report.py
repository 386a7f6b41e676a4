"""What an ingest did, for people and programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FileResult", "IngestReport"]


@dataclass
class FileResult:
    """What became of one file."""

    path: str
    status: str
    """``new``, ``repeated`` (the same content is there already), ``repaired`` (it is, but what was stored of it was
    missing or damaged and is written anew) or ``failed``."""
    sha256: str = ""
    kind: str = ""
    size_bytes: int = 0
    origin: str = ""
    packets: dict[str, int] = field(default_factory=dict)
    """Packets by status."""
    structures: dict[str, int] = field(default_factory=dict)
    """Packets by structure, such as ``21,6,30``."""
    telecommands: dict[str, int] = field(default_factory=dict)
    """Telecommands that it reports: ``new`` and ``changed``."""
    findings: list[str] = field(default_factory=list)
    """What was wrong in the file and passed over, in words."""
    error: str = ""

    def as_document(self) -> dict[str, Any]:
        """Plain types."""
        return {"type": "file", **self.__dict__}


@dataclass
class IngestReport:
    """What became of all files of one call."""

    files: list[FileResult] = field(default_factory=list)
    products: list[dict[str, Any]] = field(default_factory=list)
    """Products made or changed: id, version, times."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Data requests that are new or changed: id, packets, whether complete."""
    unchanged: int = 0
    """Products looked at that came out the same."""
    runs: list[dict[str, Any]] = field(default_factory=list)
    """Pipeline runs: id, pipeline, parameters, status, error."""
    problems: list[str] = field(default_factory=list)
    """What failed beside single files."""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether anything at all failed or was refused."""
        return (
            bool(self.problems)
            or any(f.status == "failed" for f in self.files)
            or any(r["status"] == "failed" for r in self.runs)
        )

    @property
    def packets(self) -> dict[str, int]:
        """Packets by status, over the new files."""
        total: Counter[str] = Counter()
        for each in self.files:
            if each.status == "new":
                total.update(each.packets)
        return dict(total)

    def as_document(self) -> dict[str, Any]:
        """Plain types, one object for the whole report."""
        by_status = Counter(f.status for f in self.files)
        return {
            "type": "report",
            "files": {
                "total": len(self.files),
                **{s: by_status.get(s, 0) for s in ("new", "repeated", "repaired", "failed")},
            },
            "packets": self.packets,
            "products": [p["product_id"] for p in self.products],
            "products_unchanged": self.unchanged,
            "requests": self.requests,
            "telecommands": sum(sum(f.telecommands.values()) for f in self.files),
            "runs": self.runs,
            "problems": self.problems,
            "ok": not self.failed,
            "seconds": round(self.seconds, 3),
        }
