"""Where a product or a flare comes from, over HTTP: what everyone may see of it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from stixlab.api.source import TheSource

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["provenance"])

_SOFTWARE = ("software_version", "idb_version", "clock", "energy_channels", "known_faults", "time_bin_shift")


class PacketPlace(BaseModel):
    """A packet in a raw file."""

    id: str
    offset_bytes: int = Field(description="where it begins in the file as received, unpacked")
    length_bytes: int = Field(description="length of the packet")
    hex_digits: int = Field(description="digits of it in a file of text; 0 in a binary file")


class RawSource(BaseModel):
    """A raw file that data came from."""

    sha256: str
    names: list[str] = Field(description="names under which it arrived, as far as they were looked up")
    kind: str
    packets: list[PacketPlace] = Field(
        description="none of a file without packets, such as an imported product"
    )


class RunName(BaseModel):
    """The pipeline run that found a flare."""

    run_id: str
    pipeline: str


class PublicExplanation(BaseModel):
    """Everything something was made from."""

    id: str
    kind: str = Field(description="product or flare")
    products: list[str] = Field(description="products that a flare was found in")
    software: dict[str, str] = Field(description="versions of software and definitions, clock")
    inputs: dict[str, str] = Field(description="hashes of all that decides about the data")
    changed: list[str] = Field(description="inputs that are not what they were when it was made")
    run: RunName | None
    n_packets: int
    sources: list[RawSource]


@router.get("/explain/{identity}", summary="Where a product or a flare comes from: packets, versions, inputs")
def explain(source: TheSource, identity: str) -> PublicExplanation:
    """Of simulated flares the id may end in ``_simulated``; what is hidden is not there."""
    from stixlab.client.explain import explain_publicly

    return _public(explain_publicly(source.lab, identity).as_document())


def _public(document: dict[str, Any]) -> PublicExplanation:
    """Of what is known only what is said here: no address of a file, no parameters of a run."""
    software, run = document["software"], document["run"]
    return PublicExplanation(
        id=document["id"],
        kind=document["kind"],
        products=document["products"],
        software={name: _told(software[name]) for name in _SOFTWARE if name in software},
        inputs=software.get("inputs", {}),
        changed=document["changed"],
        run=None if run is None else RunName(run_id=run["run_id"], pipeline=run.get("pipeline", "")),
        n_packets=document["n_packets"],
        sources=[
            RawSource(
                sha256=each["sha256"],
                names=[PurePath(name).name for name in each["names"]],
                kind=each["kind"],
                packets=each.get("packets", []),
            )
            for each in document["sources"]
        ],
    )


def _told(value: Any) -> str:
    """A value as text; of a path, as the name of a kernel may be, the last part."""
    text = str(value)
    return PurePath(text).name if text.startswith("/") else text
