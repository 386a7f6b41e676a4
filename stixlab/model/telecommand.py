"""A telecommand as the control system reports it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Telecommand"]

_TELECOMMAND = 0b0001_1000 << 8
"""First word of a telecommand header without its APID: type 1, data field header there (CCSDS 133.0-B)."""
_STAND_ALONE = 0b11 << 14
_STAGES = {
    "ExecCompState": "executed",
    "OnBoardState": "on board",
    "OnBoardAccState": "accepted",
    "UplinkState": "sent",
    "GroundState": "on its way",
    "ReleaseState": "released",
}
"""What a command has come to by the stages it passed, the farthest first."""


@dataclass(frozen=True)
class Telecommand:
    """One command that was sent, or was to be sent, to the instrument."""

    identity: str
    """``NAME.RELEASE.COUNT.UNIQUE``: what is the same in every report of the same command."""
    name: str
    """Mnemonic in the flight database, such as ``ZIX38001``."""
    description: str = ""
    """What the control system calls it."""
    sequence: str = ""
    """Name of the command sequence it is part of; empty if none."""
    release: datetime | None = None
    """UTC at which the control system let it go; None while unknown, as the other times."""
    uplink: datetime | None = None
    """UTC at which it was sent to the spacecraft."""
    execution: datetime | None = None
    """UTC at which it was to be executed on board."""
    service: int | None = None
    subtype: int | None = None
    apid: int | None = None
    sequence_count: int | None = None
    """Source sequence count of its packet, 14 bits."""
    unique_id: str = ""
    """Name of the order that it carries out, given by the planning system."""
    states: dict[str, str] = field(default_factory=dict)
    """What became of it at each stage, in the order of the report: ``PASSED``, ``FAILED``, ``UNKNOWN`` ..."""
    parameters: tuple[dict[str, str], ...] = ()
    """In the order of the packet: ``name``, ``value``, ``radix`` and, where given, ``title``, ``unit``, ``type``,
    ``representation`` (``Eng``: the value is a word or a physical value; ``Raw``: a number)."""
    custom: dict[str, str] = field(default_factory=dict)
    """Further fields that the mission defined, by their names."""
    details: dict[str, str] = field(default_factory=dict)
    """Everything else of the report that is not empty, by the names of the report."""
    raw: str = ""
    """The whole packet in hexadecimal digits; empty if the report has none."""
    sources: tuple[str, ...] = ()
    """Hashes of the files that report it, sorted."""

    @property
    def time(self) -> datetime | None:
        """UTC of the execution or, while that is unknown, of the uplink or the release."""
        return self.execution or self.uplink or self.release

    @property
    def initials(self) -> str:
        """First letter of each state, in the order of the report."""
        return "".join(state[:1] or "-" for state in self.states.values())

    @property
    def outcome(self) -> str:
        """``failed`` if any stage failed, else the farthest stage passed (``executed``, ``released`` ...) or ``unknown``."""
        if any("FAILED" in state for state in self.states.values()):
            return "failed"
        passed = (word for stage, word in _STAGES.items() if self.states.get(stage) == "PASSED")
        return next(passed, "unknown")

    @property
    def packet_id(self) -> int | None:
        """First word of its packet header: what telemetry calls NIX00001."""
        return None if self.apid is None else _TELECOMMAND | self.apid & 0x7FF

    @property
    def sequence_control(self) -> int | None:
        """Second word of its packet header: what telemetry calls NIX00002."""
        return None if self.sequence_count is None else _STAND_ALONE | self.sequence_count & 0x3FFF
