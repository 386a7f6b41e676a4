"""A run as a research object: a Workflow Run RO-Crate, a folder or zip file that tells what is in it.

It follows the profiles *Process Run Crate* and *Workflow Run Crate* 0.5: the notebook is the workflow, its
parameters and inputs are the objects of the action, what it delivered the results.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stixlab.errors import ConflictError
from stixlab.files import TEMPORARY, write_failed
from stixlab.model.run import RunStatus
from stixlab.pipeline.cache import products_of
from stixlab.pipeline.declaration import FLARE_LIST
from stixlab.pipeline.facts import RunFacts, flare_documents
from stixlab.pipeline.provenance import prov_json

__all__ = ["CODE_LICENSE", "PROFILES", "left_out", "write_crate"]

PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
"""What such a crate conforms to; without the workflow's file only the first."""
CODE_LICENSE = "https://spdx.org/licenses/BSD-3-Clause"
"""Of the notebook and of this package, and so of the crate; what data are under is for their owner to say."""
_TYPES = {"str": "Text", "int": "Integer", "float": "Float", "bool": "Boolean"}


def write_crate(facts: RunFacts, target: Path, *, data_license: str = "") -> None:
    """Write a run as RO-Crate, whole or not at all.

    Parameters
    ----------
    facts
        From `gather_facts`.
    target
        A zip file if its name ends in ``.zip``, else a folder; there must be nothing yet.
    data_license
        Address of the licence of the results; empty: none is claimed for them.

    Raises
    ------
    ConflictError
        If there is something of that name.
    ArchiveError
        If the disk is full or the folder is not writable.
    """
    if target.exists():
        raise ConflictError(f"crate: there is something at {target} already; give another name")
    with _work_folder(target) as work:
        crate = _build(facts, work / "parts", data_license)
        if target.suffix == ".zip":
            crate.write_zip(work / target.name)
            (work / target.name).rename(target)
        else:
            crate.write(work / "crate")
            (work / "crate").rename(target)


