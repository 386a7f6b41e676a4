"""A run as W3C PROV: what was made, by which activity, from what, with which software, on whose request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stixlab.pipeline.cache import products_of
from stixlab.pipeline.facts import RunFacts

if TYPE_CHECKING:
    from prov.model import ProvDocument, ProvEntity

__all__ = ["NAMESPACE", "prov_document", "prov_json"]

NAMESPACE = "urn:stixlab:"
"""Namespace of our ids and attributes."""


def prov_json(facts: RunFacts) -> bytes:
    """PROV-JSON of a run, the same for the same facts."""
    document = json.loads(prov_document(facts).serialize(format="json"))
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def prov_document(facts: RunFacts) -> ProvDocument:
    """The run as a document of the `prov` package.

    The run is an activity, associated with the software by the notebook as its plan. Inputs, results, the
    executed notebook and the log are entities; hashes are SHA-256.
    """
    from prov.model import PROV, ProvDocument

    run = facts.run
    document = ProvDocument()
    document.add_namespace("stixlab", NAMESPACE)
    activity = document.activity(
        f"stixlab:run/{run.run_id}",
        run.started,
        run.finished,
        _attributes(
            pipeline=run.pipeline,
            status=str(run.status),
            trigger=run.trigger,
            machine=run.machine,
            attempts=run.attempts,
            batch=run.batch,
            error=run.error,
            parameters=json.dumps(run.parameters, sort_keys=True),
            environment_sha256=run.environment_sha256,
        ),
    )
    plan = document.entity(
        f"stixlab:notebook/{run.notebook_sha256 or run.pipeline}",
        _attributes(sha256=run.notebook_sha256, file=f"{run.pipeline}.ipynb")
        | {PROV["type"]: PROV["Plan"], PROV["label"]: _title(facts)},
    )
    software = document.agent(
        f"stixlab:software/{run.environment_sha256[:16] or run.versions.get('stixlab', 'unknown')}",
        {PROV["type"]: PROV["SoftwareAgent"], PROV["label"]: f"stixlab {run.versions.get('stixlab', '')}".strip()}
        | _attributes(**{f"version_{k.replace(' ', '_')}": v for k, v in run.versions.items()}),
    )  # fmt: skip
    document.wasAssociatedWith(activity, software, plan)
    if run.asked_by:
        person = document.agent(
            f"stixlab:account/{run.asked_by}",
            {PROV["type"]: PROV["Person"], PROV["label"]: run.asked_by},
        )
        document.actedOnBehalfOf(software, person, activity)
    inputs = _inputs(document, facts)
    for entity in inputs:
        document.used(activity, entity)
    for entity, is_result in _made(document, facts):
        document.wasGeneratedBy(entity, activity, run.finished)
        document.wasAttributedTo(entity, software)
        for each in inputs if is_result else ():
            document.wasDerivedFrom(entity, each, activity)
    return document


def _attributes(**values: Any) -> dict[str, Any]:
    """Attributes of our namespace; what is empty is left out."""
    return {f"stixlab:{k}": v for k, v in values.items() if v not in ("", None)}


def _title(facts: RunFacts) -> str:
    return facts.spec.title if facts.spec is not None else facts.run.pipeline


def _inputs(document: ProvDocument, facts: RunFacts) -> list[ProvEntity]:
    return [
        document.entity(f"stixlab:content/{sha256}/{name}", _attributes(id=name, sha256=sha256))
        for name, sha256 in sorted(facts.run.inputs.items())
    ]


def _made(document: ProvDocument, facts: RunFacts) -> list[tuple[ProvEntity, bool]]:
    """Entities that the run made, and whether each is a result, derived from the inputs."""
    from stixlab.files import sha256_of

    run = facts.run
    made = []
    for name, told in sorted(run.outputs.items()):
        attributes = _attributes(
            name=name,
            kind=told.get("kind", ""),
            origin=told.get("origin", ""),
            records=told.get("records"),
            sha256=told.get("content_sha256", ""),
        )
        made.append((document.entity(f"stixlab:result/{run.run_id}/{name}", attributes), True))
        for product, sha256 in sorted(products_of(told).items()):
            entity = document.entity(
                f"stixlab:content/{sha256}/{product}", _attributes(id=product, sha256=sha256)
            )
            made.append((entity, True))
    for kind, path in (("executed", facts.executed), ("log", facts.log)):
        if path is not None:
            attributes = _attributes(file=path.name, sha256=sha256_of(path))
            made.append((document.entity(f"stixlab:{kind}/{run.run_id}", attributes), False))
    return made
