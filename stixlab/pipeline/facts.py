"""Everything that is known of a run, in one place, for whoever writes it down."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from stixlab.archive import Archive
from stixlab.archive.layout import run_key
from stixlab.errors import ConflictError, NotInCatalogError, PipelineError
from stixlab.files import sha256_of
from stixlab.model.flare import Flare
from stixlab.model.product import Product
from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.cache import outputs_stand, products_of
from stixlab.pipeline.declaration import FLARE_LIST, PipelineSpec

__all__ = ["RunFacts", "gather_facts"]

_LOG_NAME = "log.txt"


@dataclass(frozen=True)
class RunFacts:
    """A run, its files and what it delivered."""

    run: Run
    source: Path | None = None
    """The notebook as it was executed; None if it was edited since, or is gone."""
    spec: PipelineSpec | None = None
    """Its declaration, if `source` is there."""
    executed: Path | None = None
    """The executed notebook, with what the cells gave."""
    log: Path | None = None
    flares: tuple[Flare, ...] = ()
    """Flares it delivered, as far as they are still those of the catalogue."""
    products: dict[str, Product] = field(default_factory=dict)
    """Products it delivered that are still as it made them, by id."""
    stand: bool = True
    """Whether everything that it delivered is still what the catalogue says."""
    files: dict[str, Path] = field(default_factory=dict)
    """Files of the products, by id."""


def gather_facts(catalog: Any, archive: Archive, folder: Path, run_id: str) -> RunFacts:
    """All that catalogue, archive and the folder of pipelines tell of a run that has ended.

    Parameters
    ----------
    catalog
        Stores of records.
    archive
        Holds the executed notebook.
    folder
        Of the pipelines.
    run_id

    Raises
    ------
    NotInCatalogError
        If there is no such run.
    ConflictError
        If it has not ended.
    CatalogError
        If the database does not answer.
    """
    run: Run | None = catalog.runs.get(run_id)
    if run is None:
        raise NotInCatalogError(f"run {run_id}: there is none; `stixlab runs` lists them")
    if not run.status.has_ended:
        raise ConflictError(f"run {run_id}: expected one that has ended; it is {run.status}", run_id=run_id)
    source = folder / f"{run.pipeline}.ipynb"
    same = source.is_file() and sha256_of(source) == run.notebook_sha256
    stand = run.status is RunStatus.SUCCEEDED and outputs_stand(catalog, run)
    facts = RunFacts(
        run=run,
        source=source if same else None,
        spec=_spec(source) if same else None,
        executed=_existing(archive, run.notebook),
        log=_existing(archive, run.log or f"{run_key(run.run_id)}/{_LOG_NAME}"),
        stand=stand,
    )
    return _with_outputs(catalog, archive, facts)


def _spec(path: Path) -> PipelineSpec | None:
    from stixlab.pipeline.spec import read_spec

    try:
        return read_spec(path)
    except PipelineError:
        return None


def _existing(archive: Archive, key: str) -> Path | None:
    if not key:
        return None
    path = archive.path(key)
    return path if path.is_file() else None


def _with_outputs(catalog: Any, archive: Archive, facts: RunFacts) -> RunFacts:
    from stixlab.pipeline.outputs import range_of

    flares: tuple[Flare, ...] = ()
    told: dict[str, str] = {}
    for name, output in facts.run.outputs.items():
        if name == FLARE_LIST and facts.stand:
            start, end = range_of(facts.run.parameters)
            flares = tuple(catalog.flares.find(start=start, end=end, origin=output["origin"]))
        told |= products_of(output)
    found = catalog.products.get_many(told) if told else {}
    products = {k: p for k, p in found.items() if told[k] in ("", p.content_sha256)}
    files = {k: path for k, p in products.items() if (path := _existing(archive, p.fits)) is not None}
    return dataclasses.replace(facts, flares=flares, products=products, files=files)


def flare_documents(flares: tuple[Flare, ...]) -> list[dict[str, Any]]:
    """Flares as plain types, times as text."""
    return [
        {k: v.isoformat() if isinstance(v, datetime) else v for k, v in dataclasses.asdict(f).items()}
        for f in flares
    ]
