"""Whether a run need not be done: the same code, parameters, content of inputs and environment as one that succeeded.

The identity of a run follows from these, so that looking for it is one question. What it delivered must
still be there: other runs may have replaced it meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.declaration import FLARE_LIST, PipelineSpec
from stixlab.pipeline.identity import make_run
from stixlab.pipeline.inputs import find_inputs, flares_content
from stixlab.pipeline.parameters import check_parameters

__all__ = ["cached_run", "outputs_stand", "plan_run", "products_of"]


def cached_run(catalog: Any, spec: PipelineSpec, parameters: Mapping[str, Any]) -> Run | None:
    """The run that has done this already, None if there is none.

    Parameters
    ----------
    catalog
        Stores of records.
    spec
        The pipeline.
    parameters
        As asked for.

    Raises
    ------
    ParameterError
        If a parameter is unknown, missing, mistyped or out of range.
    CatalogError
        If the database does not answer.
    """
    run = plan_run(catalog, spec, parameters)
    return run if run.status is RunStatus.SUCCEEDED else None


def plan_run(
    catalog: Any,
    spec: PipelineSpec,
    given: Mapping[str, Any],
    *,
    inputs: Mapping[str, str] | None = None,
    trigger: str = "manual",
    now: datetime | None = None,
    occasion: str = "",
    asked_by: str = "",
    batch: str = "",
) -> Run:
    """The run that has done this already, or the one to put into the queue.

    Parameters
    ----------
    catalog
        Stores of records.
    spec, given, trigger, now, asked_by, batch
        As for `make_run`.
    inputs
        What it will read, if that is known.
    occasion
        Sets runs apart whose inputs are not declared, such as the slot of a schedule; none: the time.
        Runs whose inputs are declared are the same on every occasion.

    Returns
    -------
    Run
        With the status ``succeeded`` if nothing is to be done, else ``queued``; it is not in the queue yet.

    Raises
    ------
    ParameterError
        If a parameter is unknown, missing, mistyped or out of range.
    CatalogError
        If the database does not answer.
    """
    when = now or datetime.now(UTC)
    parameters = check_parameters(spec, given)
    reads = find_inputs(catalog, spec, parameters) if inputs is None else inputs
    apart = "" if spec.is_cached else (occasion or when.isoformat())
    while True:
        run = make_run(
            spec, parameters, inputs=reads, trigger=trigger, now=when, occasion=apart, asked_by=asked_by, batch=batch
        )  # fmt: skip
        known: Run | None = catalog.runs.get(run.run_id)
        if known is None or known.status is not RunStatus.SUCCEEDED:
            return run
        if not spec.is_cached or outputs_stand(catalog, known):
            return known
        # Another run has replaced what this one made: it is done again, under an id that follows from it.
        apart = f"after {known.run_id}"


def outputs_stand(catalog: Any, run: Run) -> bool:
    """Whether what a run delivered is still what the catalogue says.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    from stixlab.pipeline.outputs import range_of

    for name, told in run.outputs.items():
        if name == FLARE_LIST and told.get("content_sha256"):
            start, end = range_of(run.parameters)
            finders = catalog.flares.run_ids(start, end, told["origin"])
            if finders == [run.run_id] * told["records"]:
                continue
            flares = catalog.flares.find(start=start, end=end, origin=told["origin"])
            if flares_content(flares) != told["content_sha256"]:
                return False
        products = products_of(told)
        if products:
            now = catalog.products.get_many(products)
            if any(k not in now or sha not in ("", now[k].content_sha256) for k, sha in products.items()):
                return False
    return True


def products_of(told: Mapping[str, Any]) -> dict[str, str]:
    """Products of an output of a run, with the hash of their content; empty hashes where only ids were kept."""
    named = told.get("products", {})
    return dict(named) if isinstance(named, Mapping) else dict.fromkeys(named, "")
