"""Packets as plain records, for people and for scripts: header, parameters, physical values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from stixlab.engineering.calibration import is_calibrated, state_table, to_physical, to_state
from stixlab.idb import Definitions, Versions
from stixlab.telemetry.decode import Columns, decode_all
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.schemes import compressed_parameters, decompress_column
from stixlab.timing import ClockTable, format_utc

__all__ = ["iter_packet_records"]


def iter_packet_records(
    block: PacketBlock, versions: Versions, clock: ClockTable, *, physical: bool = False
) -> Iterator[dict[str, Any]]:
    """One record for each packet, in the order of the block, of plain types.

    Parameters
    ----------
    block
    versions
    clock
    physical
        Also give what compressed counts stand for and the engineering values.

    Yields
    ------
    dict
        ``service, subtype, ssid`` (-1: none), ``spid, apid, sequence_flag, sequence_count, scet_coarse,
        scet_fine, utc, synchronised, simulated, status, title, size_bytes, source_offset, parameters``
        (name to raw integers in packet order; empty if not decoded), and if asked for ``decompressed``
        (name to ``value`` and ``variance``) and ``engineering`` (name to ``value`` and ``unit``, or
        ``state``).
    """
    decoded, block = decode_all(block, versions, keep_trailing=True)
    views = {spid: _View(columns, versions, physical=physical) for spid, columns in decoded.items()}
    utc = clock.to_utc(block.scet_coarse, block.scet_fine)
    for i in range(len(block)):
        status = Status(int(block.status[i]))
        spid = int(block.spid[i])
        kind = versions[int(block.era[i])].packet_types.get(spid)
        record = {
            "service": int(block.service[i]),
            "subtype": int(block.subtype[i]),
            "ssid": int(block.ssid[i]),
            "spid": spid,
            "apid": int(block.apid[i]),
            "sequence_flag": int(block.sequence_flag[i]),
            "sequence_count": int(block.sequence_count[i]),
            "scet_coarse": int(block.scet_coarse[i]),
            "scet_fine": int(block.scet_fine[i]),
            "utc": format_utc(utc[i]),
            "synchronised": bool(block.synchronised[i]),
            "simulated": bool(block.simulated[i]),
            "status": status.name.lower(),
            "title": kind.title if kind else "",
            "size_bytes": int(block.lengths[i]),
            "source_offset": int(block.source_offset[i]),
            "parameters": {},
        }
        if status in {Status.OK, Status.TRAILING} and spid in views:
            record |= views[spid].next_packet()
        yield record


class _View:
    """Decoded packets of one structure, handed out one after the other."""

    def __init__(self, columns: Columns, versions: Versions, *, physical: bool) -> None:
        self._columns = columns
        self._versions = versions
        self._physical = physical
        self._next = 0
        names = compressed_parameters(columns.spid) if physical else ()
        self._decompressed = {n: pair for n in names if (pair := decompress_column(columns, n)) is not None}

    def next_packet(self) -> dict[str, Any]:
        """Parameters of the next packet."""
        i, columns = self._next, self._columns
        self._next += 1
        raw = {name: columns.of_packet(name, i) for name in columns}
        record: dict[str, Any] = {"parameters": {n: _integers(v) for n, v in raw.items() if len(v)}}
        if self._physical:
            record["decompressed"] = {}
            for name, (value, variance) in self._decompressed.items():
                part = slice(columns.splits[name][i], columns.splits[name][i + 1])
                record["decompressed"][name] = {
                    "value": value[part].tolist(),
                    "variance": variance[part].tolist(),
                }
            definitions = self._versions[int(columns.block.era[i])]
            record["engineering"] = {
                n: e for n, v in raw.items() if len(v) and (e := self._engineering(n, v, definitions))
            }
        return record

    def _engineering(self, name: str, raw: NDArray[Any], definitions: Definitions) -> dict[str, Any]:
        if is_calibrated(name, definitions):
            values, unit = to_physical(name, raw, definitions, spid=self._columns.spid)
            return {"value": values.tolist(), "unit": unit}
        if state_table(name, definitions):
            return {"state": to_state(name, raw, definitions).tolist()}
        return {}


def _integers(values: NDArray[Any]) -> list[int]:
    """Raw values as integers; a field of many bytes is one big number."""
    if values.ndim > 1:
        return [int.from_bytes(row.tobytes(), "big") for row in values]
    return [int(v) for v in values.tolist()]
