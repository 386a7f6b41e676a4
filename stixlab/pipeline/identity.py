"""What makes two runs the same run."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.declaration import PipelineSpec
from stixlab.pipeline.parameters import check_parameters
from stixlab.products.program import sha256_of_parts

__all__ = ["BY_PEOPLE", "code_sha256", "environment_sha256", "make_run", "run_identity", "software_versions"]

_PACKAGES = ("stixlab", "numpy", "scipy", "xarray", "dask", "zarr", "astropy", "papermill", "ipykernel")
_CODE = "stixlab code"
_ASIDE = frozenset(
    (
        "api",
        "bench",
        "cli",
        "dashboards",
        "doctor.py",
        "hub",
        "platform.py",
        "services",
        "share",
        "simulation",
    )
)
"""Parts of the package that no result depends on; whatever is not named here decides."""
BY_PEOPLE = 10
"""Priority of runs that people ask for: before those that the data center asks for itself."""
_PRIORITY: Mapping[str, int] = {"manual": BY_PEOPLE, "back-fill": -10}


@cache
def _versions() -> Mapping[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found | {_CODE: code_sha256()[:16]}


def software_versions() -> dict[str, str]:
    """Versions of what decides about a result, as they were when first asked for in this process."""
    return dict(_versions())


@cache
def code_sha256() -> str:
    """Hash over the modules and tables that decide about the result of a run, so that an edit shows without a new version.

    All of the package but what no result depends on. `stixlab.products.program.code_sha256` is narrower on purpose:
    it names the few parts that turn packets into products.
    """
    root = Path(__file__).parents[1]
    return sha256_of_parts(root, sorted(p.name for p in root.iterdir() if p.name not in _ASIDE))


def environment_sha256(versions: Mapping[str, str]) -> str:
    """Hash of the versions of all that decides about a result.

    Parameters
    ----------
    versions
        From `software_versions`.
    """
    return hashlib.sha256(json.dumps(dict(versions), sort_keys=True).encode()).hexdigest()


def run_identity(
    spec: PipelineSpec,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    versions: Mapping[str, str],
    *,
    occasion: str = "",
) -> str:
    """Identity of a run: equal for the same notebook, software, parameters and content of inputs.

    Parameters
    ----------
    spec
    parameters
        Checked, with defaults.
    inputs
        Product id -> content hash.
    versions
        From `software_versions`.
    occasion
        What else sets it apart: its slot, if what it reads is not declared.

    Returns
    -------
    str
        Name of the pipeline and 16 hexadecimal digits.
    """
    what = [
        spec.name,
        spec.notebook_sha256,
        environment_sha256(versions),
        dict(parameters),
        dict(inputs),
        occasion,
    ]
    text = json.dumps(what, sort_keys=True, separators=(",", ":"))
    return f"{spec.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def make_run(
    spec: PipelineSpec,
    given: Mapping[str, Any],
    *,
    inputs: Mapping[str, str],
    trigger: str = "manual",
    now: datetime | None = None,
    occasion: str = "",
    asked_by: str = "",
    batch: str = "",
    after: tuple[str, ...] = (),
) -> Run:
    """A run to be queued, its parameters checked.

    Parameters
    ----------
    spec
    given
        Parameters as asked for.
    inputs
        Product id -> content hash of what it will read.
    trigger
        ``manual``, ``product``, ``schedule`` or ``back-fill``.
    now
        UTC; none: the clock's.
    occasion
        What sets it apart from a run of the same inputs.
    asked_by
        Account that asks for it.
    batch
        Back-fill it belongs to.
    after
        Ids of the runs that must have succeeded before.

    Raises
    ------
    ParameterError
        If a parameter is unknown, missing, mistyped or out of range.
    """
    parameters = check_parameters(spec, given)
    versions = software_versions()
    return Run(
        run_id=run_identity(spec, parameters, inputs, versions, occasion=occasion),
        pipeline=spec.name,
        parameters=parameters,
        status=RunStatus.QUEUED,
        created=now or datetime.now(UTC),
        trigger=trigger,
        asked_by=asked_by,
        priority=_PRIORITY.get(trigger, 0) + spec.priority,
        after=after,
        batch=batch,
        notebook_sha256=spec.notebook_sha256,
        inputs=dict(inputs),
        versions=versions,
        environment_sha256=environment_sha256(versions),
    )
