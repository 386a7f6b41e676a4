"""Packets as lines of text: the tree of the fields, and the bytes in hexadecimal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stixlab.packets.nodes import Node

__all__ = ["hex_dump", "number_text", "place_text", "tree_lines", "value_text"]

_ROW = 16
_MOST_VALUES = 12


def hex_dump(content: bytes, *, first: int = 0) -> list[str]:
    """Sixteen bytes a line: offset, hexadecimal digits in two halves, printable characters.

    Parameters
    ----------
    content
    first
        Offset of the first byte.
    """
    lines = []
    for start in range(0, len(content), _ROW):
        row = content[start : start + _ROW]
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        letters = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        lines.append(f"{first + start:05d}  {left:<23}  {right:<23}  |{letters}|")
    return lines


def number_text(value: Any) -> str:
    """A number with as many digits as are worth showing; a question mark for none."""
    if value is None or value != value:  # noqa: PLR0124  (NaN)
        return "?"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def value_text(values: Sequence[Any], *, most: int | None = _MOST_VALUES) -> str:
    """Values on one line; of many the first ones and how many there are."""
    shown = " ".join(number_text(v) for v in (values if most is None else values[:most]))
    more = most is not None and len(values) > most
    return f"{shown} ... ({len(values)})" if more else shown


def place_text(node: Node) -> str:
    """Byte, bit within it, and width, such as ``17.4+12``."""
    if not node.width_bits:
        return ""
    return f"{node.offset_bits // 8}.{node.offset_bits % 8}+{node.width_bits}"


def tree_lines(nodes: Sequence[Node], *, most: int | None = _MOST_VALUES, depth: int = 0) -> Iterator[str]:
    """One line for each node: place, name, raw value, what it means, title.

    Parameters
    ----------
    nodes
    most
        Values shown of a node that has many; None: all.
    depth
        How far to indent.
    """
    for node in nodes:
        meanings = [value_text(node.raw, most=most)] if node.raw else []
        if node.decompressed:
            errors = [v**0.5 for v in node.variance]
            meanings.append(
                f"= {value_text(node.decompressed, most=most)} (+- {value_text(errors, most=most)})"
            )
        if node.engineering:
            unit = "" if node.unit == "1" else f" {node.unit}"
            meanings.append(f"= {value_text(node.engineering, most=most)}{unit}")
        if node.state:
            meanings.append(f"= {value_text(node.state, most=most)}")
        yield f"{place_text(node):<12}{'  ' * depth}{node.name:<10} {' '.join(meanings)}  {node.title}".rstrip()
        yield from tree_lines(node.children, most=most, depth=depth + 1)
