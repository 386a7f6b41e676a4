"""What a pipeline notebook holds while it runs: its data by name, its results by name.

The same object serves a notebook that is opened by hand: results are then shown and go nowhere.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import xarray as xr

from stixlab.analysis.flares import flares_to_table
from stixlab.errors import PipelineError
from stixlab.model.flare import Flare
from stixlab.pipeline.inputs import find_sources, flares_content, flares_id
from stixlab.pipeline.outputs import FLARE_LIST, Output, stage_output
from stixlab.pipeline.products import Stage, collect_products
from stixlab.pipeline.ranges import range_of, span_of
from stixlab.pipeline.run_folder import REQUEST_NAME, RUN_FOLDER_VARIABLE
from stixlab.pipeline.tasks import Tasks, open_tasks
from stixlab.settings import read_settings
from stixlab.timing import to_datetime
from stixlab.vocabulary import FLIGHT

if TYPE_CHECKING:
    from astropy.table import QTable

    from stixlab.model import Product

__all__ = ["ProductMaker", "RunSession", "start_run"]

log = logging.getLogger(__name__)

STAGE_NAME = "products"
"""Folder for the files of products, where the request names none."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Task = TypeVar("Task")
Result = TypeVar("Result")
ProductMaker = Callable[["RunSession", str, Sequence[xr.Dataset]], None]
"""Writes datasets as products of a type to the stage of a run."""


