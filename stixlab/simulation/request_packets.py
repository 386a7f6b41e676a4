"""Science requests as packets, from given counts: pixel data, visibilities, spectrograms, aspect.

Contents are put into packets as on board: each packet is filled before the next is begun, so that the energies of a
time bin may be spread over several packets. Sequence counts are those of the request alone;
`stixlab.simulation.sequences.merge_in_time` counts the packets of an APID.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stixlab.errors import ParameterError
from stixlab.idb import Definitions, Versions
from stixlab.instrument.detectors import N_DETECTORS, TRIGGER_GROUPS, active_trigger_groups, mask_bits
from stixlab.simulation.requests import (
    ALL_PIXELS,
    SUMMED_PIXELS,
    AspectSamples,
    PixelCounts,
    Request,
    Spectrogram,
    Visibilities,
)
from stixlab.simulation.sequences import Departure, fill_packets, group_bytes, sequence_flags
from stixlab.telemetry.compression import SCALING, SCALING_FACTOR, compress
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock
from stixlab.timing.scet import FINE_PER_SECOND

__all__ = [
    "aspect_packets",
    "compress_triggers",
    "pixel_packets",
    "raw_pixel_packets",
    "spectrogram_packets",
    "visibility_packets",
]

SPIDS = {20: 54114, 21: 54115, 22: 54116, 23: 54117, 24: 54143, 42: 54125}
"""Structure of each SSID."""
_MASK_BYTES = 2
_TRIGGERS_OWN_SCHEME = 677_774_249
"""On-board second from which pixel data have a scheme for triggers of their own (flight software 181)."""
_RAW_TRIGGERS = tuple(f"NIX{n:05}" for n in range(408, 424))
_TRIGGERS = tuple(f"NIX{n:05}" for n in range(242, 258))


def compress_triggers(
    triggers: NDArray[np.int64],
    scheme: tuple[int, int, int],
    duration_tenths: NDArray[np.int64] | int,
    n_groups: NDArray[np.int64] | int,
) -> NDArray[np.uint8]:
    """Codes of triggers: compressed, or scaled where the scheme says so.

    Parameters
    ----------
    triggers : any shape
    scheme
        (0, 0, 7) means scaling.
    duration_tenths, n_groups : broadcast with triggers
        Integration time in 0.1 s and active trigger groups, both for scaling only.
    """
    if scheme != SCALING:
        return compress(triggers, *scheme)
    step = SCALING_FACTOR * np.asarray(duration_tenths) * np.maximum(n_groups, 1)
    codes: NDArray[np.uint8] = np.minimum(triggers // np.maximum(step, 1), 255).astype(np.uint8)
    return codes


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the cells (time, energy) or samples of a request stand."""

    limits: NDArray[np.int64]
    """(n_packets + 1,) cells."""
    first: NDArray[np.int64]
    """(n_structures,) first cell of each structure."""
    group: NDArray[np.int64]
    """(n_cells,) time bin of each cell."""

    @property
    def n_packets(self) -> int:
        return len(self.limits) - 1

    @property
    def bins(self) -> NDArray[np.int64]:
        """(n_structures,) time bin of each structure."""
        return self.group[self.first]

    @property
    def n_cells(self) -> NDArray[np.int64]:
        """(n_structures,) cells of each structure."""
        return np.diff(self.first, append=len(self.group))

    @property
    def n_structures(self) -> NDArray[np.int64]:
        """(n_packets,) structures of each packet."""
        return np.diff(np.searchsorted(self.first, self.limits))


def _lay_out(
    cell_bytes: NDArray[np.int64], group: NDArray[np.int64], *, packet_bytes: int, head_bytes: int
) -> _Layout:
    limits = fill_packets(cell_bytes, packet_bytes=packet_bytes, group=group, group_bytes=head_bytes)
    new = np.flatnonzero(np.diff(group, prepend=-1))
    return _Layout(limits, np.union1d(new, limits[:-1]), group)


def _send(
    ssid: int, columns: dict[str, Any], n_packets: int, leave: Departure, versions: Versions
) -> PacketBlock:
    coarse, fine = leave.times(n_packets)
    return encode(
        SPIDS[ssid],
        columns,
        scet_coarse=coarse,
        scet_fine=fine,
        sequence_count=np.arange(n_packets) % 16_384,
        sequence_flag=sequence_flags(n_packets),
        destination=leave.destination,
        versions=versions,
    )


