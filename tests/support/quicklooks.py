"""Decoded quicklook packets beside the light curve, and calibration packets, from fields."""

from dataclasses import replace

import numpy as np

from stixlab.idb import load_versions
from stixlab.telemetry.decode import Columns, decode
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock
from tests.support.columns import EDGE_MASK, common_fields, three

START = 664_146_182


def decoded(*blocks) -> Columns:
    """Columns of packets of one structure, in the order given."""
    numbered = [replace(b, source_offset=b.source_offset + 1000 * i) for i, b in enumerate(blocks)]
    columns, statuses = decode(
        PacketBlock.concatenate(numbered), int(blocks[0].spid[0]), load_versions(), keep_trailing=True
    )
    assert len(columns) == len(blocks), statuses
    return columns


def _packet(spid, fields, coarse, *, synchronised=True, destination=0, sent=None):
    values = {name: np.atleast_1d(np.asarray(value)) for name, value in fields.items()}
    return encode(
        spid,
        values,
        scet_coarse=[(coarse + 2000 if sent is None else sent) & 0x7FFF_FFFF],
        scet_fine=0,
        destination=destination,
        synchronised=synchronised,
    )


def background(
    codes,
    *,
    coarse=START,
    fine=0,
    tenths=80,
    triggers=None,
    points_per_band=None,
    edge_mask=EDGE_MASK,
    scheme=(0, 5, 3),
    triggers_scheme=(0, 5, 3),
    **header,
):
    """One packet; codes : (n_bins, n_bands)."""
    codes = np.asarray(codes, dtype=np.uint8)
    n_bins, n_bands = codes.shape
    triggers = np.full(n_bins, 56) if triggers is None else np.asarray(triggers)
    fields = {
        **common_fields(n_bands, triggers, coarse=coarse, fine=fine, tenths=tenths, edge_mask=edge_mask),
        **three(108, scheme),
        **three(112, triggers_scheme),
        "NIXD0111": edge_mask >> 32,
        "NIX00277": [n_bins] * n_bands if points_per_band is None else points_per_band,
        "NIX00278": codes.T.reshape(-1),
    }
    return _packet(54119, fields, coarse, **header)


def spectra(
    detectors,
    passed,
    codes=None,
    *,
    coarse=START,
    fine=0,
    tenths=320,
    triggers=None,
    pixel_mask=0xFFF,
    scheme=(0, 5, 3),
    triggers_scheme=(0, 5, 3),
    **header,
):
    """One packet; detectors from 0; codes : (n_samples, 32)."""
    n = len(detectors)
    codes = np.zeros((n, 32), dtype=np.uint8) if codes is None else np.asarray(codes, dtype=np.uint8)
    fields = {
        "NIX00445": coarse,
        "NIX00446": fine,
        "NIX00405": tenths - 1,
        **three(115, scheme),
        **three(112, triggers_scheme),
        "NIXD0407": pixel_mask,
        "NIX00089": n,
        "NIX00100": np.asarray(detectors, dtype=np.uint8),
        **{f"NIX{452 + c:05}": codes[:, c] for c in range(32)},
        "NIX00484": np.full(n, 72) if triggers is None else np.asarray(triggers),
        "NIX00485": np.asarray(passed, dtype=np.uint8),
    }
    return _packet(54120, fields, coarse, **header)


def variance(
    codes, *, coarse=START, fine=0, tenths=40, samples=40, energy_mask=0x7FFE0000, scheme=(0, 5, 3), **header
):
    """One packet; codes : (n_bins,)."""
    fields = {
        "NIX00445": coarse,
        "NIX00446": fine,
        "NIX00405": tenths - 1,
        "NIX00279": samples,
        "NIX00407": 0xFFFF_FCFF,
        "NIX00282": energy_mask,
        "NIXD0407": 0xFFF,
        **three(118, scheme),
        "NIX00280": len(codes),
        "NIX00281": np.asarray(codes, dtype=np.uint8),
    }
    return _packet(54121, fields, coarse, **header)


def flare_flags(thermal, *, coarse=START, tenths=40, status=0, progress=None, y=0, z=0, **header):
    """One packet; thermal : (n_bins,). Old software has no `progress`."""
    n = len(thermal)

    def each(value):
        return np.broadcast_to(np.asarray(value), (n,))

    fields = {
        "NIX00445": coarse,
        "NIX00446": 0,
        "NIX00405": tenths - 1,
        "NIX00089": n,
        "NIXD0059": each(status),
        "NIXD0060": each(0),
        "NIXD0061": np.asarray(thermal, dtype=np.uint8),
        "NIX00283": each(z),
        "NIX00284": each(y),
    }
    if progress is not None:
        fields["NIXD0449"] = each(progress)
    return _packet(54122, fields, coarse, **header)


def flare_list(flares, *, sent=START, ubsd=1, pald=2, **header):
    """One packet; flares : rows of start, end, flag, volume, z, y, processing."""
    table = np.asarray(flares, dtype=np.int64).reshape(-1, 7)
    fields = {
        "NIX00285": ubsd,
        "NIX00286": pald,
        "NIX00294": len(table),
        **{f"NIX{287 + i:05}": table[:, i] for i in range(7)},
    }
    return _packet(54144, fields, sent, sent=sent, **header)


def calibration(
    spectra_sent,
    *,
    coarse=START,
    duration=3600,
    live_ms=1_700_000,
    quiet=6,
    temperature=3947,
    scheme=(0, 4, 4),
    mask=1,
    subspectra=((4, 1, 200),),
    sent=None,
    **header,
):
    """One packet; spectra_sent : list of (detector, pixel, subspectrum, codes), all from 0.

    Sub-spectra are points, channels in a point, lowest channel.
    """
    parts = [*subspectra, *[(1, 1, 0)] * (8 - len(subspectra))]
    described = {
        f"NIXD{129 + 3 * i + j:04}": value - (j < 2)
        for i, part in enumerate(parts)
        for j, value in enumerate(part)
    }
    fields = {
        "NIX00445": coarse,
        "NIX00122": duration,
        "NIX00123": quiet,
        "NIX00124": live_ms,
        "NIX00125": temperature,
        **three(126, scheme),
        "NIX00407": 0xFFFF_FFFF,
        "NIXD0407": 0xFFF,
        "NIX00160": mask,
        **described,
        "NIX00159": len(spectra_sent),
        "NIXD0155": [s[0] for s in spectra_sent],
        "NIXD0156": [s[1] for s in spectra_sent],
        "NIXD0157": [s[2] for s in spectra_sent],
        "NIX00146": [len(s[3]) for s in spectra_sent],
        "NIX00158": np.concatenate([np.asarray(s[3], dtype=np.uint8) for s in spectra_sent] or [[]]),
    }
    return _packet(54124, fields, coarse, sent=coarse + duration + 2 if sent is None else sent, **header)