class RunSession:
    """One run, seen from within the notebook.

    Parameters
    ----------
    lab
        Where data comes from: `open(type, start, end, origin=)` and `products(...)`.
    pipeline
        Name of the notebook.
    parameters
        As the notebook has them.
    folder
        Work folder of the run; None when the notebook is opened by hand.
    needs, makes, may_make
        What the pipeline declares; empty by hand: nothing is refused then.
    margin_s
        Declared margin, seconds: data beyond it are not among the inputs that a run is known by. None: any.
    stage
        Folder for the files of products; none: one in `folder`, or by hand a temporary one.
    maker
        Makes products of datasets; without it only products that were staged can be saved.
    """

    def __init__(
        self,
        lab: Any,
        pipeline: str,
        parameters: dict[str, Any],
        *,
        folder: Path | None = None,
        needs: Sequence[str] = (),
        makes: Sequence[str] = (),
        margin_s: float | None = None,
        may_make: Sequence[str] = (),
        stage: Path | None = None,
        maker: ProductMaker | None = None,
    ) -> None:
        self.lab = lab
        self.pipeline = pipeline
        self.parameters = parameters
        self.inputs: dict[str, str] = {}
        self.origin: str = str(parameters.get("origin") or "")
        self._folder = folder
        self._needs = tuple(needs)
        self._margin_s = margin_s
        self._makes = (*makes, *may_make)
        self._stage_folder = stage or (folder / STAGE_NAME if folder is not None else None)
        self._maker = maker

    @cached_property
    def stage(self) -> Stage:
        """Catalogue and archive for products that this run makes: what is written there is seen by this run alone."""
        folder = self._stage_folder
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="stixlab-run-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.inputs |= find_sources(self.lab.catalog, self._needs, self.parameters)
        return Stage(self.lab.catalog, self.lab.archive, folder)

    @cached_property
    def _tasks(self) -> Tasks:
        return open_tasks(read_settings().dask)

    def client(self) -> Tasks:
        """Where tasks are done: the dask cluster that ``STIXLAB_DASK`` names, else threads of this process.

        From the first call on, lazy datasets are computed on the cluster, too.

        Raises
        ------
        PipelineError
            If the cluster does not answer, or has no workers.
        """
        return self._tasks

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> list[Result]:
        """What a function gives for each task, in their order; see `stixlab.pipeline.tasks.Tasks.map`."""
        return self.client().map(function, tasks)

    def fetch(self, product_type: str, *, margin_s: float = 0.0) -> xr.Dataset:
        """Level 1 data of the run's range of time, lazy.

        Parameters
        ----------
        product_type
            Archive name, such as ``ql-lightcurve``; one the pipeline declares under ``needs``.
        margin_s
            Seconds more on both sides.

        Raises
        ------
        PipelineError
            If the type is not declared, or data of several origins would be mixed.
        NotInCatalogError
            If there is nothing in the range.
        """
        if self._needs and product_type not in self._needs:
            raise PipelineError(
                f"fetch: {product_type} is not among the declared needs: {', '.join(self._needs)}"
            )
        start, end = self._range(margin_s)
        ds: xr.Dataset = self.lab.open(product_type, start, end, origin=self.origin or None)
        origin = str(ds.attrs.get("origin", FLIGHT))
        if self.origin and origin != self.origin:
            raise PipelineError(f"fetch: expected data of origin {self.origin}; found {origin}")
        self.origin = origin
        for product in self.lab.products(type=product_type, level="L1", start=start, end=end, origin=origin):
            self.inputs[product.product_id] = product.content_sha256
        return ds

    def flares(self, *, margin_s: float = 0.0) -> QTable:
        """The flare list of the run's range of time, by the time of the peak.

        Parameters
        ----------
        margin_s
            Seconds more on both sides.

        Raises
        ------
        PipelineError
            If ``flare-list`` is not declared under ``needs``.
        """
        if self._needs and FLARE_LIST not in self._needs:
            raise PipelineError(
                f"flares: {FLARE_LIST} is not among the declared needs: {', '.join(self._needs)}"
            )
        start, end = self._range(margin_s)
        origin = self.origin or None
        found = self.lab.find_flares(start, end, origin=origin)
        self.inputs[flares_id(to_datetime(start), to_datetime(end), origin)] = flares_content(found)
        return flares_to_table(found)

    def _range(self, margin_s: float) -> tuple[np.datetime64, np.datetime64]:
        """Start and end of what is read; not more than was declared."""
        if self._margin_s is not None and margin_s > self._margin_s:
            raise PipelineError(
                f"fetch: expected a margin of at most {self._margin_s:g} s, as declared; found {margin_s:g} s; "
                "raise 'margin' in the first cell"
            )
        first, last = range_of(self.parameters)
        margin = np.timedelta64(round(margin_s * 1e9), "ns")
        start = np.datetime64(first.replace(tzinfo=None), "ns") - margin
        return start, np.datetime64(last.replace(tzinfo=None), "ns") + margin

    def save(self, name: str, result: Any) -> Any:
        """Deliver a result, to be taken into the catalogue when the whole run has succeeded.

        Parameters
        ----------
        name
            One the pipeline declares under ``makes`` or ``may_make``.
        result
            For ``flare-list`` the flares with their peak in the run's range; for a product type a dataset or several,
            as the type is declared: each UTC day in them becomes a product.

        Returns
        -------
        astropy.table.QTable
            The result, for the notebook to show.

        Raises
        ------
        PipelineError
            If the result is not declared, wrong, or saved before.
        SchemaError
            If a dataset departs from the declaration of its type.
        """
        if (name != FLARE_LIST and self._maker is None) or (self._makes and name not in self._makes):
            raise PipelineError(f"save: {name!r} is not among the declared results: {', '.join(self._makes)}")
        if name == FLARE_LIST:
            return self._save_flares(result)
        datasets = [result] if isinstance(result, xr.Dataset) else list(result)
        if kinds := sorted({type(d).__name__ for d in datasets if not isinstance(d, xr.Dataset)}):
            raise PipelineError(f"save: expected datasets for {name}; found {', '.join(kinds)}")
        if not datasets:
            raise PipelineError(f"save: expected at least one dataset for {name}; found none")
        if self._maker is not None:
            self._maker(self, name, datasets)
        return self._save_products([name])

    def save_products(self) -> QTable:
        """Deliver all products that were made on the stage of this run, each under its type.

        Returns
        -------
        astropy.table.QTable
            One row a product; none if all were up to date.

        Raises
        ------
        PipelineError
            If a product is of a type that is not declared, or was saved before.
        """
        names = self.stage.types
        if self._makes and (extra := [n for n in names if n not in self._makes]):
            raise PipelineError(
                f"save: {', '.join(extra)} is not among the declared results: {', '.join(self._makes)}"
            )
        return self._save_products(names)

    def _save_products(self, names: Sequence[str]) -> QTable:
        saved: list[Product] = []
        for name in names:
            staged = collect_products(self.stage, name)
            saved += staged.products
            start, end = span_of(self.parameters)
            if self._folder is not None:
                output = Output(
                    name,
                    self.origin,
                    start or _EPOCH,
                    end or datetime.now(UTC),
                    dict(self.inputs),
                    products=staged,
                )
                stage_output(self._folder, output)
                log.info(
                    "result staged",
                    extra={"pipeline": self.pipeline, "output": name, "n_records": len(staged.products)},
                )
        return products_to_table(saved)

    def _save_flares(self, result: Sequence[Flare]) -> QTable:
        if not all(isinstance(f, Flare) for f in result):
            kinds = sorted({type(f).__name__ for f in result})
            raise PipelineError(f"save: expected flares for {FLARE_LIST}; found {', '.join(kinds)}")
        if not self.origin:
            raise PipelineError(f"save: {FLARE_LIST} was made from no data; call run.fetch() first")
        start, end = range_of(self.parameters)
        if self._folder is not None:
            stage_output(
                self._folder, Output(FLARE_LIST, self.origin, start, end, dict(self.inputs), tuple(result))
            )
            log.info(
                "result staged",
                extra={"pipeline": self.pipeline, "output": FLARE_LIST, "n_records": len(result)},
            )
        return flares_to_table(result)


