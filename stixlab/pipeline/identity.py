"""What makes two runs the same run."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.parameters import check_parameters
from stixlab.pipeline.spec import PipelineSpec

__all__ = ["make_run", "run_identity", "software_versions"]

_PACKAGES = ("stixlab", "numpy", "scipy", "xarray", "dask", "zarr", "astropy", "papermill", "ipykernel")


def software_versions() -> dict[str, str]:
    """Versions of what decides about a result."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def run_identity(
    spec: PipelineSpec, parameters: Mapping[str, Any], inputs: Mapping[str, str], versions: Mapping[str, str]
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

    Returns
    -------
    str
        Name of the pipeline and 16 hexadecimal digits.
    """
    what = [spec.name, spec.notebook_sha256, versions.get("stixlab", ""), dict(parameters), dict(inputs)]
    text = json.dumps(what, sort_keys=True, separators=(",", ":"))
    return f"{spec.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def make_run(
    spec: PipelineSpec,
    given: Mapping[str, Any],
    *,
    inputs: Mapping[str, str],
    trigger: str = "manual",
    now: datetime | None = None,
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
        ``manual`` or ``product``.
    now
        UTC; none: the clock's.

    Raises
    ------
    ParameterError
        If a parameter is unknown, missing, mistyped or out of range.
    """
    parameters = check_parameters(spec, given)
    versions = software_versions()
    return Run(
        run_id=run_identity(spec, parameters, inputs, versions),
        pipeline=spec.name,
        parameters=parameters,
        status=RunStatus.QUEUED,
        created=now or datetime.now(UTC),
        trigger=trigger,
        notebook_sha256=spec.notebook_sha256,
        inputs=dict(inputs),
        versions=versions,
    )
