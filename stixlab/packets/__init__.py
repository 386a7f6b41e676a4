"""Single packets out of everything stored: searched by what their headers say, shown down to their bits.

Nothing here keeps an index of its own: the catalogue has one document for each file, and the headers
of the packets of a file are columns in its packet file, mapped into memory when they are asked for.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Node", "PacketQuery", "PacketTable", "PacketTree", "find_packets", "get_packet"]

_HOMES = {
    "Node": "stixlab.packets.nodes",
    "PacketQuery": "stixlab.packets.query",
    "PacketTable": "stixlab.packets.table",
    "PacketTree": "stixlab.packets.tree",
    "find_packets": "stixlab.packets.search",
    "get_packet": "stixlab.packets.tree",
}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: a search needs no calibration."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