def left_out(facts: RunFacts) -> list[str]:
    """What belongs to a run and is not in its crate, each with the reason.

    Parameters
    ----------
    facts
        From `gather_facts`.
    """
    run = facts.run
    told = []
    if facts.source is None:
        told.append(
            f"{run.pipeline}.ipynb: it was edited since the run, or is gone; the executed notebook is there"
        )
    for name, output in sorted(run.outputs.items()):
        if name == FLARE_LIST and not facts.stand:
            told.append(f"{name}: other runs have replaced it since")
        for product in sorted(products_of(output)):
            if product not in facts.products:
                told.append(f"{product}: other runs have replaced it since")
            elif product not in facts.files:
                told.append(f"{product}: it has no file of its own; it is named with its hash")
    if run.notebook and facts.executed is None:
        told.append("the executed notebook: it is gone")
    if run.started and facts.log is None:
        told.append("the log: it is gone")
    return told


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """A folder beside the target, gone at the end."""
    work = target.parent / f"{TEMPORARY}{os.getpid()}-{target.name}"
    try:
        (work / "parts").mkdir(parents=True)
        yield work
    except OSError as error:
        raise write_failed(target, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _build(facts: RunFacts, parts: Path, data_license: str) -> Any:
    from rocrate.rocrate import ROCrate

    run = facts.run
    crate = ROCrate(version="1.1")
    crate.name = f"Run {run.run_id}"
    crate.description = _summary(facts)
    crate.datePublished = run.finished
    crate.root_dataset["identifier"] = run.run_id
    crate.root_dataset["license"] = _license(
        crate, CODE_LICENSE, "Of the notebook and of the software; data are under the terms of their owner."
    )
    profiles = PROFILES if facts.source is not None else PROFILES[:1]
    crate.root_dataset["conformsTo"] = [
        crate.add(_context(crate, url, "CreativeWork", name=url.rsplit("/", 2)[1])) for url in profiles
    ]
    tool = _workflow(crate, facts)
    objects = [*_parameters(crate, facts, tool), *_inputs(crate, facts)]
    results = _results(crate, facts, parts)
    if data_license:
        terms = _license(crate, data_license, "Of the results.")
        for each in results:
            if each.id.startswith("outputs/"):
                each["license"] = terms
    _add_action(crate, facts, tool, objects, results)
    _add_more(crate, facts, parts)
    return crate


def _context(crate: Any, identity: str, kind: str | list[str], **properties: Any) -> Any:
    from rocrate.model import ContextEntity

    kept = {k: v for k, v in properties.items() if v not in ("", None)}
    return ContextEntity(crate, identity, properties={"@type": kind} | kept)


def _license(crate: Any, address: str, description: str) -> Any:
    name = address.rstrip("/").rsplit("/", 1)[-1]
    return crate.add(_context(crate, address, "CreativeWork", name=name, description=description))


def _summary(facts: RunFacts) -> str:
    run = facts.run
    what = facts.spec.summary if facts.spec is not None else f"A run of the pipeline {run.pipeline}."
    if run.status is not RunStatus.SUCCEEDED:
        return f"{what} This run ended as {run.status}: {run.error}"
    return what if facts.stand else f"{what} Other runs have replaced what it delivered since."


def _workflow(crate: Any, facts: RunFacts) -> Any:
    """The notebook: a file where it is there as it was executed, else only its name and hash."""
    from rocrate.model.computerlanguage import ComputerLanguage

    run = facts.run
    if facts.source is None:
        return crate.add(
            _context(
                crate,
                f"#{run.pipeline}",
                "SoftwareApplication",
                name=run.pipeline,
                description="This notebook was edited since the run, or is gone; its executed form is in the crate.",
                sha256=run.notebook_sha256,
            )
        )
    language = crate.add(
        ComputerLanguage(
            crate,
            "#jupyter",
            properties={"name": "Jupyter Notebook", "alternateName": "ipynb", "url": "https://jupyter.org/"},
        )
    )
    properties = {
        "name": run.pipeline,
        "sha256": run.notebook_sha256,
        "encodingFormat": "application/x-ipynb+json",
    }
    if facts.spec is not None:
        properties |= {"name": facts.spec.title, "description": facts.spec.summary}
    workflow = crate.add_workflow(
        facts.source, facts.source.name, properties=properties, main=True, lang=language
    )
    workflow["license"] = crate.dereference(CODE_LICENSE)
    if facts.spec is not None and facts.spec.authors:
        workflow["author"] = [
            crate.add(_context(crate, f"#author-{n}", "Person", name=name))
            for n, name in enumerate(facts.spec.authors, start=1)
        ]
    return workflow


def _parameters(crate: Any, facts: RunFacts, workflow: Any) -> list[Any]:
    """Values of the parameters, each the example of a formal one of the workflow."""
    declared = {p.name: p for p in facts.spec.parameters} if facts.spec is not None else {}
    values = []
    for name, value in facts.run.parameters.items():
        entity = crate.add(_context(crate, f"#value-{name}", "PropertyValue", name=name))
        entity["value"] = value if isinstance(value, str) else json.dumps(value)
        if name in declared:
            formal = crate.add_formal_parameter(
                name,
                _TYPES[declared[name].type],
                identifier=f"#parameter-{name}",
                description=declared[name].help,
                valueRequired=declared[name].required,
            )
            workflow.append_to("input", formal)
            entity["exampleOfWork"] = formal
        values.append(entity)
    return values


def _inputs(crate: Any, facts: RunFacts) -> list[Any]:
    """What was read: named with the hash of its content, not contained."""
    return [
        crate.add(
            _context(
                crate,
                f"urn:stixlab:content/{sha256}/{name}",
                "CreativeWork",
                name=name,
                identifier=name,
                sha256=sha256,
            )
        )
        for name, sha256 in sorted(facts.run.inputs.items())
    ]


def _results(crate: Any, facts: RunFacts, parts: Path) -> list[Any]:
    results = []
    for name, told in sorted(facts.run.outputs.items()):
        if name == FLARE_LIST and facts.stand:
            path = parts / f"{name}.json"
            path.write_text(json.dumps(flare_documents(facts.flares), indent=1) + "\n", encoding="utf-8")
            content = told.get("content_sha256")
            file = _add_file(
                crate, path, f"outputs/{path.name}", name, "application/json", identifier=content
            )
            results.append(file)
        for product, sha256 in sorted(products_of(told).items()):
            if product in facts.files:
                path = facts.files[product]
                file = _add_file(
                    crate, path, f"outputs/{path.name}", product, "application/fits", identifier=sha256
                )
                results.append(file)
            else:
                results.append(
                    crate.add(
                        _context(
                            crate,
                            f"urn:stixlab:content/{sha256}/{product}",
                            "CreativeWork",
                            name=product,
                            sha256=sha256,
                        )
                    )
                )
    if facts.executed is not None:
        path = facts.executed
        results.append(
            _add_file(crate, path, f"executed/{path.name}", "Executed notebook", "application/x-ipynb+json")
        )
    return results


def _add_file(crate: Any, path: Path, place: str, name: str, form: str, **more: Any) -> Any:
    from stixlab.files import sha256_of

    properties = {"name": name, "encodingFormat": form, "sha256": sha256_of(path)}
    properties |= {k: v for k, v in more.items() if v}
    return crate.add_file(path, place, properties=properties, record_size=True)


def _add_action(crate: Any, facts: RunFacts, tool: Any, objects: list[Any], results: list[Any]) -> None:
    run = facts.run
    ended = "Completed" if run.status is RunStatus.SUCCEEDED else "Failed"
    properties = {
        "@type": "CreateAction",
        "name": f"Run {run.run_id}",
        "description": f"Asked for by: {run.trigger}. Machine: {run.machine or 'unknown'}.",
        "startTime": run.started.isoformat() if run.started else None,
        "endTime": run.finished.isoformat() if run.finished else None,
        "actionStatus": f"http://schema.org/{ended}ActionStatus",
        "error": run.error,
    }
    kept = {k: v for k, v in properties.items() if v}
    action = crate.add_action(
        tool, identifier=f"#{run.run_id}", object=objects, result=results, properties=kept
    )
    if run.asked_by:
        action["agent"] = crate.add(_context(crate, f"#account-{run.asked_by}", "Person", name=run.asked_by))
    software = _context(
        crate,
        "#software",
        "SoftwareApplication",
        name="stixlab",
        softwareVersion=run.versions.get("stixlab", ""),
        softwareRequirements=[f"{k} {v}" for k, v in sorted(run.versions.items()) if k != "stixlab"],
        identifier=run.environment_sha256,
    )
    tool["softwareRequirements"] = crate.add(software)
    crate.root_dataset["mentions"] = action


def _add_more(crate: Any, facts: RunFacts, parts: Path) -> None:
    """The log, and the provenance in W3C's form."""
    if facts.log is not None:
        _add_file(crate, facts.log, "log.txt", "Log of the run", "text/plain")
    path = parts / "prov.json"
    path.write_bytes(prov_json(facts))
    file = _add_file(crate, path, "prov.json", "Provenance (W3C PROV-JSON)", "application/json")
    file["about"] = crate.dereference(f"#{facts.run.run_id}")
