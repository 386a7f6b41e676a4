"""What a search found: one page of packets, a column for each field of the header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Versions
from stixlab.packets.identity import packet_id
from stixlab.packets.page import UNTIMED, Page, gather
from stixlab.packets.query import STATUSES
from stixlab.timing import ClockTable, format_utc
from stixlab.vocabulary import ORIGINS

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

    from stixlab.archive import Archive

__all__ = ["COLUMNS", "PacketTable", "table_of", "title_of"]

COLUMNS: dict[str, str] = {
    "id": "Id of the packet: first digits of the hash of its file, its place in the file.",
    "time": "UTC of the header; of packets whose clock was not synchronised what the control centre says; NaT: unknown.",
    "service": "Service type.",
    "subtype": "Service subtype.",
    "ssid": "Value that tells structures of one service apart (SSID, SID, event number); -1: none.",
    "spid": "Number of the structure; -1: unknown.",
    "title": "What the packet is, in words; empty: unknown.",
    "apid": "Application process.",
    "sequence_flag": "1 first, 0 continuation, 2 last, 3 stand-alone.",
    "sequence_count": "14 bits, counted for each APID.",
    "scet_coarse": "On-board seconds, without the synchronisation bit.",
    "scet_fine": "1/65536 s.",
    "synchronised": "Whether the on-board clock was synchronised.",
    "length": "Bytes.",
    "status": "What became of the packet, such as ok, truncated, unknown.",
    "origin": "Flight, simulated or reencoded.",
    "request": "Number of the science request; 0: none.",
    "tc_sequence": "Sequence control of the telecommand that asked for it; 0: none.",
    "generation_time": "UTC of its making as the control centre says; NaT: not said.",
    "reception_time": "UTC of its reception on ground; NaT: not said.",
    "file": "Name of the file.",
    "sha256": "Hash of the file.",
    "index": "Place in the file, from 0.",
}
"""Columns of the table and what they mean."""


@dataclass(frozen=True, eq=False)
class PacketTable:
    """One page of the packets found, in the order asked for."""

    columns: dict[str, NDArray[Any]]
    """(n,) each, by the names of `COLUMNS`."""
    total: int | None
    """All packets that meet the conditions, on whatever page; None if they were not counted."""
    more: bool
    """Whether there are packets behind this page."""
    n_files: int = 0
    """Files that were looked into."""
    missing: tuple[str, ...] = ()
    """Names of files whose packets are not there or cannot be read: ingest them again."""

    def __len__(self) -> int:
        return len(self.columns["id"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    @property
    def ids(self) -> list[str]:
        """Ids of the packets."""
        return [str(v) for v in self.columns["id"]]

    @property
    def next(self) -> str | None:
        """What to hand over as `after` for the next page; None if this is the last."""
        return str(self.columns["id"][-1]) if self.more else None

    def rows(self) -> Iterator[dict[str, Any]]:
        """One record of plain types for each packet; unknown times are None."""
        names = list(self.columns)
        plain = [_plain(self.columns[name]) for name in names]
        for values in zip(*plain, strict=True):
            yield dict(zip(names, values, strict=True))

    def to_pandas(self) -> pd.DataFrame:
        """The same as a data frame, the id as its index."""
        import pandas as pd

        return pd.DataFrame(
            {n: v.tolist() if v.dtype == object else v for n, v in self.columns.items()}
        ).set_index("id")

    def to_astropy(self) -> Table:
        """The same as a table, descriptions and units with it; times are masked where unknown."""
        from astropy.table import MaskedColumn, Table

        table = Table()
        for name, values in self.columns.items():
            if values.dtype.kind == "M":
                table[name] = MaskedColumn(values, mask=np.isnat(values))
            else:
                table[name] = values.astype(np.str_) if values.dtype == object else values
            table[name].description = COLUMNS[name]
        table["length"].unit = "byte"
        table.meta = {"total": self.total, "more": self.more}
        return table

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(max_rows=60))


def _plain(values: NDArray[Any]) -> list[Any]:
    if values.dtype.kind == "M":
        return [None if np.isnat(v) else format_utc(v) for v in values]
    plain: list[Any] = values.tolist()
    return plain


_GATHERED = (
    "service", "subtype", "ssid", "spid", "apid", "sequence_flag", "sequence_count", "scet_coarse", "scet_fine",
    "synchronised", "length", "request", "tc_sequence", "generation_time", "reception_time",
)  # fmt: skip
"""Columns that are taken as they stand in the packet files."""
_TRANSLATED = ("era", "status", "origin")
"""Columns that are said in words."""


def table_of(
    page: Page,
    archive: Archive,
    versions: Versions,
    clock: ClockTable,
    *,
    total: int | None,
    more: bool,
    n_files: int,
    missing: Sequence[str],
) -> PacketTable:
    """The table of a page."""
    columns = gather(page, archive, (*_GATHERED, *_TRANSLATED))
    era, status, origin = (columns.pop(name) for name in _TRANSLATED)
    for name in ("generation_time", "reception_time"):
        columns[name] = columns[name].astype("datetime64[us]")
    files = [page.files[i] for i in page.file]
    untimed = page.ticks == UNTIMED
    time = clock.ticks_to_utc(np.where(untimed, 0, page.ticks)).astype("datetime64[us]")
    time = np.where(columns["synchronised"], time, columns["generation_time"])
    time[untimed] = np.datetime64("NaT")
    kinds = zip(era.tolist(), columns["spid"].tolist(), strict=True)
    columns |= {
        "id": _texts(packet_id(f.sha256, i) for f, i in zip(files, page.index.tolist(), strict=True)),
        "time": time,
        "title": _texts(title_of(versions, *kind) for kind in kinds),
        "status": _texts(STATUSES[s] for s in status),
        "origin": _texts(ORIGINS[o] for o in origin),
        "file": _texts(f.names[0] for f in files),
        "sha256": _texts(f.sha256 for f in files),
        "index": page.index,
    }
    return PacketTable({name: columns[name] for name in COLUMNS}, total, more, n_files, tuple(missing))


def _texts(values: Iterable[str]) -> NDArray[Any]:
    return np.array(list(values), dtype=object)


def title_of(versions: Versions, era: int, spid: int) -> str:
    """What a packet is, in words; empty if its structure is unknown."""
    kind = versions[era].packet_types.get(spid) if era < len(versions.eras) else None
    return kind.title if kind else ""
