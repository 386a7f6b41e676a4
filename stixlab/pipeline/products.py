"""Products that a run delivers: written beside the archive, checked, moved into it when the run has succeeded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive.layout import day_of
from stixlab.archive.staged import StagedArchive
from stixlab.archive.tables import update_tables
from stixlab.catalog.documents import from_document, to_document
from stixlab.catalog.staged import StagedCatalog, document_digest
from stixlab.errors import PipelineError
from stixlab.files import flush_folder, write_failed
from stixlab.model import Product, Run, ScienceRequest
from stixlab.pipeline.product_checks import check_product, is_same_dataset, level_of

if TYPE_CHECKING:
    from stixlab.archive.store import Archive

__all__ = [
    "DayKey",
    "Stage",
    "StagedProducts",
    "check_saved",
    "collect_products",
    "commit_products",
    "read_products",
    "write_products",
]

DayKey = tuple[str, str, str]
"""Product type, origin, UTC day."""
_TIME = "$utc"
_LISTED = 1000
"""Products that the record of a run names; of all, their records name the run."""
_ALLOWED = {"products", "requests", "newest"}


@dataclass(frozen=True)
class StagedProducts:
    """Products of one type, made by a run and not yet in the archive."""

    folder: Path
    """Where their files are, by key; what is not there is in the archive already."""
    products: tuple[Product, ...] = ()
    """New and changed."""
    removed: tuple[str, ...] = ()
    """Ids of products that there are no more."""
    requests: tuple[ScienceRequest, ...] = ()
    """Records of data requests that have changed with them."""
    removed_requests: tuple[str, ...] = ()
    days: tuple[DayKey, ...] = ()
    """Days that were looked at, changed or not."""
    before: Mapping[str, str] | None = None
    """``collection/id`` -> `document_digest` of the record that the run found."""


class Stage:
    """What a run writes to: catalogue and archive as they are, with its own changes in front of them.

    Parameters
    ----------
    catalog, archive
        Those there are; they are only read.
    folder
        For the files.
    """

    def __init__(self, catalog: Any, archive: Archive, folder: Path) -> None:
        self.folder = folder
        self.catalog = StagedCatalog(catalog)
        self.archive = StagedArchive(archive, folder)
        self.days: set[DayKey] = set()
        """Days that were looked at; those who make them note them here."""

    @property
    def types(self) -> list[str]:
        """Product types of which anything was made or looked at."""
        changed, removed = self.catalog.changes.get("products", ({}, set()))
        found = {d["type"] for d in changed.values()} | {_type_of(i, 1) for i in removed}
        return sorted(found | {key[0] for key in self.days})


def _type_of(identity: str, part: int) -> str:
    """Type by the id of a product (part 1) or of a data request (part 0)."""
    return identity.split("_")[part] if identity.count("_") > part else ""


def collect_products(stage: Stage, name: str) -> StagedProducts:
    """What was made of a product type.

    Parameters
    ----------
    stage
    name
        Product type.

    Raises
    ------
    PipelineError
        If records were changed that a pipeline may not change.
    """
    changes = stage.catalog.changes
    if others := set(changes) - _ALLOWED:
        raise PipelineError(f"save: expected changes of products; found some of {', '.join(sorted(others))}")
    changed, removed = changes.get("products", ({}, set()))
    records, gone = changes.get("requests", ({}, set()))
    products = [from_document(d, Product) for d in changed.values() if d["type"] == name]
    requests = [from_document(d, ScienceRequest) for d in records.values() if d["type"] == name]
    removed = {i for i in removed if _type_of(i, 1) == name}
    gone = {i for i in gone if _type_of(i, 0) == name}
    before = {f"products/{p.product_id}": "" for p in products} | {f"products/{i}": "" for i in removed}
    before |= {f"requests/{r.id}": "" for r in requests} | {f"requests/{i}": "" for i in gone}
    for key in before:
        collection, _, identity = key.partition("/")
        before[key] = stage.catalog.staged[collection].before(identity)
    return StagedProducts(
        folder=stage.folder,
        products=tuple(sorted(products, key=lambda p: p.product_id)),
        removed=tuple(sorted(removed)),
        requests=tuple(sorted(requests, key=lambda r: r.id)),
        removed_requests=tuple(sorted(gone)),
        days=tuple(sorted(d for d in stage.days if d[0] == name)),
        before=before,
    )


def write_products(staged: StagedProducts) -> dict[str, Any]:
    """For JSON; read again by `read_products`."""
    return {
        "folder": str(staged.folder),
        "products": [_plain(to_document(p, p.product_id)) for p in staged.products],
        "removed": list(staged.removed),
        "requests": [_plain(to_document(r, r.id)) for r in staged.requests],
        "removed_requests": list(staged.removed_requests),
        "days": [list(d) for d in staged.days],
        "before": dict(staged.before or {}),
    }


def read_products(document: Mapping[str, Any]) -> StagedProducts:
    """Of JSON.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is not what `write_products` gives.
    """
    return StagedProducts(
        folder=Path(document["folder"]),
        products=tuple(from_document(_timed(d), Product) for d in document["products"]),
        removed=tuple(map(str, document["removed"])),
        requests=tuple(from_document(_timed(d), ScienceRequest) for d in document["requests"]),
        removed_requests=tuple(map(str, document["removed_requests"])),
        days=tuple((str(t), str(o), str(d)) for t, o, d in document["days"]),
        before={str(k): str(v) for k, v in document["before"].items()},
    )


def check_saved(folder: Path, names: Iterable[str]) -> None:
    """Refuse a run that made products and delivered none of them.

    Parameters
    ----------
    folder
        For the files of its products.
    names
        Of the results it delivered.

    Raises
    ------
    PipelineError
        Naming one that was made.
    """
    made = sorted(p.relative_to(folder) for p in folder.glob("zarr/*/*/*/*/[!.]*.zarr"))
    if left := [p for p in made if p.parts[2] not in {*names}]:
        raise PipelineError(
            f"results: {len(left)} datasets such as {left[0]} were made and never saved; the notebook must call"
            " run.save() or run.save_products()"
        )


def _plain(document: dict[str, Any]) -> Any:
    return json.loads(json.dumps(document, default=lambda t: {_TIME: t.isoformat()}))


def _timed(document: Any) -> Any:
    text = json.dumps(document)
    return json.loads(text, object_hook=lambda d: datetime.fromisoformat(d[_TIME]) if {*d} == {_TIME} else d)


def commit_products(
    catalog: Any,
    archive: Archive,
    run: Run,
    delivered: Mapping[str, StagedProducts],
    *,
    fence: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """Take products into archive and catalogue, all or none; the same again changes nothing.

    Parameters
    ----------
    catalog, archive
        Writable.
    run
        The run that made them.
    delivered
        By product type.
    fence
        Called when all was checked and the archive is ours, right before the first change: raises if the run is
        no longer ours.

    Returns
    -------
    dict
        For each type what was taken: kind, origins, number of records, the first thousand ids with their hashes.

    Raises
    ------
    PipelineError
        If a product is not what its record says or what the run may make, or has been changed by somebody else
        meanwhile; nothing is taken then.
    ArchiveError
        If the archive cannot be written.
    CatalogError
        If the database goes away; the same again goes on from there.
    ConflictError
        By `fence`; nothing is taken then.
    """
    for name, staged in delivered.items():
        for product in staged.products:
            check_product(product, name, StagedArchive(archive, staged.folder), run.parameters)
    if not delivered:
        return {}
    with archive.writing():
        for staged in delivered.values():
            _check_unchanged(catalog, run, staged)
        fence()
        for staged in delivered.values():
            for key in (k for p in staged.products for k in (p.zarr, p.fits) if k):
                _move(archive, staged.folder / key, key)
        done = {name: _save(catalog, archive, run, staged) for name, staged in delivered.items()}
        _update_tables(catalog, archive, delivered)
    return done


def _check_unchanged(catalog: Any, run: Run, staged: StagedProducts) -> None:
    """Refuse what was made from a state of the catalogue that is no more."""
    wanted = {f"products/{p.product_id}": _document(p, run) for p in staged.products}
    wanted |= {f"requests/{r.id}": to_document(r, r.id) for r in staged.requests}
    for key, digest in (staged.before or {}).items():
        collection, _, identity = key.partition("/")
        found = document_digest(catalog.collections[collection].get(identity))
        if found not in (digest, document_digest(wanted.get(key))):
            raise PipelineError(
                f"{identity}: expected the record that the run {run.run_id} found; it was changed meanwhile, by an"
                " ingest or another run; run the pipeline again",
                recoverable=True,
                product=identity,
            )


def _document(product: Product, run: Run) -> dict[str, Any]:
    return to_document(_told(product, run), product.product_id)


def _told(product: Product, run: Run) -> Product:
    """The record with the run that made it."""
    return replace(product, provenance=product.provenance | {"run_id": run.run_id, "pipeline": run.pipeline})


def _move(archive: Archive, source: Path, key: str) -> None:
    """Give a file its place; what stands there stays if it is a sound dataset, since its name tells the content."""
    target = archive.path(key)
    if not source.exists():
        return  # the check has found it in the archive
    try:
        if source.is_dir() and target.exists():
            if is_same_dataset(source, target):
                shutil.rmtree(source)
                return
            archive.remove(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        flush_folder(target.parent)
    except OSError as error:
        raise write_failed(target, error) from error


def _save(catalog: Any, archive: Archive, run: Run, staged: StagedProducts) -> dict[str, Any]:
    before = catalog.products.get_many([*(p.product_id for p in staged.products), *staged.removed])
    for request in staged.requests:
        catalog.requests.save(request)
    for product in staged.products:
        catalog.products.save(_told(product, run))
    for identity in staged.removed:
        catalog.products.delete(identity)
    for identity in staged.removed_requests:
        catalog.requests.delete(identity)
    _supersede(catalog, archive, [*before.values(), *staged.products])
    return {
        "kind": "products",
        "origin": ", ".join(
            sorted({p.origin for p in staged.products} | {origin for _, origin, _ in staged.days})
        ),
        "records": len(staged.products),
        "products": {p.product_id: p.content_sha256 for p in staged.products[:_LISTED]},
        "removed": list(staged.removed),
        "looked_at": len(staged.days),
    }


def _supersede(catalog: Any, archive: Archive, products: Iterable[Product]) -> None:
    """Note which datasets are named no more, and which are."""
    by_request: dict[str, set[str]] = {}
    by_day: set[tuple[str, str, str]] = set()
    for product in products:
        if product.request and product.zarr:
            by_request.setdefault(product.request, set()).add(product.zarr)
        elif product.zarr:
            by_day.add((product.level, product.type, day_of(product.zarr)))
    for request, keys in by_request.items():
        named = {p.zarr for p in catalog.products.find(request=request, hidden=None)}
        archive.mark_replaced(keys - named)
        archive.mark_named(named - {""})
    for level, product_type, day in by_day:
        start = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        found = catalog.products.find(
            type=product_type, start=start, end=start + timedelta(days=1), hidden=None
        )
        archive.remove_superseded(level, product_type, np.datetime64(day, "D"), {p.zarr for p in found})


def _update_tables(catalog: Any, archive: Archive, delivered: Mapping[str, StagedProducts]) -> None:
    for name, staged in delivered.items():
        days = set(staged.days)
        days |= {(p.type, p.origin, day_of(p.zarr)) for p in staged.products if p.zarr and not p.request}
        update_tables(catalog, archive, days, level=level_of(name))
