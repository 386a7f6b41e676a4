"""Real L1 FITS products turned back into the packets that hold their counts, marked as re-encoded.

The contents are divided over packets as on board. What a product does not keep is made up: times of sending,
sequence counts, spare bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.ephemeris.clock import load_clock
from stixlab.errors import ParameterError
from stixlab.idb import Versions, load_versions
from stixlab.simulation.reencode_quicklook import QUICKLOOK_SSIDS, quicklook_block
from stixlab.simulation.reencode_tables import FitsProduct, one_word, open_product, row_masks
from stixlab.simulation.request_packets import pixel_packets, raw_pixel_packets, spectrogram_packets
from stixlab.simulation.requests import PixelCounts, Request, Spectrogram
from stixlab.simulation.sequences import Departure, number_packets
from stixlab.telemetry.encode import write_binary, write_edds_xml, write_hex
from stixlab.telemetry.frames import REENCODED_DESTINATION, PacketBlock
from stixlab.timing.scet import FINE_PER_SECOND, ClockTable

__all__ = ["KINDS", "Reencoded", "reencode", "reencode_product"]

KINDS = ("xml", "bin", "hex")
_ASK_AFTER_S = 600
"""From the end of the data to the first packet: made up."""
_SPACING_S = 2.0
_NO_STATE = 0


@dataclass(frozen=True)
class Reencoded:
    """What became of a product."""

    source: str
    ssid: int
    request_id: int
    """0 for quicklook."""
    n_bins: int
    n_packets: int
    n_bytes: int
    total_counts: int
    """Of what is compressed: counts, or variance."""
    file: Path

    def as_document(self) -> dict[str, Any]:
        """Plain types; the file by name."""
        return {**self.__dict__, "file": self.file.name, "origin": "re-encoded"}


def reencode(
    path: Path,
    *,
    out: Path,
    kind: str = "bin",
    versions: Versions | None = None,
    clock: ClockTable | None = None,
) -> Reencoded:
    """A telemetry file with the packets of an L1 FITS product.

    Parameters
    ----------
    path
        Quicklook light curve, background, variance, spectra or flare flag; raw, compressed or summed pixel data;
        spectrogram.
    out
        Folder, made when missing; the file is named ``REENCODED_...``.
    kind
        ``xml`` (EDDS), ``bin`` or ``hex``.
    versions, clock
        None for those shipped; the clock is used for files that hold no on-board times.

    Raises
    ------
    FormatError
        If the file is none of these, or holds what no packet can.
    ParameterError
        If the kind is none of the three, or masks change within the file.
    """
    if kind not in KINDS:
        raise ParameterError(f"kind: expected one of {', '.join(KINDS)}; found {kind}")
    clock = load_clock() if clock is None else clock
    product = open_product(path, clock)
    block, total = reencode_product(product, load_versions() if versions is None else versions)
    out.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".gz").removesuffix(".fits")
    file = out / f"REENCODED_{name}.{kind}"
    if kind == "xml":
        write_edds_xml(block, file, clock.to_utc(block.scet_coarse, block.scet_fine))
    elif kind == "hex":
        write_hex(block, file)
    else:
        write_binary(block, file)
    request = int(product.first("request_id")) if "request_id" in product else 0
    n_bins = len(product.rows("time"))
    return Reencoded(
        path.name, product.ssid, request, n_bins, len(block), int(block.lengths.sum()), total, file
    )


def reencode_product(product: FitsProduct, versions: Versions) -> tuple[PacketBlock, int]:
    """Packets of a product, and the sum of the counts in them.

    Raises
    ------
    FormatError
        If the product cannot be turned back; see `reencode`.
    """
    ssid = product.ssid
    if ssid in QUICKLOOK_SSIDS:
        block, total = quicklook_block(product, versions)
        first = int(block.scet_coarse[0]) // 400
    elif ssid in (20, 21, 22):
        block, total = _pixel_data(product, ssid, versions)
        first = int(block.scet_coarse[0]) // 300
    elif ssid == 24:
        block, total = _spectrogram(product, versions)
        first = int(block.scet_coarse[0]) // 300
    else:
        raise product.fail(
            f"packets of SSID {ssid} cannot be made from L1; read now: {', '.join(map(str, QUICKLOOK_SSIDS))}, 20, 21, "
            "22, 24"
        )
    return number_packets(block, first + np.arange(len(block))), total


def _request(product: FitsProduct) -> Request:
    compressed = "compression_scheme_counts_skm" in product
    return Request(
        request_id=int(product.first("request_id")) % 2**32,
        tc_sequence=int(product.first("tc_packet_seq_control")) % 2**16,
        time_stamp=int(np.floor(float(product.first("time_stamp")))),
        counts_scheme=product.scheme("compression_scheme_counts_skm") if compressed else (0, 0, 0),
        triggers_scheme=product.scheme("compression_scheme_triggers_skm", "compression_scheme_trig_skm")
        if compressed
        else (0, 0, 0),
        tc_packet=int(product.first("tc_packet_id_ref")),
    )


def _leave(product: FitsProduct) -> Departure:
    start, length = product.ticks()
    end = int((start + length).max())
    return Departure(
        end // FINE_PER_SECOND + _ASK_AFTER_S, end % FINE_PER_SECOND, _SPACING_S, REENCODED_DESTINATION
    )


def _states(product: FitsProduct, n: int) -> NDArray[np.int64]:
    """(n,) rate control state: by bin, or one for all."""
    if "rcr" in product.data:
        return product.integers("rcr").reshape(n)
    return np.full(n, int(product.first("rcr")) if "rcr" in product.control else _NO_STATE)


def _pixel_data(product: FitsProduct, ssid: int, versions: Versions) -> tuple[PacketBlock, int]:
    request = _request(product)
    if ssid == 20:
        counts, triggers = product.integers("counts"), product.integers("triggers")
    else:
        counts = product.counts_of("counts", request.counts_scheme)
        triggers = product.integers("triggers")
        if product.holds_codes:
            triggers = product.counts_of("triggers", request.triggers_scheme)
    masks = row_masks(product.rows("pixel_masks"))
    if masks.ndim == 1:
        sets = tuple(1 << p for p in range(12) if one_word(masks, "pixel mask", product) >> p & 1)
    else:
        one_word(
            row_masks(product.rows("pixel_masks").reshape(len(masks), -1)[:, :48]), "pixel sets", product
        )
        sets = tuple(int(w) for w in masks[0] if w)
    if ssid == 20:
        # all pixels are there, whatever the mask says: it is kept as one word in the packet
        sets = tuple(1 << p for p in range(12))
    places = np.array([m.bit_length() - 1 for m in sets])
    own = np.arange(len(sets)) if ssid == 22 or counts.shape[2] == len(sets) else places
    low, high, at = product.channels(counts.shape[3])
    start, length = product.tenths(request.time_stamp)
    kept = counts[:, :, own][..., at]
    if int(kept.sum()) != int(counts.sum()):
        raise product.fail("expected no counts outside the masks of pixels and energies; found some")
    data = PixelCounts(
        start, length, kept, triggers, sets,
        detector_mask=one_word(row_masks(product.rows("detector_masks")), "detector mask", product),
        energy_low=tuple(low.tolist()), energy_high=tuple(high.tolist()),
        rate_control_state=_states(product, len(start)),
    )  # fmt: skip
    _check_detectors(product, data)
    leave = _leave(product)
    block = (
        raw_pixel_packets(request, data, leave, versions)
        if ssid == 20
        else pixel_packets(request, data, leave, versions, ssid=ssid)
    )
    return block, int(counts.sum())


def _check_detectors(product: FitsProduct, data: PixelCounts) -> None:
    sent = int(data.counts[:, data.detectors].sum())
    if sent != int(data.counts.sum()):
        raise product.fail("expected no counts of detectors that the mask leaves out; found some")


def _spectrogram(product: FitsProduct, versions: Versions) -> tuple[PacketBlock, int]:
    request = _request(product)
    counts = product.counts_of("counts", request.counts_scheme)
    triggers = product.integers("triggers").reshape(len(counts))
    if product.holds_codes:
        triggers = product.counts_of("triggers", request.triggers_scheme).reshape(len(counts))
    low, high, at = product.channels(counts.shape[1])
    widths = np.unique(high - low + 1)
    if len(widths) != 1 or (np.diff(low) != widths[0]).any():
        raise product.fail("expected energies without a gap and of equally many channels; found others")
    kept = counts[:, at]
    if int(kept.sum()) != int(counts.sum()):
        raise product.fail("expected no counts outside the mask of energies; found some")
    start, length = product.tenths(request.time_stamp)
    order = np.argsort(start, kind="stable")

    def mask(*names: str) -> int:
        return one_word(row_masks(np.atleast_2d(product.first(*names))), names[0], product)

    data = Spectrogram(
        start_tenths=start[order],
        duration_tenths=length[order],
        counts=kept[order],
        triggers=triggers[order],
        lowest_channel=int(low[0]),
        channels_per_energy=int(widths[0]),
        detector_mask=mask("detector_mask", "detector_masks"),
        pixel_mask=mask("pixel_mask", "pixel_masks"),
        rate_control_state=_states(product, len(start))[order],
    )
    return spectrogram_packets(request, data, _leave(product), versions), int(counts.sum())
