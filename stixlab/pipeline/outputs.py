"""What a run delivers: staged as files by the notebook, checked here, taken into the catalogue in one go."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stixlab.errors import PipelineError
from stixlab.files import write_bytes
from stixlab.model.flare import Flare
from stixlab.model.run import Run
from stixlab.pipeline.inputs import flares_content
from stixlab.pipeline.products import StagedProducts, commit_products, read_products, write_products
from stixlab.pipeline.ranges import range_of
from stixlab.vocabulary import ORIGINS

if TYPE_CHECKING:
    from stixlab.archive.store import Archive

__all__ = ["FLARE_LIST", "Output", "commit_outputs", "range_of", "read_outputs", "stage_output"]

FLARE_LIST = "flare-list"
_TIMES = ("start", "peak", "end")
_TUPLES = ("peak_counts_by_band", "products")


@dataclass(frozen=True)
class Output:
    """One result of a run."""

    name: str
    origin: str
    start: datetime
    """UTC; the result says everything about ``[start, end)``."""
    end: datetime
    inputs: dict[str, str]
    """Product id -> content hash of what it was made from."""
    flares: tuple[Flare, ...] = ()
    products: StagedProducts | None = None
    """Of a product type."""


def stage_output(folder: Path, output: Output) -> Path:
    """Write a result for the runner to take; whole or absent.

    Raises
    ------
    PipelineError
        If the result is wrong in itself, or was saved before in this run.
    ArchiveError
        If the disk is full or the folder is not writable.
    """
    path = folder / "outputs" / f"{output.name}.json"
    if path.exists():
        raise PipelineError(
            f"{output.name}: saved twice in one run; save it once, at the end", output=output.name
        )
    check_output(output)
    document = {
        "name": output.name,
        "origin": output.origin,
        "start": output.start.isoformat(),
        "end": output.end.isoformat(),
        "inputs": output.inputs,
        "n_records": _n_records(output),
    }
    if output.products is None:
        document["flares"] = [_flare_document(f) for f in output.flares]
    else:
        document["products"] = write_products(output.products)
    write_bytes(path, json.dumps(document, allow_nan=False, indent=1).encode())
    return path


def _n_records(output: Output) -> int:
    return len(output.flares) if output.products is None else len(output.products.products)


def read_outputs(folder: Path, makes: Sequence[str], may_make: Sequence[str] = ()) -> dict[str, Output]:
    """The results that a notebook left, each checked again.

    Parameters
    ----------
    folder
        Work folder of the run.
    makes
        Names the pipeline declares.
    may_make
        Names of results that may be absent.

    Raises
    ------
    PipelineError
        If a result is missing, not declared, cut short or wrong.
    """
    found = {p.stem: p for p in sorted((folder / "outputs").glob("*.json"))}
    if missing := [name for name in makes if name not in found]:
        raise PipelineError(
            f"results: expected {', '.join(makes)}; {', '.join(missing)} was never saved; "
            "the notebook must call run.save() for each",
            missing=tuple(missing),
        )
    if extra := [name for name in found if name not in {*makes, *may_make}]:
        raise PipelineError(f"results: {', '.join(extra)} was saved but is not declared under 'makes'")
    return {name: _read_output(name, path) for name, path in found.items()}


def _read_output(name: str, path: Path) -> Output:
    try:
        if not path.is_file():
            raise FileNotFoundError(f"no regular file at {path.name}")
        document = json.loads(path.read_bytes())
        output = Output(
            name=document["name"],
            origin=document["origin"],
            start=datetime.fromisoformat(document["start"]),
            end=datetime.fromisoformat(document["end"]),
            inputs=dict(document["inputs"]),
            flares=tuple(_flare(d) for d in (document["flares"] if name == FLARE_LIST else ())),
            products=None if name == FLARE_LIST else read_products(document["products"]),
        )
        complete = document["n_records"] == _n_records(output) and output.name == name
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PipelineError(
            f"result {name}: cannot be read: {type(error).__name__}: {error}", output=name
        ) from error
    if not complete:
        raise PipelineError(
            f"result {name}: expected {document['n_records']} records; it was cut short", output=name
        )
    check_output(output)
    return output


def check_output(output: Output) -> None:
    """Refuse a result that cannot be true.

    Raises
    ------
    PipelineError
        Naming everything that is wrong.
    """
    wrong = []
    if output.products is not None:
        return  # each is checked against its files when it is committed
    if output.origin not in ORIGINS:
        wrong.append(f"origin {output.origin!r} is none of {', '.join(ORIGINS)}")
    if output.end <= output.start:
        wrong.append(f"its range ends at {output.end} and starts at {output.start}")
    for flare in output.flares:
        wrong += [f"flare {flare.flare_id}: {problem}" for problem in _flare_problems(flare, output)]
    peaks = [f.peak for f in output.flares]
    if len(set(peaks)) < len(peaks):
        wrong.append("the same peak twice")
    if wrong:
        raise PipelineError(f"result {output.name}: " + "; ".join(wrong), output=output.name)


def _flare_problems(flare: Flare, output: Output) -> list[str]:
    wrong = []
    if flare.origin != output.origin:
        wrong.append(f"origin {flare.origin!r}, that of the data is {output.origin!r}")
    if not flare.start <= flare.peak <= flare.end:
        wrong.append("peak outside of start and end")
    if not output.start <= flare.peak < output.end:
        wrong.append(f"peak {flare.peak.isoformat()} outside of the range asked for")
    numbers = (
        "duration",
        "peak_counts",
        "background_counts",
        "significance",
        "total_counts",
        "signal_counts",
    )
    wrong += [f"{n} is {getattr(flare, n)}" for n in numbers if not math.isfinite(getattr(flare, n))]
    if flare.flare_id != f"{flare.peak.astimezone(UTC):%y%m%d%H%M}":
        wrong.append("the id is not the time of its peak")
    return wrong


def commit_outputs(
    catalog: Any,
    run: Run,
    outputs: dict[str, Output],
    *,
    archive: Archive | None = None,
    fence: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """Take results into the catalogue; the same results again change nothing.

    Parameters
    ----------
    catalog
        Stores of records, writable.
    run
        The run that made them.
    outputs
        From `read_outputs`.
    archive
        Opened for writing, for products.
    fence
        Called right before each change, when all checks are done: raises if the run is no longer ours.

    Returns
    -------
    dict
        For each result its kind, origin, number of records and hash of the content.

    Raises
    ------
    PipelineError
        If a product is not what its record says, or was changed by somebody else meanwhile; nothing is taken then.
    ArchiveError
        If the archive cannot be written.
    CatalogError
        If the database goes away.
    ConflictError
        By `fence`.
    """
    done: dict[str, dict[str, Any]] = {}
    products = {name: o.products for name, o in outputs.items() if o.products is not None}
    if products:
        if archive is None:
            raise PipelineError(
                f"results: expected an archive to take {', '.join(products)} into; found none"
            )
        done |= commit_products(catalog, archive, run, products, fence=fence)
    for name, output in outputs.items():
        if output.products is None:
            fence()
            done[name] = _commit_flares(catalog, run, output)
    return done


def _commit_flares(catalog: Any, run: Run, output: Output) -> dict[str, Any]:
    flares = [
        dataclasses.replace(f, run_id=run.run_id, products=tuple(sorted(output.inputs)))
        for f in output.flares
    ]
    catalog.flares.replace(output.start, output.end, output.origin, flares)
    return {
        "kind": "flares",
        "origin": output.origin,
        "records": len(flares),
        "content_sha256": flares_content(flares),
    }


def _flare_document(flare: Flare) -> dict[str, Any]:
    document = dataclasses.asdict(flare)
    return document | {name: document[name].isoformat() for name in _TIMES}


def _flare(document: dict[str, Any]) -> Flare:
    times = {name: datetime.fromisoformat(document[name]) for name in _TIMES}
    tuples = {name: tuple(document[name]) for name in _TUPLES}
    return Flare(**(document | times | tuples))
