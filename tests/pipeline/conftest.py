"""A data center of which only the light curve is made up: real kernels, real papermill, stores in memory."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stixlab.archive import Archive
from stixlab.catalog import MemoryCatalog
from stixlab.model import Run
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.identity import make_run
from stixlab.pipeline.queue import Worker, run_now
from stixlab.pipeline.runner import kernel_environment
from tests.support.formal import Formal, receive
from tests.support.pipelines import GIVEN, stand_in, write_notebook

pytest.register_assert_rewrite("tests.support.faults")


@dataclass
class Center:
    """What a worker needs, in a folder of its own."""

    folder: Path
    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)

    def __post_init__(self) -> None:
        self.pipelines = self.folder / "pipelines"
        self.archive = Archive(self.folder / "archive", writable=True)
        self.environment = kernel_environment(os.environ, **stand_in(self.folder / "stand-in"))

    @property
    def parts(self) -> dict[str, Any]:
        return {"pipelines": self.pipelines, "archive": self.archive, "environment": self.environment}

    def write(self, *code: str, **parts: Any) -> Path:
        return write_notebook(self.pipelines, *code, **parts)

    def run(self, name: str = "trial", **given: Any) -> Run:
        return run_now(self.catalog, get_pipeline(self.pipelines, name), GIVEN | given, **self.parts)

    def queue(self, name: str = "trial", inputs: dict[str, str] | None = None, **given: Any) -> Run:
        run = make_run(get_pipeline(self.pipelines, name), GIVEN | given, inputs=inputs or {})
        assert self.catalog.runs.enqueue(run)
        return run

    def worker(self, **parts: Any) -> Worker:
        return Worker(self.catalog, **self.parts, **parts)

    def files(self, run: Run) -> list[str]:
        return sorted(
            str(p.relative_to(self.archive.root)) for p in self.archive.root.rglob("*") if p.is_file()
        )


@pytest.fixture
def center(tmp_path):
    return Center(tmp_path)


@pytest.fixture(scope="session")
def received(tmp_path_factory) -> Formal:
    return receive(tmp_path_factory.mktemp("received"))


@pytest.fixture
def formal(received, tmp_path) -> Formal:
    """A copy of what was received, to be changed."""
    return received.copy(tmp_path)
