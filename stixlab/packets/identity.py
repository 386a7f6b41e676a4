"""The id of a packet: the first hexadecimal digits of the hash of its file, a dot, its place in the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stixlab.archive.layout import packets_key
from stixlab.errors import NotInCatalogError, ParameterError

if TYPE_CHECKING:
    from stixlab.archive import Archive
    from stixlab.catalog.stores import Catalog
    from stixlab.model import RawFile

__all__ = ["file_of_packet", "packet_id", "read_packet_id"]

_DIGITS = 12
_ID = re.compile(r"(?P<file>[0-9a-f]{12,64})\.(?P<index>[0-9]{1,9})")


def packet_id(sha256: str, index: int) -> str:
    """Id of a packet.

    Parameters
    ----------
    sha256
        Hash of its file.
    index
        Its place in the file, from 0.

    Examples
    --------
    >>> packet_id("0123456789abcdef" * 4, 7)
    '0123456789ab.7'
    """
    return f"{sha256[:_DIGITS]}.{index}"


def read_packet_id(text: str) -> tuple[str, int]:
    """First digits of the hash of the file, and the place in the file.

    Raises
    ------
    ParameterError
        If the text is no id of a packet.
    """
    match = _ID.fullmatch(text.strip().lower())
    if match is None:
        raise ParameterError(
            f"packet: expected an id such as 0123456789ab.7 (12 digits of the hash of its file, its place in it); "
            f"found {text[:80]!r}; `stixlab packets` lists ids"
        )
    return match["file"], int(match["index"])


def file_of_packet(catalog: Catalog, archive: Archive, text: str) -> tuple[RawFile, int]:
    """The file of a packet, and the packet's place in it.

    Raises
    ------
    ParameterError
        If the text is no id of a packet, or its digits fit several files.
    NotInCatalogError
        If there is no such file.
    """
    digits, index = read_packet_id(text)
    # the database would look through all its documents; the file system knows where the digits lead
    hashes = sorted(path.stem for path in archive.root.glob(packets_key(f"{digits}*")))
    found = [each for sha256 in hashes if (each := catalog.raw_files.get(sha256)) is not None]
    if not found:
        raise NotInCatalogError(
            f"packet {text}: the archive has no packets of a file whose hash begins with {digits}"
        )
    if len(found) > 1:
        raise ParameterError(
            f"packet {text}: {len(found)} files have a hash that begins with {digits}; give more of its 64 digits"
        )
    return found[0], index