def _start_time(definitions: Definitions, ssid: int) -> str:
    """Parameter that holds the start of a bin: another since the flight software of 2021."""
    return "NIX00404" if "NIX00404" in definitions.program(SPIDS[ssid]).columns else "NIX00441"


def _check(data: PixelCounts, ssid: int) -> None:
    n, energies = len(data.start_tenths), len(data.energy_low)
    expected = (n, N_DETECTORS, len(data.pixel_sets), energies)
    if data.counts.shape != expected or data.triggers.shape != (n, len(TRIGGER_GROUPS)):
        raise ParameterError(
            f"SSID {ssid}: expected counts (time, detector, pixel set, energy) = {expected} and triggers "
            f"({n}, {len(TRIGGER_GROUPS)}); found {data.counts.shape} and {data.triggers.shape}"
        )


def _active(data: PixelCounts | Visibilities) -> NDArray[np.int64]:
    """(16,) 1 where a trigger group has a detector in use."""
    pairs = np.array([sum(1 << (d - 1) for d in group) for group in TRIGGER_GROUPS])
    return (active_trigger_groups(pairs & data.detector_mask) > 0).astype(np.int64)


def _trigger_columns(
    data: PixelCounts | Visibilities, request: Request, ssid: int, leave: Departure, bins: NDArray[np.int64]
) -> dict[str, NDArray[np.uint8]]:
    """Sixteen columns of triggers, for each structure."""
    old = ssid == 21 and leave.coarse < _TRIGGERS_OWN_SCHEME
    scheme = request.counts_scheme if old else request.triggers_scheme
    codes = compress_triggers(data.triggers, scheme, data.duration_tenths[:, None], _active(data))
    return dict(zip(_TRIGGERS, codes[bins].T, strict=True))


def pixel_packets(
    request: Request, data: PixelCounts, leave: Departure, versions: Versions, *, ssid: int = 21
) -> PacketBlock:
    """Compressed counts of pixels (SSID 21) or of pixel sets (SSID 22).

    Parameters
    ----------
    request, data, leave, versions
    ssid
        21 or 22; both have the same form.

    Raises
    ------
    ParameterError
        If shapes do not fit each other, or one energy does not fit into a packet.
    CompressionError
        If a count is too large for the scheme.
    PacketError
        If a time does not fit its field: 6553.5 s after the time stamp before flight software 181.
    """
    _check(data, ssid)
    definitions = versions.at(leave.coarse)
    spid, n_energies, detectors = SPIDS[ssid], len(data.energy_low), data.detectors
    per_cell = len(detectors) * len(data.pixel_sets)
    cells = len(data.start_tenths) * n_energies
    layout = _lay_out(
        np.full(cells, group_bytes(definitions, spid, "NIX00258") + per_cell),
        np.repeat(np.arange(len(data.start_tenths)), n_energies),
        packet_bytes=group_bytes(definitions, spid),
        head_bytes=group_bytes(definitions, spid, "NIX00403") + _MASK_BYTES * len(data.pixel_sets),
    )
    bins, n = layout.bins, len(data.start_tenths)
    codes = compress(data.counts[:, detectors].transpose(0, 3, 1, 2), *request.counts_scheme)
    columns = {
        **request.columns(),
        "NIX00403": layout.n_structures,
        _start_time(definitions, ssid): data.start_tenths[bins],
        "NIX00401": data.state[bins],
        "NIX00442": np.full(len(bins), len(data.pixel_sets)),
        "NIXD0407": np.tile(data.pixel_sets, len(bins)),
        "NIX00407": np.full(len(bins), data.detector_mask),
        "NIX00405": data.duration_tenths[bins],
        **_trigger_columns(data, request, ssid, leave, bins),
        "NIX00258": layout.n_cells,
        "NIXD0016": np.tile(data.energy_low, n),
        "NIXD0017": np.tile(data.energy_high, n),
        "NIX00259": np.full(cells, per_cell),
        "NIX00260": codes.ravel(),
    }
    return _send(ssid, columns, layout.n_packets, leave, versions)


