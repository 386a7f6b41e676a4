"""Level 1 housekeeping of real packets, repeated at other times."""

import dataclasses

import numpy as np

from stixlab.ephemeris.clock import load_clock
from stixlab.idb import load_versions
from stixlab.products.level1 import make_level1
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.sources import read_packets


def real_report(real_data, *, sid=2, n=5):
    """The real long (2) or short (1) report, n times, 64 s apart."""
    path = real_data / "telemetry" / "hex" / f"3_25_{sid}.hex"
    block, _ = read_packets(path.read_bytes(), path.name, load_versions())
    block = PacketBlock.concatenate([block] * n)
    block = dataclasses.replace(block, scet_coarse=(block.scet_coarse + 64 * np.arange(n)).astype(np.uint32))
    columns, _ = decode(block, 54100 + sid, load_versions())
    (ds,) = make_level1(columns, load_clock(None), load_versions())
    return ds