def products_to_table(products: Sequence[Product]) -> QTable:
    """Products as a table, one row each."""
    from astropy.table import QTable
    from astropy.time import Time

    def times(name: str) -> Time:
        found = [getattr(p, name).replace(tzinfo=None) for p in products]
        return Time(np.array(found, dtype="datetime64[ms]"), format="datetime64", scale="utc", precision=0)

    table = QTable()
    table["product"] = np.array([p.product_id for p in products], dtype=str)
    table["version"] = np.array([p.version for p in products], dtype=int)
    for name in ("start", "end"):
        table[name] = times(name)
        table[name].format = "isot"
    table["times"] = np.array([p.n_times for p in products], dtype=int)
    table["FITS bytes"] = np.array([p.fits_bytes for p in products], dtype=int)
    return table


def start_run(lab: Any, pipeline: str, maker: ProductMaker | None = None, /, **parameters: Any) -> RunSession:
    """Begin a run in a pipeline notebook.

    Parameters
    ----------
    lab
        Connection to the data center.
    pipeline
        Name of the notebook.
    maker
        Makes products of datasets.
    **parameters
        Those of its parameters cell.

    Raises
    ------
    PipelineError
        If the notebook runs under other parameters than were asked for.
    """
    folder = os.environ.get(RUN_FOLDER_VARIABLE)
    if not folder:
        return RunSession(lab, pipeline, parameters, maker=maker)
    path = Path(folder) / REQUEST_NAME
    try:
        request = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"run: expected its request at {path}: {error}; start runs with `stixlab run`"
        ) from error
    if request["pipeline"] != pipeline or request["parameters"] != parameters:
        raise PipelineError(
            f"run: asked for {request['pipeline']} with {request['parameters']}; "
            f"the notebook starts {pipeline} with {parameters}; pass every parameter to start_run"
        )
    return RunSession(
        lab,
        pipeline,
        parameters,
        folder=Path(folder),
        needs=request["needs"],
        makes=request["makes"],
        margin_s=request.get("margin_s"),
        may_make=request.get("may_make", ()),
        stage=Path(request["stage"]) if "stage" in request else None,
        maker=maker,
    )
