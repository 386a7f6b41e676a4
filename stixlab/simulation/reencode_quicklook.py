"""Quicklook products turned back into packets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.idb import Versions
from stixlab.instrument.detectors import active_trigger_groups
from stixlab.simulation.channels import N_CHANNELS
from stixlab.simulation.packets import LIGHT_CURVE_SPID, SEND_S
from stixlab.simulation.quicklook import (
    BACKGROUND_SPID,
    FLAG_SPID,
    SPECTRA_SPID,
    VARIANCE_SPID,
    by_packet,
)
from stixlab.simulation.reencode_tables import FitsProduct, row_masks
from stixlab.simulation.request_packets import compress_triggers
from stixlab.simulation.sequences import FULL_PACKET, group_bytes, sequence_flags
from stixlab.telemetry.compression import compress
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import REENCODED_DESTINATION, PacketBlock
from stixlab.timing.scet import FINE_PER_SECOND

__all__ = ["QUICKLOOK_SSIDS", "quicklook_block"]

_TENTH = FINE_PER_SECOND / 10
_LONGEST_CYCLE = 64
"""Integrations between two rows of spectra; more are a gap. Usual are half as many."""


@dataclass(frozen=True, eq=False)
class _Bins:
    """Bins in the order of time."""

    product: FitsProduct
    order: NDArray[np.int64]
    start: NDArray[np.int64]
    """(n,) 1/65536 s."""
    length: NDArray[np.int64]
    """(n,) 1/65536 s."""
    row: NDArray[np.int64]
    """(n,) row of CONTROL."""

    def counts(self, name: str, *schemes: str) -> tuple[NDArray[np.int64], tuple[int, int, int]]:
        """(n, columns) counts of a column in order, and their scheme."""
        scheme = self.product.scheme(*schemes)
        values = self.product.counts_of(name, scheme)[self.order]
        return values.reshape(len(values), -1), scheme

    def integers(self, name: str) -> NDArray[np.int64]:
        return self.product.integers(name)[self.order].reshape(len(self.order))

    def control(self, name: str) -> NDArray[Any]:
        """(n,) or (n, bits) of the row of CONTROL of each bin."""
        return self.product.rows(name)[self.row]


@dataclass(frozen=True, eq=False)
class _Plan:
    """How a product is put into packets."""

    spid: int
    bytes_of: Callable[[Any], tuple[int, int]]
    """From definitions to the bytes of a packet without bins and of a bin."""
    columns: Callable[[slice, NDArray[np.int64]], dict[str, Any]]
    """From bins and the limits of packets within them, (n_packets + 1,) from 0."""
    total: int


def quicklook_block(product: FitsProduct, versions: Versions) -> tuple[PacketBlock, int]:
    """Packets of a quicklook product, and the sum of what is compressed in it.

    Bins that stood in one packet stand in one again; a gap begins a new packet.

    Raises
    ------
    FormatError
        If a column is missing or holds what no packet can.
    """
    if product.ssid == 32:
        return _spectra(product, versions)
    bins = _bins(product)
    plan = _PLANS[product.ssid](bins)
    definitions = versions.at(int(bins.start[0]) // FINE_PER_SECOND)
    packet_bytes, bin_bytes = plan.bytes_of(definitions)
    capacity = (FULL_PACKET - packet_bytes) // bin_bytes
    new = np.ones(len(bins.start), dtype=bool)
    late = np.abs(bins.start[1:] - bins.start[:-1] - bins.length[:-1]) > bins.length[:-1] // 4
    changed = bins.length[1:] != bins.length[:-1]
    new[1:] = late | changed | (bins.row[1:] != bins.row[:-1])
    place = np.arange(len(new)) - np.flatnonzero(new)[np.cumsum(new) - 1]
    limits = np.append(np.flatnonzero(place % capacity == 0), len(new))
    end = (bins.start + bins.length)[limits[1:] - 1] + round(SEND_S * FINE_PER_SECOND)
    eras = versions.eras_at(end // FINE_PER_SECOND)
    flags, blocks = sequence_flags(len(end)), []
    for era in np.unique(eras):
        mine = np.flatnonzero(eras == era)
        a, b = int(mine[0]), int(mine[-1]) + 1
        columns = plan.columns(slice(int(limits[a]), int(limits[b])), limits[a : b + 1] - limits[a])
        blocks.append(
            encode(
                plan.spid,
                {k: v for k, v in columns.items() if k in versions[int(era)].program(plan.spid).columns},
                scet_coarse=end[a:b] // FINE_PER_SECOND,
                scet_fine=end[a:b] % FINE_PER_SECOND,
                sequence_flag=flags[a:b],
                destination=REENCODED_DESTINATION,
                versions=versions,
            )
        )
    return PacketBlock.concatenate(blocks), plan.total


def _bins(product: FitsProduct) -> _Bins:
    start, length = product.ticks()
    row = product.integers("control_index").reshape(len(start))
    index = product.rows("index").astype(np.int64)
    # rows of CONTROL are named by their column index, which need not be in order
    places = np.argsort(index, kind="stable")
    row = places[np.minimum(np.searchsorted(index[places], row), len(index) - 1)]
    first = (
        product.rows("scet_coarse")[row].astype(np.int64) * FINE_PER_SECOND + product.rows("scet_fine")[row]
    )
    # on-board times of packets are exact, those of bins were rounded
    exact = first + np.rint((start - first) / np.maximum(length, 1)).astype(np.int64) * length
    start = np.where(np.abs(exact - start) < length // 20, exact, start)
    order = np.argsort(start, kind="stable")
    return _Bins(product, order, start[order], length[order], row[order])


def _times(bins: _Bins, chosen: slice, limits: NDArray[np.int64]) -> dict[str, Any]:
    """Start of the first bin of each packet, and the length of bins."""
    start, length = bins.start[chosen][limits[:-1]], bins.length[chosen][limits[:-1]]
    return {
        "NIX00445": start // FINE_PER_SECOND,
        "NIX00446": start % FINE_PER_SECOND,
        "NIX00405": np.rint(length / _TENTH).astype(np.int64) - 1,
    }


def _schemes(number: int, scheme: tuple[int, int, int]) -> dict[str, int]:
    return {f"NIXD{number + i:04}": scheme[i] for i in range(3)}


def _edges(bins: _Bins, chosen: slice, limits: NDArray[np.int64], upper: str) -> dict[str, NDArray[np.int64]]:
    words = row_masks(bins.control("energy_bin_edge_mask")[chosen][limits[:-1]])
    return {"NIX00266": words & 0xFFFFFFFF, upper: words >> 32}


def _masks(bins: _Bins, chosen: slice, limits: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    first = limits[:-1]
    return {
        "NIX00407": row_masks(bins.control("detector_mask")[chosen][first]),
        "NIXD0407": row_masks(bins.control("pixel_mask")[chosen][first]),
    }


def _light_curve(bins: _Bins) -> _Plan:
    counts, scheme = bins.counts("counts", "compression_scheme_counts_skm")
    triggers, trigger_scheme = bins.counts("triggers", "compression_scheme_triggers_skm")
    groups = active_trigger_groups(row_masks(bins.control("detector_mask")))
    tenths = np.rint(bins.length / _TENTH).astype(np.int64)
    codes = compress(counts, *scheme)
    trigger_codes = compress_triggers(triggers[:, 0], trigger_scheme, tenths, groups.astype(np.int64))
    states, n_bands = bins.integers("rcr"), counts.shape[1]

    def columns(chosen: slice, limits: NDArray[np.int64]) -> dict[str, Any]:
        sizes = np.diff(limits)
        return {
            **_times(bins, chosen, limits),
            **_masks(bins, chosen, limits),
            **_schemes(101, scheme),
            **_schemes(104, trigger_scheme),
            **_edges(bins, chosen, limits, "NIXD0107"),
            "NIX00270": n_bands,
            "NIX00271": np.repeat(sizes, n_bands),
            "NIX00272": by_packet(codes[chosen], limits),
            "NIX00273": sizes,
            "NIX00274": trigger_codes[chosen],
            "NIX00275": sizes,
            "NIX00276": states[chosen],
        }

    def bytes_of(definitions: Any) -> tuple[int, int]:
        each = group_bytes(definitions, LIGHT_CURVE_SPID, "NIX00270")
        return group_bytes(definitions, LIGHT_CURVE_SPID) + n_bands * each, n_bands + 2

    return _Plan(LIGHT_CURVE_SPID, bytes_of, columns, int(counts.sum()))


def _background(bins: _Bins) -> _Plan:
    counts, scheme = bins.counts("counts", "compression_scheme_counts_skm")
    triggers, trigger_scheme = bins.counts("triggers", "compression_scheme_triggers_skm")
    codes, n_bands = compress(counts, *scheme), counts.shape[1]
    tenths = np.rint(bins.length / _TENTH).astype(np.int64)
    trigger_codes = compress_triggers(triggers[:, 0], trigger_scheme, tenths, 1)

    def columns(chosen: slice, limits: NDArray[np.int64]) -> dict[str, Any]:
        sizes = np.diff(limits)
        return {
            **_times(bins, chosen, limits),
            **_schemes(108, scheme),
            **_schemes(112, trigger_scheme),
            **_edges(bins, chosen, limits, "NIXD0111"),
            "NIX00270": n_bands,
            "NIX00277": np.repeat(sizes, n_bands),
            "NIX00278": by_packet(codes[chosen], limits),
            "NIX00273": sizes,
            "NIX00274": trigger_codes[chosen],
        }

    def bytes_of(definitions: Any) -> tuple[int, int]:
        each = group_bytes(definitions, BACKGROUND_SPID, "NIX00270")
        return group_bytes(definitions, BACKGROUND_SPID) + n_bands * each, n_bands + 1

    return _Plan(BACKGROUND_SPID, bytes_of, columns, int(counts.sum()))


def _variance(bins: _Bins) -> _Plan:
    counts, scheme = bins.counts("variance", "compression_scheme_variance_skm")
    codes = compress(counts[:, 0], *scheme)

    # Files of others have this mask, and this alone, with its highest bit first.
    channels = bins.control("energy_bin_mask")
    if not str(bins.product.header.get("CREATOR", "")).startswith("stixlab"):
        channels = channels[:, ::-1]

    def columns(chosen: slice, limits: NDArray[np.int64]) -> dict[str, Any]:
        first = limits[:-1]
        return {
            **_times(bins, chosen, limits),
            **_masks(bins, chosen, limits),
            **_schemes(118, scheme),
            "NIX00279": bins.control("samples_per_variance")[chosen][first].astype(np.int64),
            "NIX00282": row_masks(channels[chosen][first]),
            "NIX00280": np.diff(limits),
            "NIX00281": codes[chosen],
        }

    return _Plan(VARIANCE_SPID, lambda d: (group_bytes(d, VARIANCE_SPID), 1), columns, int(counts.sum()))


def _flare_flag(bins: _Bins) -> _Plan:
    names = {
        "NIXD0059": "location_status",
        "NIXD0060": "non_thermal_index",
        "NIXD0061": "thermal_index",
        "NIX00283": "loc_z",
        "NIX00284": "loc_y",
    }
    values = {name: bins.integers(column) for name, column in names.items()}
    if "flare_progress" in bins.product.data:
        values["NIXD0449"] = bins.integers("flare_progress")

    def columns(chosen: slice, limits: NDArray[np.int64]) -> dict[str, Any]:
        return {
            **_times(bins, chosen, limits),
            "NIX00089": np.diff(limits),
            **{name: column[chosen] for name, column in values.items()},
        }

    return _Plan(
        FLAG_SPID,
        lambda d: (group_bytes(d, FLAG_SPID), group_bytes(d, FLAG_SPID, "NIX00089")),
        columns,
        0,
    )


def _spectra(product: FitsProduct, versions: Versions) -> tuple[PacketBlock, int]:
    """Packets of detector spectra. A row of DATA holds 32 of them, whose times follow from the numbers beside them."""
    scheme = product.scheme("compression_scheme_spectra_skm", "compression_scheme_counts_skm")
    trigger_scheme = product.scheme("compression_scheme_triggers_skm")
    start, length = product.ticks()
    order = np.argsort(start, kind="stable")
    counts = product.counts_of("spectra", scheme)[order].reshape(-1, N_CHANNELS)
    triggers = product.counts_of("triggers", trigger_scheme)[order].ravel()
    detector, passed = (product.integers(n)[order].ravel() for n in ("detector_index", "num_integrations"))
    per_row = len(detector) // len(start)
    step = int(length[0])
    begins = np.zeros(len(detector), dtype=bool)
    begins[::per_row] = np.diff(start[order], prepend=-(1 << 62)) > _LONGEST_CYCLE * step
    # within a packet the numbers grow; where they do not, the next detector is of the same or of the next cycle
    restart = np.append(False, np.diff(passed) < 0) & ~begins
    further = np.append(0, np.diff(passed))
    cycle = np.where(np.append(0, np.diff(detector)) > 0, 0, _LONGEST_CYCLE // 2)
    further[restart] = cycle[restart]
    row_start = np.repeat(start[order], per_row)
    moved = np.where(begins, 0, further).cumsum()
    base = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    time = row_start[base] + (moved - moved[base]) * step
    new = begins | restart
    definitions = versions.at(int(start.min()) // FINE_PER_SECOND)
    each = group_bytes(definitions, SPECTRA_SPID, "NIX00089")
    capacity = (FULL_PACKET - group_bytes(definitions, SPECTRA_SPID)) // each
    place = np.arange(len(new)) - np.flatnonzero(new)[np.cumsum(new) - 1]
    first = np.flatnonzero(place % capacity == 0)
    sizes = np.diff(first, append=len(new))
    codes = compress(counts, *scheme)
    columns = {
        "NIX00445": time[first] // FINE_PER_SECOND,
        "NIX00446": time[first] % FINE_PER_SECOND,
        "NIX00405": round(step / _TENTH) - 1,
        **_schemes(115, scheme),
        **_schemes(112, trigger_scheme),
        "NIXD0407": row_masks(product.first("pixel_mask")[None])[0],
        "NIX00089": sizes,
        "NIX00100": detector,
        **{f"NIX{452 + c:05}": codes[:, c] for c in range(N_CHANNELS)},
        "NIX00484": compress(triggers, *trigger_scheme),
        "NIX00485": (time - np.repeat(time[first], sizes)) // step,
    }
    end = time[first + sizes - 1] + step + round(SEND_S * FINE_PER_SECOND)
    block = encode(
        SPECTRA_SPID,
        columns,
        scet_coarse=end // FINE_PER_SECOND,
        scet_fine=end % FINE_PER_SECOND,
        sequence_flag=sequence_flags(len(first)),
        destination=REENCODED_DESTINATION,
        versions=versions,
    )
    return block, int(counts.sum())


_PLANS: dict[int, Callable[[_Bins], _Plan]] = {
    30: _light_curve,
    31: _background,
    33: _variance,
    34: _flare_flag,
}
QUICKLOOK_SSIDS = (*_PLANS, 32)
"""What can be turned back."""
