"""Where something comes from: from a flare, a product, a request or a packet down to the bytes that were received."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.errors import AccessError, NotInCatalogError
from stixlab.ingest.lineage import PacketPlaces, packets_of_request, packets_of_time
from stixlab.ingest.provenance import changed_inputs, inputs_of
from stixlab.ingest.request_products import request_inputs
from stixlab.model import Flare, Product, RawFile, Run, ScienceRequest
from stixlab.packets.identity import file_of_packet
from stixlab.timing import to_datetime64
from stixlab.vocabulary import CONTEXT_TYPES, ORIGINS, PRODUCT_TYPES

if TYPE_CHECKING:
    from stixlab.client.lab import Lab

__all__ = ["Explanation", "Source", "explain"]

_PACKET = re.compile(r"[0-9a-f]{12,64}\.[0-9]{1,9}")
_FLARE = re.compile(rf"(?P<flare>[0-9]{{10}})(_(?P<origin>{'|'.join(ORIGINS)}))?")
_TYPES = "|".join(PRODUCT_TYPES)
_REQUEST = re.compile(rf"(?:{_TYPES})_.+")
_RUN = re.compile(r"[a-z][a-z0-9_]*-[0-9a-f]{16}")
_SHOWN = 10


@dataclass(frozen=True)
class Source:
    """A raw file that data came from."""

    sha256: str
    names: tuple[str, ...] = ()
    """Names under which it arrived; empty if they were not looked up."""
    kind: str = ""
    packets: PacketPlaces | None = None
    """Its packets that the data were made from; None for files without packets, such as imported products."""

    def as_document(self) -> dict[str, Any]:
        """Plain types, every packet named."""
        document: dict[str, Any] = {"sha256": self.sha256, "names": list(self.names), "kind": self.kind}
        if self.packets is not None:
            places = (
                self.packets.ids(),
                self.packets.offset_bytes.tolist(),
                self.packets.length_bytes.tolist(),
            )
            document["packets"] = [
                {"id": i, "offset_bytes": o, "length_bytes": n} for i, o, n in zip(*places, strict=True)
            ]
        return document


@dataclass(frozen=True)
class Explanation:
    """Everything something was made from."""

    id: str
    kind: str
    """``flare``, ``product``, ``request``, ``packet`` or ``run``."""
    record: dict[str, Any]
    """The record itself."""
    products: tuple[str, ...] = ()
    """Products that a flare was found in, or a run has read."""
    software: dict[str, Any] = field(default_factory=dict)
    """Software and definitions versions, clock, hashes of the inputs, as they were when it was made."""
    changed: tuple[str, ...] = ()
    """Inputs that are not what they were: made again, the data may come out otherwise."""
    run: dict[str, Any] | None = None
    """The pipeline run that found it: pipeline, parameters, versions, inputs; under ``problem`` why that is not known."""
    sources: tuple[Source, ...] = ()

    @property
    def n_packets(self) -> int:
        """Packets in all sources."""
        return sum(len(s.packets) for s in self.sources if s.packets is not None)

    def as_document(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "type": "explanation",
            "id": self.id,
            "kind": self.kind,
            "record": self.record,
            "products": list(self.products),
            "software": self.software,
            "changed": list(self.changed),
            "run": self.run,
            "n_packets": self.n_packets,
            "sources": [s.as_document() for s in self.sources],
        }

    def __str__(self) -> str:
        lines = [f"{self.kind} {self.id}"]
        verb = "has read" if self.kind == "run" else "found in"
        lines += [f"  {verb} {p}" for p in self.products]
        lines += [
            f"  {name}: {value}" for name, value in self.software.items() if name not in ("inputs", "keys")
        ]
        lines += [f"  input {n}: {h}" for n, h in self.software.get("inputs", {}).items()]
        if self.changed:
            cure = f"run {self.record['pipeline']}" if self.kind == "run" else "reprocess"
            lines.append(f"  changed since: {', '.join(self.changed)}; `stixlab {cure}` makes it again")
        if self.run is not None:
            told = ", ".join(f"{k}={v}" for k, v in self.run.get("parameters", {}).items())
            lines.append(f"  run {self.run['run_id']}: {self.run.get('pipeline', '')} {told}".rstrip(" :"))
            if problem := self.run.get("problem"):
                lines.append(f"  {problem}")
        for source in self.sources:
            lines.append(f"  from {source.sha256} {source.kind} {' '.join(source.names)}".rstrip())
            lines += _packet_lines(source.packets)
        return "\n".join(lines)


def _packet_lines(packets: PacketPlaces | None) -> list[str]:
    if packets is None:
        return []
    shown = zip(packets.ids(), packets.offset_bytes.tolist(), packets.length_bytes.tolist(), strict=True)
    lines = [f"    packet {i}: byte {o}, {n} bytes" for i, o, n in list(shown)[:_SHOWN]]
    return lines + ([f"    and {len(packets) - _SHOWN} packets more"] if len(packets) > _SHOWN else [])


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
        found = [
            f
            for f in lab.catalog.flares.of_all_origins(match["flare"])
            if match["origin"] in (None, f.origin)
        ]
        if len(found) == 1:
            return _explain_flare(lab, found[0])
        if found:
            ids = ", ".join(f"{f.flare_id}_{f.origin}" for f in found)
            raise NotInCatalogError(
                f"explain {text}: flares of {len(found)} origins have this id: {ids}; give one of these"
            )
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
    source = Source(raw_file.sha256, raw_file.names, raw_file.kind, places)
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
        sources=_sources(product.sources, places, files),
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
        sources=_sources(request.sources, places, {}),
    )


def _explain_flare(lab: Lab, flare: Flare) -> Explanation:
    products = {p.product_id: p for p in _shown(lab, lab.catalog.products.get_many(flare.products).values())}
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
        products=flare.products,
        software=dict(first.provenance) if first is not None else {},
        changed=tuple(sorted(changed)),
        run=_run(lab, flare.run_id),
        sources=_sources(sources, list(places.values()), {}),
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
        {k: v for k, v in record.items() if k not in ("inputs", "versions", "machine", "worker")},
        products=tuple(sorted(now)),
        software=dict(run.versions) | {"notebook": run.notebook_sha256, "inputs": dict(run.inputs)},
        changed=tuple(sorted(changed)),
        run={"run_id": run.run_id, "pipeline": run.pipeline, "parameters": run.parameters},
        sources=_sources(hashes, [], lab.catalog.raw_files.get_many(hashes)),
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


def _sources(hashes: Any, places: list[PacketPlaces], files: dict[str, RawFile]) -> tuple[Source, ...]:
    by_file = {p.sha256: p for p in places}
    found = []
    for sha256 in hashes:
        known = files.get(sha256)
        names, kind = (known.names, known.kind) if known is not None else ((), "")
        found.append(Source(sha256, names, kind, by_file.get(sha256)))
    return tuple(found)


def _record(record: Any) -> dict[str, Any]:
    return {k: v for k, v in dataclasses.asdict(record).items() if k not in ("provenance", "sources", "keys")}