def raw_pixel_packets(
    request: Request, data: PixelCounts, leave: Departure, versions: Versions
) -> PacketBlock:
    """Counts of single pixels without compression (SSID 20); pixels without counts are not sent.

    Raises
    ------
    ParameterError
        If shapes do not fit each other, or a count is larger than 65535.
    """
    _check(data, 20)
    definitions = versions.at(leave.coarse)
    spid, detectors = SPIDS[20], data.detectors
    counts = data.counts[:, detectors].transpose(0, 3, 1, 2)
    time, energy, detector, pixel = np.nonzero(counts)
    found = counts[time, energy, detector, pixel]
    if len(found) and int(found.max()) >> 16:
        raise ParameterError(
            f"SSID 20: expected counts up to 65535; found {int(found.max())}; take shorter bins"
        )
    n_bytes = np.where(found > 255, 2, np.where(found > 1, 1, 0))
    # a bin without counts is a structure without cells: it takes a cell of no bytes, dropped again below
    empty = np.setdiff1d(np.arange(len(data.start_tenths)), time)
    order = np.argsort(np.concatenate([time, empty]), kind="stable")
    group = np.concatenate([time, empty])[order]
    real = (np.arange(len(group)) < len(time))[order]
    sizes = np.concatenate([n_bytes + 2, np.zeros(len(empty), dtype=np.int64)])[order]
    layout = _lay_out(
        sizes,
        group,
        packet_bytes=group_bytes(definitions, spid),
        head_bytes=group_bytes(definitions, spid, "NIX00403"),
    )
    bins = layout.bins
    digits = np.stack([found >> 8, found & 0xFF], axis=1)
    columns = {
        **request.columns(),
        "NIX00403": layout.n_structures,
        _start_time(definitions, 20): data.start_tenths[bins],
        "NIX00401": data.state[bins],
        "NIX00405": data.duration_tenths[bins],
        "NIXD0407": np.full(len(bins), np.bitwise_or.reduce(data.pixel_sets)),
        "NIX00407": np.full(len(bins), data.detector_mask),
        **dict(zip(_RAW_TRIGGERS, data.triggers[bins].T, strict=True)),
        "NIX00406": np.add.reduceat(real.astype(np.int64), layout.first) if len(bins) else layout.first,
        "NIXD0158": np.array([m.bit_length() - 1 for m in data.pixel_sets], dtype=np.int64)[pixel],
        "NIXD0153": detectors[detector],
        "NIXD0154": np.array(data.energy_low, dtype=np.int64)[energy],
        "NIXD0159": n_bytes,
        "NIX00065": digits[np.stack([n_bytes > 1, n_bytes > 0], axis=1)],
    }
    return _send(20, columns, layout.n_packets, leave, versions)


def visibility_packets(
    request: Request, data: Visibilities, leave: Departure, versions: Versions
) -> PacketBlock:
    """Visibilities (SSID 23).

    Raises
    ------
    ParameterError
        If the scheme of counts has no sign: real and imaginary parts need it; the flux uses that bit for its exponent.
    """
    s, k, m = request.counts_scheme
    if s != 1:
        raise ParameterError(
            f"SSID 23: expected a scheme with a sign, as (1, 3, 4); found {request.counts_scheme}"
        )
    definitions = versions.at(leave.coarse)
    spid, (n, n_energies, n_detectors) = SPIDS[23], data.real.shape
    head, energy, each = (group_bytes(definitions, spid, c) for c in ("NIX00403", "NIX00258", "NIX00262"))
    layout = _lay_out(
        np.full(n * n_energies, energy + each * n_detectors),
        np.repeat(np.arange(n), n_energies),
        packet_bytes=group_bytes(definitions, spid),
        head_bytes=head,
    )
    bins = layout.bins
    detectors = np.flatnonzero(mask_bits(np.array([data.detector_mask]), N_DETECTORS)[0])
    masks = dict(
        zip(
            ("NIXD0407", "NIXD0444", "NIXD0445", "NIXD0446", "NIXD0447"),
            (*SUMMED_PIXELS, ALL_PIXELS),
            strict=True,
        )
    )
    columns = {
        **request.columns(),
        "NIX00403": layout.n_structures,
        _start_time(definitions, 23): data.start_tenths[bins],
        "NIX00401": np.zeros(len(bins), dtype=np.int64),
        "NIX00405": data.duration_tenths[bins],
        **{name: np.full(len(bins), mask) for name, mask in masks.items()},
        "NIX00407": np.full(len(bins), data.detector_mask),
        **_trigger_columns(data, request, 23, leave, bins),
        "NIX00258": layout.n_cells,
        "NIXD0016": np.tile(data.energy_low, n),
        "NIXD0017": np.tile(data.energy_high, n),
        "NIX00261": compress(data.flux, 0, k + 1, m).ravel(),
        "NIX00262": np.full(n * n_energies, n_detectors),
        "NIX00100": np.tile(detectors, n * n_energies),
        "NIX00263": compress(data.real, s, k, m).ravel(),
        "NIX00264": compress(data.imaginary, s, k, m).ravel(),
    }
    return _send(23, columns, layout.n_packets, leave, versions)


