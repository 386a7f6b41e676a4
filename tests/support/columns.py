"""Decoded light-curve packets from fields: encoded and decoded again, as if they had been received."""

from dataclasses import replace

import numpy as np

from stixlab.idb import load_versions
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock

SPID = 54118
EDGE_MASK = sum(1 << e for e in (1, 7, 12, 17, 23, 28))
"""4, 10, 15, 25, 50, 84 keV in the nominal channels."""


def three(first, scheme):
    """The three numbers of a compression, in parameters that follow each other."""
    return {f"NIXD{first + i:04}": value for i, value in enumerate(scheme)}


def common_fields(n_bands, triggers, *, coarse, fine, tenths, edge_mask):
    """Fields that light curves and backgrounds share: start and length of the bins, energies, triggers."""
    return {
        "NIX00445": coarse,
        "NIX00446": fine,
        "NIX00405": tenths - 1,
        "NIX00266": edge_mask & 0xFFFF_FFFF,
        "NIX00270": n_bands,
        "NIX00273": len(triggers),
        "NIX00274": triggers.astype(np.uint8),
    }


def light_curve(
    codes,
    *,
    coarse=664_146_182,
    fine=0,
    tenths=40,
    triggers=None,
    states=None,
    points_per_band=None,
    edge_mask=EDGE_MASK,
    detector_mask=0xFFFF_FCFF,
    scheme=(0, 5, 3),
    triggers_scheme=(0, 5, 3),
    destination=0,
    synchronised=True,
) -> PacketBlock:
    """One packet; codes : (n_bins, n_bands)."""
    codes = np.asarray(codes, dtype=np.uint8)
    n_bins, n_bands = codes.shape
    triggers = np.full(n_bins, 81) if triggers is None else np.asarray(triggers)
    states = np.zeros(n_bins) if states is None else np.asarray(states)
    fields = {
        **common_fields(n_bands, triggers, coarse=coarse, fine=fine, tenths=tenths, edge_mask=edge_mask),
        "NIX00407": detector_mask,
        "NIXD0407": 0xFFF,
        **three(101, scheme),
        **three(104, triggers_scheme),
        "NIXD0107": edge_mask >> 32,
        "NIX00271": [n_bins] * n_bands if points_per_band is None else points_per_band,
        "NIX00272": codes.T.reshape(-1),
        "NIX00275": len(states),
        "NIX00276": states.astype(np.uint8),
    }
    values = {name: np.atleast_1d(np.asarray(value)) for name, value in fields.items()}
    return encode(
        SPID,
        values,
        scet_coarse=[(coarse + n_bins * tenths // 10) & 0x7FFF_FFFF],
        scet_fine=fine,
        destination=destination,
        synchronised=synchronised,
    )


def decoded(*blocks) -> Columns:
    """Columns of packets, in the order given."""
    numbered = [replace(b, source_offset=b.source_offset + 1000 * i) for i, b in enumerate(blocks)]
    columns, statuses = decode(PacketBlock.concatenate(numbered), SPID, load_versions())
    assert not statuses.any()
    return columns


def random_codes(seed, n_bins, n_bands=5):
    return np.random.default_rng(seed).integers(0, 200, (n_bins, n_bands), dtype=np.uint8)
