"""The 76 bytes that the control system puts before each packet of its files: made, read, and held against the packet.

Layout as found in real files (big-endian); what is not named here is zero or unknown.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.report import DecodeReport

__all__ = ["EDDS_HEADER", "EDDS_HEADER_BYTES", "check_edds_headers", "edds_times", "make_edds_headers"]

EDDS_HEADER = np.dtype(
    {
        "names": [
            "generation_s", "generation_us", "reception_s", "reception_us", "one", "mission", "kind", "length", "word",
            "word2", "number", "spid", "mission2", "apid", "count", "service", "subtype",
        ],
        "formats": [
            ">u4", ">u4", ">u4", ">u4", ">u4", ">u2", ">u2", ">u4", ">u2",
            ">u2", ">u4", ">u4", ">u2", ">u2", ">u2", "u1", "u1",
        ],
        "offsets": [4, 8, 12, 16, 20, 24, 26, 28, 32, 34, 36, 40, 48, 70, 72, 74, 75],
        "itemsize": 76,
    }
)  # fmt: skip
EDDS_HEADER_BYTES = EDDS_HEADER.itemsize


def make_edds_headers(
    block: PacketBlock, generation_time: NDArray[np.datetime64], reception_time: NDArray[np.datetime64]
) -> NDArray[np.void]:
    """(n,) the header of each packet.

    Parameters
    ----------
    block
    generation_time, reception_time : (n,), UTC
        NaT becomes zero, which stands for unknown.
    """
    head = np.zeros(len(block), dtype=EDDS_HEADER)
    for name, time in (("generation", generation_time), ("reception", reception_time)):
        microseconds = time.astype("datetime64[us]").astype(np.int64)
        microseconds = np.where(np.isnat(time), 0, microseconds)
        head[f"{name}_s"], head[f"{name}_us"] = np.divmod(microseconds, 1_000_000)
    head["one"], head["mission"], head["mission2"], head["kind"] = 1, 650, 650, 0x19
    head["word"], head["word2"] = 0x1838, 0x03E9
    head["length"] = block.lengths + EDDS_HEADER_BYTES
    head["number"] = np.arange(1, len(block) + 1)
    head["spid"] = np.maximum(block.spid, 0)
    head["apid"], head["count"] = block.apid, block.sequence_count
    head["service"], head["subtype"] = block.service, block.subtype
    return head


def edds_times(headers: NDArray[np.void]) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """(n,) generation and reception time, UTC; NaT where the header gives none that is possible."""
    times = []
    for name in ("generation", "reception"):
        seconds, microseconds = (
            headers[f"{name}_s"].astype(np.int64),
            headers[f"{name}_us"].astype(np.int64),
        )
        time = (seconds * 1_000_000 + microseconds).astype("datetime64[us]")
        time[(seconds == 0) | (microseconds >= 1_000_000)] = np.datetime64("NaT")
        times.append(time)
    return times[0], times[1]


def check_edds_headers(
    block: PacketBlock, headers: NDArray[np.void], index: NDArray[np.int64], report: DecodeReport
) -> NDArray[np.bool_]:
    """Remark in the report where header and packet contradict each other; the packet is believed.

    Parameters
    ----------
    block
    headers : (m,)
    index : (m,)
        Packet of the block that stands behind each header.
    report

    Returns
    -------
    (m,)
        Whether the header is that of another packet: what it says of times is not to be used.
    """
    identified = block.spid[index] >= 0
    whole = block.status[index] != Status.TRUNCATED
    claims = {
        "structure (SPID)": (headers["spid"] != block.spid[index]) & identified & (headers["spid"] != 0),
        "APID": headers["apid"] != block.apid[index],
        "sequence count": (headers["count"] & 0x3FFF) != block.sequence_count[index],
        "service": (headers["service"] != block.service[index])
        | (headers["subtype"] != block.subtype[index]),
        "length": (headers["length"] != block.lengths[index] + EDDS_HEADER_BYTES) & whole,
    }
    for what, wrong in claims.items():
        for at in block.source_offset[index[wrong]]:
            report.remark(f"header of the control system names another {what}", int(at))
    return np.asarray(claims["APID"] | claims["sequence count"] | claims["service"])
