"""Valid packets made from fields, through the encoder of the package."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from stixlab.idb import (
    Definitions,
    Discriminator,
    Field,
    PacketType,
    Parameter,
    Versions,
    load_definitions,
)
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock

LIGHT_CURVE, MINI, MAXI = 54118, 54101, 54102


def light_curves(
    n: int = 3,
    n_bins: int = 20,
    *,
    start: int = 664_000_000,
    n_energies: int = 5,
    seed: int = 0,
    codes: np.ndarray | None = None,
    **header: Any,
) -> PacketBlock:
    """Quicklook light-curve packets that follow each other without a gap, 4 s bins."""
    random = np.random.default_rng(seed)
    begin = start + np.arange(n) * n_bins * 4
    columns = {
        "NIX00445": begin,
        "NIX00446": np.full(n, 100),
        "NIX00405": np.full(n, 39),
        "NIX00407": np.full(n, 0xFFFFFCFF),
        "NIXG0404": np.full(n, 0x0FFF),
        "NIXD0407": np.full(n, 0x0FFF),
        "NIXG0014": np.full(n, 0x2B),
        "NIXD0102": np.full(n, 5),
        "NIXD0103": np.full(n, 3),
        "NIXG0015": np.full(n, 0x56),
        "NIXD0105": np.full(n, 5),
        "NIXD0106": np.full(n, 3),
        "NIX00266": np.full(n, 0x10821082),
        "NIX00270": np.full(n, n_energies),
        "NIX00271": np.full(n * n_energies, n_bins),
        "NIX00272": random.integers(0, 120, n * n_energies * n_bins) if codes is None else codes,
        "NIX00273": np.full(n, n_bins),
        "NIX00274": random.integers(0, 120, n * n_bins),
        "NIX00275": np.full(n, n_bins),
        "NIX00276": random.integers(0, 8, n * n_bins),
    }
    header = {"scet_coarse": begin + n_bins * 4, "sequence_count": np.arange(n) % 16384} | header
    return encode(LIGHT_CURVE, columns, **header)


def housekeeping(spid: int = MAXI, n: int = 3, *, start: int = 664_000_000, **header: Any) -> PacketBlock:
    """Housekeeping packets, 64 s apart, every reading in the middle of its range."""
    definitions = load_definitions()
    readings = {
        f.parameter: np.full(n, 2048)
        for f in definitions.structures[spid]
        if f.parameter.startswith("NIXD") and definitions.parameters[f.parameter].width_bits == 12
    }
    header = {"scet_coarse": start + 64 * np.arange(n), "sequence_count": np.arange(n) % 16384} | header
    return encode(spid, readings, **header)


def invented(fields: list[tuple[str, int, int, int]], *, signed: tuple[str, ...] = ()) -> Versions:
    """Definitions of one invented structure, SPID 1, service 21, subtype 6, SSID 99.

    Parameters
    ----------
    fields
        Name, width in bits, gap in bits before it, number of fields in the group it counts.
    signed
        Names of the fields in two's complement.
    """
    definitions = Definitions(
        version="invented",
        packet_types={1: PacketType(21, 6, 99, 1, 1500, "invented")},
        discriminators={(21, 6): Discriminator(16, 8)},
        structures={1: tuple(Field(name, gap, group) for name, _, gap, group in fields)},
        parameters={name: Parameter(name, width, name in signed, "", "", "") for name, width, _, _ in fields},
        point_pairs={},
        polynomials={},
        states={},
    )
    return Versions.single(definitions)


def read_hex(folder: Path, name: str) -> bytes:
    """One real packet of the shared data."""
    return bytes.fromhex((folder / "telemetry" / "hex" / f"{name}.hex").read_text())


def read_golden(folder: Path, name: str) -> dict[str, Any]:
    """What the official pipeline made of it."""
    with gzip.open(folder / "telemetry" / "golden" / f"hex.{name}.json.gz") as file:
        return json.load(file)


def flatten(tree: list[Any], found: dict[str, list[int]] | None = None) -> dict[str, list[int]]:
    """Raw values of a golden tree by name, in packet order."""
    found = {} if found is None else found
    for name, raw, *groups in tree:
        found.setdefault(name, []).append(raw)
        for group in groups:
            flatten(group, found)
    return found