def spectrogram_packets(
    request: Request, data: Spectrogram, leave: Departure, versions: Versions
) -> PacketBlock:
    """Counts by time and energy (SSID 24).

    A structure ends where the rate control state changes, and before a bin that does not begin where the last one ends.

    Raises
    ------
    PacketError
        If a time does not fit its field: 6553.5 s after the time stamp before flight software 181.
    """
    definitions = versions.at(leave.coarse)
    spid, (n, n_energies) = SPIDS[24], data.counts.shape
    state = np.zeros(n, dtype=np.int64) if data.rate_control_state is None else data.rate_control_state
    apart = data.start_tenths[1:] != (data.start_tenths + data.duration_tenths)[:-1]
    run = np.append(0, np.cumsum((np.diff(state) != 0) | apart))[:n]
    layout = _lay_out(
        np.full(n, group_bytes(definitions, spid, "NIX00089") + n_energies),
        run,
        packet_bytes=group_bytes(definitions, spid),
        head_bytes=group_bytes(definitions, spid, "NIX00403"),
    )
    first, n_structures = layout.first, len(layout.first)
    last = np.append(first[1:], n) - 1
    groups = int(active_trigger_groups(np.array([data.detector_mask]))[0])
    columns = {
        **request.columns(),
        "NIX00403": layout.n_structures,
        "NIXD0407": np.full(n_structures, data.pixel_mask),
        "NIX00407": np.full(n_structures, data.detector_mask),
        "NIX00401": state[first],
        "NIXD0442": np.full(n_structures, data.lowest_channel),
        "NIXD0443": np.full(n_structures, data.lowest_channel + n_energies * data.channels_per_energy - 1),
        "NIXD0019": np.full(n_structures, data.channels_per_energy - 1),
        "NIX00089": layout.n_cells,
        _start_time(definitions, 24): data.start_tenths,
        "NIX00267": compress_triggers(data.triggers, request.triggers_scheme, data.duration_tenths, groups),
        "NIX00270": np.full(n, n_energies),
        "NIX00268": compress(data.counts, *request.counts_scheme).ravel(),
        "NIX00269": data.duration_tenths[last],
    }
    return _send(24, columns, layout.n_packets, leave, versions)


def aspect_packets(data: AspectSamples, leave: Departure, versions: Versions) -> PacketBlock:
    """Voltages of the aspect diodes (SSID 42); they name no request."""
    definitions = versions.at(leave.coarse)
    n, spid = len(data.volts), SPIDS[42]
    limits = fill_packets(
        np.full(n, group_bytes(definitions, spid, "NIX00089")), packet_bytes=group_bytes(definitions, spid)
    )
    begin = data.ticks(limits[:-1])
    columns = {
        "NIX00445": begin // FINE_PER_SECOND,
        "NIX00446": begin % FINE_PER_SECOND,
        "NIX00490": data.averaging,
        "NIX00088": data.summing,
        "NIX00089": np.diff(limits),
        **dict(zip(("NIX00090", "NIX00091", "NIX00092", "NIX00093"), data.volts.T, strict=True)),
    }
    return _send(42, columns, len(limits) - 1, leave, versions)
