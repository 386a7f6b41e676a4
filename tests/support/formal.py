"""A data center with real packets for pipelines that make products, with and without kernels."""

import json
import os
import pickle
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from stixlab.ingest.formal import make_planned, plan_daily, plan_requests
from stixlab.ingest.run_products import write_datasets
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.outputs import commit_outputs, read_outputs
from stixlab.pipeline.queue import run_now
from stixlab.pipeline.runner import kernel_environment
from stixlab.pipeline.session import RunSession
from stixlab.vocabulary import PRODUCT_TYPES
from tests.support.chain import Chain, chain_of
from tests.support.packets import light_curves
from tests.support.science import aspect_burst, pixel_request

PIPELINES = Path(__file__).parents[2] / "pipelines"
ALL = (*PRODUCT_TYPES, "asp-ephemeris")
RANGE = {"start": "2021-01-01", "end": "2021-02-01"}
SCIENCE = {"start": "2025-05-01", "end": "2025-06-01"}
DAY = {"start": "2026-02-03", "end": "2026-02-04"}

FACTORY = '''\
"""In place of `stixlab.factory`: the records of a catalogue in memory, read from a file, over a real archive."""
import os
import pickle
from pathlib import Path

from stixlab.archive import Archive
from stixlab.catalog.memory import MemoryCatalog
from stixlab.client import Lab
from stixlab.ephemeris.clock import load_clock
from stixlab.ingest.run_products import write_datasets
from stixlab.pipeline.session import start_run as begin
from stixlab.settings import Settings


def start_run(name, /, **parameters):
    home, catalog = Path(os.environ["STIXLAB_HOME"]), MemoryCatalog()
    for collection, documents in pickle.loads(Path(__file__).with_name("catalog.pickle").read_bytes()).items():
        for document in documents:
            catalog.collections[collection].replace(document)
    lab = Lab(Settings(home=home, spice=None), catalog, Archive(home / "archive"), load_clock(), None)
    return begin(lab, name, write_datasets, **parameters)
'''


@dataclass
class Formal:
    """Runs pipelines on what a chain has taken in."""

    chain: Chain
    folder: Path
    ingested: dict = field(default_factory=dict)
    """`state` after the ingest."""

    def copy(self, folder: Path) -> "Formal":
        """The same elsewhere."""
        return Formal(self.chain.copy(folder / "home"), folder, self.ingested)

    def session(self, **parameters) -> RunSession:
        """A run without a kernel; what it saves is staged in a folder of its own."""
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        return RunSession(
            self.chain.lab, "trial", parameters, folder=work, may_make=ALL, maker=write_datasets,
            stage=self.chain.archive.root / "runs" / "trial" / "products",
        )  # fmt: skip

    def outputs(self):
        return read_outputs(self.folder / "work", (), ALL)

    def commit(self, run: RunSession, outputs=None):
        record = SimpleNamespace(run_id="trial-1", pipeline="trial", parameters=run.parameters)
        return commit_outputs(
            self.chain.catalog,
            record,
            self.outputs() if outputs is None else outputs,
            archive=self.chain.archive,
        )

    def run(self, name: str, environment=None, pipelines=PIPELINES, **given):
        """A run as people start it, in a kernel of its own."""
        from tests.support.pipelines import stand_in

        place = self.folder / "stand-in"
        given_environment = stand_in(place, factory=FACTORY)
        collections = {n: list(c.each()) for n, c in self.chain.catalog.collections.items()}
        (place / "catalog.pickle").write_bytes(pickle.dumps(collections))
        kernel = kernel_environment(
            os.environ, **given_environment, STIXLAB_HOME=str(self.chain.home), **(environment or {})
        )
        return run_now(
            self.chain.catalog, get_pipeline(pipelines, name), given,
            pipelines=pipelines, archive=self.chain.archive, environment=kernel,
        )  # fmt: skip

    def forget(self) -> None:
        """Let all products be gone: records, datasets, FITS files, tables."""
        for product in self.chain.catalog.products.find(hidden=None):
            self.chain.catalog.products.delete(product.product_id)
        for name in ("zarr", "fits", "simulated"):
            shutil.rmtree(self.chain.archive.root / name, ignore_errors=True)

    def state(self):
        """All products, with what tells that they are the same."""
        return {
            p.product_id: (p.version, p.content_sha256, p.zarr, p.fits, p.n_times, p.sources, p.complete)
            for p in self.chain.catalog.products.find(hidden=None)
        }


def receive(folder: Path) -> Formal:
    """Two days of light curves of 2021, a request and a burst of 2025, and no products of them."""
    formal = Formal(chain_of(folder, light_curves(40, n_bins=580), pixel_request(5), aspect_burst(3)), folder)
    formal.ingested = formal.state()
    formal.forget()
    return formal


def daily(formal: Formal, **parameters) -> RunSession:
    """A run that made the days and staged them."""
    run = formal.session(**(RANGE | parameters))
    make_planned(run, plan_daily(run))
    run.save_products()
    return run


def science(formal: Formal, **parameters):
    """The same of the requests, with what was made."""
    run = formal.session(**(SCIENCE | parameters))
    made = make_planned(run, plan_requests(run))
    run.save_products()
    return run, made


def staged_path(formal: Formal, key: str) -> Path:
    return formal.chain.archive.root / "runs" / "trial" / "products" / key


def change(formal: Formal, name: str, **fields) -> None:
    """Change fields of the first record that was staged."""
    path = formal.folder / "work" / "outputs" / f"{name}.json"
    document = json.loads(path.read_text())
    document["products"]["products"][0] |= fields
    path.write_text(json.dumps(document))


def first(formal: Formal, name: str = "ql-lightcurve"):
    """The first record of that type that was staged."""
    return formal.outputs()[name].products.products[0]
