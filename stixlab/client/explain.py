"""Where something comes from: from a flare, a product, a request or a packet down to the bytes that were received."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive.layout import raw_key
from stixlab.client.explanation import Explanation, Source
from stixlab.errors import AccessError, FormatError, NotInCatalogError
from stixlab.ingest.lineage import PacketPlaces, packets_of_request, packets_of_time
from stixlab.ingest.provenance import changed_inputs, inputs_of
from stixlab.ingest.request_products import request_inputs
from stixlab.model import Flare, Product, RawFile, Run, ScienceRequest
from stixlab.packets.identity import file_of_packet
from stixlab.telemetry.sources import Kind, recognise
from stixlab.timing import to_datetime64
from stixlab.vocabulary import CONTEXT_TYPES, ORIGINS, PRODUCT_TYPES

if TYPE_CHECKING:
    from stixlab.client.lab import Lab

__all__ = ["Explanation", "Source", "explain", "explain_publicly"]

_PACKET = re.compile(r"[0-9a-f]{12,64}\.[0-9]{1,9}")
_FLARE = re.compile(rf"(?P<flare>[0-9]{{10}})(_(?P<origin>{'|'.join(ORIGINS)}))?")
_TYPES = "|".join(PRODUCT_TYPES)
_REQUEST = re.compile(rf"(?:{_TYPES})_.+")
_TEXT = {Kind.EDDS_TM, Kind.MOC_ASCII, Kind.HEX, Kind.LB_FITS}
"""Files that hold packets as hexadecimal digits."""
_LOOKED_AT = 1 << 16
_LONGEST_ID = 200
_RUN = re.compile(r"[a-z][a-z0-9_]*-[0-9a-f]{16}")


def explain(lab: Lab, identity: str) -> Explanation:
    """Where something comes from; at most two look-ups in the catalogue.

    Parameters
    ----------
    lab
    identity
        Id of a product, a data request, a flare, a packet or a run. Where flares of several origins have an id, it
        is followed by the origin, as ``2105071234_simulated``; of packets see `stixlab.packets.identity.packet_id`.

    Raises
    ------
    NotInCatalogError
        If there is nothing of that id, or flares of several origins have it.
    ArchiveError, FormatError
        If stored packets are missing or damaged.
    AccessError
        If this process has the rights of the public only, or an operator has hidden the product.

    Notes
    -----
    What is said to have changed decides about the data; whether a header would tell another place of the spacecraft,
    `stixlab reprocess --dry-run` says.
    """
    if lab.settings.access == "public":
        raise AccessError(
            f"explain {identity}: packets are for the team; this process has the rights of the public"
        )
    text = identity.strip()
    if _PACKET.fullmatch(text.lower()):
        return _explain_packet(lab, text.lower())
    if match := _FLARE.fullmatch(text):
        if flare := _find_flare(lab, match):
            return _explain_flare(lab, flare)
    elif _RUN.fullmatch(text):
        run = lab.catalog.runs.get(text)
        if run is not None:
            return _explain_run(lab, run)
    elif _REQUEST.fullmatch(text):
        request = lab.catalog.requests.get(text)
        if request is not None:
            return _explain_request(lab, request)
    else:
        product = lab.catalog.products.get(text)
        if product is not None:
            return _explain_product(lab, product)
    raise NotInCatalogError(
        "explain: expected the id of a product, a data request, a flare, a packet or a run; there is nothing called"
        f" {text!r}; `stixlab products`, `requests`, `flares`, `packets` and `runs` list ids"
    )


def explain_publicly(lab: Lab, identity: str) -> Explanation:
    """As `explain`, of what everyone may see, whatever the rights of this process: products and flares that are shown.

    Raises
    ------
    NotInCatalogError
        If there is nothing of that id, or it is not for everyone.
    ArchiveError, FormatError
        If stored packets are missing or damaged.
    """
    text = identity.strip()[:_LONGEST_ID]
    if match := _FLARE.fullmatch(text):
        if flare := _find_flare(lab, match):
            return _explain_flare(lab, flare, public=True)
    else:
        product = lab.catalog.products.get(text)
        if product is not None and not product.hidden:
            return _explain_product(lab, product)
    raise NotInCatalogError(
        f"explain: expected the id of a product or a flare; there is none called {text!r}"
    )


def _find_flare(lab: Lab, match: re.Match[str]) -> Flare | None:
    found: list[Flare] = [
        f for f in lab.catalog.flares.of_all_origins(match["flare"]) if match["origin"] in (None, f.origin)
    ]
    if len(found) > 1:
        ids = ", ".join(f"{f.flare_id}_{f.origin}" for f in found)
        raise NotInCatalogError(
            f"explain {match[0]}: flares of {len(found)} origins have this id: {ids}; give one of these"
        )
    return found[0] if found else None


def _explain_packet(lab: Lab, identity: str) -> Explanation:
    raw_file, index = file_of_packet(lab.catalog, lab.archive, identity)
    packets = lab.archive.open_packets(raw_file.sha256)
    if index >= len(packets):
        raise NotInCatalogError(
            f"packet {identity}: its file {raw_file.names[0]} has {len(packets)} packets, 0 to {len(packets) - 1}"
        )
    chosen = np.array([index])
    places = PacketPlaces(
        raw_file.sha256, chosen, packets["source_offset"][chosen], packets["length"][chosen]
    )
    names = ("service", "subtype", "ssid", "apid", "sequence_count", "scet_coarse", "scet_fine", "status")
    record: dict[str, Any] = {name: int(packets[name][index]) for name in names}
    record["idb_version"] = lab.versions.at(record["scet_coarse"]).version
    source = Source(raw_file.sha256, raw_file.names, raw_file.kind, places, raw_file.kind in _TEXT)
    return Explanation(identity, "packet", record, software={"clock": lab.clock.source}, sources=(source,))


def _explain_product(lab: Lab, product: Product) -> Explanation:
    lab.check_shown(product)
    files = lab.catalog.raw_files.get_many(product.sources)
    if product.request:
        keys = product.provenance.get("keys", ())
        places = packets_of_request(lab.archive, product.sources, product.request, keys, lab.versions)
        changed = _changed_of_request(lab, product)
    elif product.type in CONTEXT_TYPES:  # no packets are theirs
        places, changed = [], []
    else:
        places = _places_of_day(lab, product, _day(product))
        changed = changed_inputs(product, _inputs_of_day(lab, product))
    return Explanation(
        product.product_id,
        "product",
        _record(product),
        software=dict(product.provenance),
        changed=tuple(changed),
        sources=_sources(lab, product.sources, places, files),
    )


def _changed_of_request(lab: Lab, product: Product) -> list[str]:
    """Inputs of a product of a request that are not what they were; its packets are compared by `reprocess`."""
    if "span" not in product.provenance:
        return []
    start, end = (datetime.fromisoformat(t) for t in product.provenance["span"])
    inputs = inputs_of(start, end, data=(), versions=lab.versions, clock=lab.clock)
    return [name for name in changed_inputs(product, inputs) if name != "data"]


def _explain_request(lab: Lab, request: ScienceRequest) -> Explanation:
    products = _shown(lab, lab.catalog.products.find(request=request.id, hidden=None))
    places = packets_of_request(lab.archive, request.sources, request.id, request.keys, lab.versions)
    inputs = request_inputs(request, lab.versions, lab.clock)
    changed = {name for p in products for name in changed_inputs(p, inputs)}
    return Explanation(
        request.id,
        "request",
        _record(request),
        products=tuple(p.product_id for p in products),
        software=dict(products[0].provenance) if products else {},
        changed=tuple(sorted(changed)),
        sources=_sources(lab, request.sources, places, {}),
    )


def _explain_flare(lab: Lab, flare: Flare, *, public: bool = False) -> Explanation:
    known = lab.catalog.products.get_many(flare.products).values()
    products = {p.product_id: p for p in _shown(lab, known) if not (public and p.hidden)}
    span = (to_datetime64(flare.start), to_datetime64(flare.end))
    places: dict[str, PacketPlaces] = {}
    for product in products.values():
        places |= {p.sha256: p for p in _places_of_day(lab, product, span)}
    everything = sorted({s for p in products.values() for s in p.sources})
    sources = [s for s in everything if s in places or not lab.archive.has_packets(s)]
    first = next(iter(products.values()), None)
    changed = {name for p in products.values() for name in changed_inputs(p, _inputs_of_day(lab, p))}
    return Explanation(
        flare.flare_id,
        "flare",
        _record(flare),
        products=tuple(products) if public else flare.products,
        software=dict(first.provenance) if first is not None else {},
        changed=tuple(sorted(changed)),
        run=_run(lab, flare.run_id),
        sources=_sources(lab, sources, list(places.values()), {}),
    )


def _explain_run(lab: Lab, run: Run) -> Explanation:
    """What a run has read, with what, and what it has delivered; `changed` are inputs that are not what it read."""
    now = lab.catalog.products.get_many(run.inputs)
    changed = [name for name, product in now.items() if product.content_sha256 != run.inputs[name]]
    record = _record(run)
    hashes = sorted({s for p in now.values() for s in p.sources})
    return Explanation(
        run.run_id,
        "run",
        {k: v for k, v in record.items() if k not in ("inputs", "versions", "worker")},
        products=tuple(sorted(now)),
        software=dict(run.versions) | {"notebook": run.notebook_sha256, "inputs": dict(run.inputs)},
        changed=tuple(sorted(changed)),
        run={"run_id": run.run_id, "pipeline": run.pipeline, "parameters": run.parameters},
        sources=_sources(lab, hashes, [], lab.catalog.raw_files.get_many(hashes)),
    )


def _shown(lab: Lab, products: Iterable[Product]) -> list[Product]:
    """Those that this role may see."""
    return [p for p in products if not p.hidden or lab.settings.access == "operator"]


def _run(lab: Lab, run_id: str) -> dict[str, Any] | None:
    """What the executed notebook of a run tells of it: the archive has it, the catalogue need not be asked.

    Where it tells nothing, ``problem`` says why.
    """
    if not run_id:
        return None
    problems = []
    for path in sorted(lab.archive.path(f"runs/{run_id}").glob("*.ipynb")):
        try:
            told = dict(json.loads(path.read_bytes())["metadata"]["stixlab"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(
                f"the executed notebook {path.name} of this run cannot be read: {type(error).__name__}: {error};"
                f" `stixlab explain {run_id}` tells what the catalogue knows"
            )
            continue
        return {str(k): v for k, v in told.items() if k != "machine"}
    missing = f"the executed notebook of this run is not in the archive; `stixlab explain {run_id}` tells what the catalogue knows"
    return {"run_id": run_id, "problem": "; ".join(problems) or missing}


def _day(product: Product) -> tuple[np.datetime64, np.datetime64]:
    """The UTC day of a product: that of the middle of its bins, as its dataset is named."""
    from stixlab.archive.layout import day_of

    start = np.datetime64(day_of(product.zarr), "ns")
    return start, start + np.timedelta64(1, "D")


def _places_of_day(
    lab: Lab, product: Product, span: tuple[np.datetime64, np.datetime64]
) -> list[PacketPlaces]:
    return packets_of_time(
        lab.archive,
        product.sources,
        product.type,
        span,
        origin=product.origin,
        versions=lab.versions,
        clock=lab.clock,
    )


def _inputs_of_day(lab: Lab, product: Product) -> dict[str, str]:
    from stixlab.timing import to_datetime

    start, end = map(to_datetime, _day(product))
    return inputs_of(start, end, data=product.sources, versions=lab.versions, clock=lab.clock)


def _sources(
    lab: Lab, hashes: Any, places: list[PacketPlaces], files: dict[str, RawFile]
) -> tuple[Source, ...]:
    by_file = {p.sha256: p for p in places}
    found = []
    for sha256 in hashes:
        known = files.get(sha256)
        names, kind = (known.names, known.kind) if known is not None else ((), _kind(lab, sha256))
        found.append(Source(sha256, names, kind, by_file.get(sha256), kind in _TEXT))
    return tuple(found)


def _kind(lab: Lab, sha256: str) -> str:
    """Kind of a raw file that was not looked up in the catalogue, by its begin; empty if that does not tell."""
    try:
        with lab.archive.path(raw_key(sha256)).open("rb") as file:
            return str(recognise(file.read(_LOOKED_AT), sha256))
    except (OSError, FormatError):
        return ""


def _record(record: Any) -> dict[str, Any]:
    return {k: v for k, v in dataclasses.asdict(record).items() if k not in ("provenance", "sources", "keys")}
