"""What a run costs above the notebook's own imports and work: on a warm and on a fresh kernel."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stixlab.bench.measurement import Measurement
from stixlab.model.run import Run, RunStatus
from stixlab.pipeline.runner import execute, kernel_environment, prepare
from stixlab.pipeline.spec import PipelineSpec, read_spec
from stixlab.pipeline.warm import KernelPool

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["measure"]

GOAL_WARM_S = 0.25
GOAL_COLD_S = 1.5
_REPEATS = 7
_READY_S = 120.0
_BENCHMARK = "pipelines"
_FRONT = """\
title: Overhead
summary: Does nothing, as quickly as it can.
needs: []
makes: [flare-list]
kernel: {kernel}
"""
_RESULT = {
    "name": "flare-list", "origin": "simulated", "start": "2022-03-01T00:00:00+00:00",
    "end": "2022-03-02T00:00:00+00:00", "inputs": {}, "n_records": 0, "flares": [],
}  # fmt: skip
_CELLS = (
    'if False:\n    run = stixlab.start_run("overhead", start=start)\n    run.save("flare-list", [])',
    "import time\nbegan = time.perf_counter()",
    "1 + 1",
    f"import pathlib\npathlib.Path('outputs').mkdir()\npathlib.Path('outputs/flare-list.json').write_text({json.dumps(_RESULT)!r})",
    "print('shown')",
)


def measure() -> Iterator[Measurement]:
    """Overheads: wall time of `execute` for a notebook of six small cells that imports and does nothing."""
    began = time.perf_counter()
    prepare()
    taken = time.perf_counter() - began
    yield Measurement(_BENCHMARK, "import of papermill, once in each worker", taken, "s")
    environment = kernel_environment(os.environ)
    with tempfile.TemporaryDirectory() as folder, KernelPool(environment) as pool:
        root = Path(folder)
        began = time.perf_counter()
        if not pool.wait_ready(_READY_S):
            raise RuntimeError(f"bench pipelines: no warm kernel was ready after {_READY_S:g} s")
        yield Measurement(
            _BENCHMARK, "until the first warm kernel is ready", time.perf_counter() - began, "s"
        )
        fresh = _seconds(_spec(root, "fresh"), root, environment, pool)
        warm = _seconds(_spec(root, "warm"), root, environment, pool)
    yield Measurement(
        _BENCHMARK, "overhead of a warm run, best", min(warm), "s", GOAL_WARM_S, smaller_is_better=True
    )
    yield Measurement(_BENCHMARK, "overhead of a warm run, median", sorted(warm)[_REPEATS // 2], "s")
    yield Measurement(
        _BENCHMARK, "overhead of a cold run, best", min(fresh), "s", GOAL_COLD_S, smaller_is_better=True
    )
    yield Measurement(_BENCHMARK, "overhead of a cold run, median", sorted(fresh)[_REPEATS // 2], "s")


def _spec(root: Path, kernel: str) -> PipelineSpec:
    """A pipeline of small cells, in a folder of its own."""
    cells: Sequence[dict[str, object]] = [
        {
            "cell_type": "raw",
            "id": "front",
            "metadata": {"tags": ["pipeline"]},
            "source": _FRONT.format(kernel=kernel),
        },
        _code("parameters", "start: str = '2022-03-01'  # UTC", ["parameters"]),
        *(_code(f"cell-{n}", source, []) for n, source in enumerate(_CELLS)),
    ]
    path = root / kernel / "overhead.ipynb"
    path.parent.mkdir()
    path.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8"
    )
    return read_spec(path)


def _code(name: str, source: str, tags: Sequence[str]) -> dict[str, object]:
    return {
        "cell_type": "code", "execution_count": None, "id": name,
        "metadata": {"tags": list(tags)}, "outputs": [], "source": source,
    }  # fmt: skip


def _seconds(spec: PipelineSpec, root: Path, environment: dict[str, str], pool: KernelPool) -> list[float]:
    """Wall time of each of several executions; a warm kernel is there before each."""
    taken = []
    for n in range(_REPEATS):
        pool.wait_ready(_READY_S)
        run = Run(
            f"overhead-{spec.kernel}-{n}",
            spec.name,
            {"start": "2022-03-01"},
            RunStatus.RUNNING,
            datetime.now(UTC),
        )
        began = time.perf_counter()
        execute(run, spec, folder=root / run.run_id, environment=environment, pool=pool)
        taken.append(time.perf_counter() - began)
    return taken
