"""What a pipeline notebook holds while it runs: its data by name, its results by name.

The same object serves a notebook that is opened by hand: results are then shown and go nowhere.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from astropy.table import QTable

from stixlab.analysis.flares import flares_to_table
from stixlab.errors import PipelineError
from stixlab.model.flare import Flare
from stixlab.pipeline.inputs import flares_content, flares_id
from stixlab.pipeline.outputs import FLARE_LIST, Output, range_of, stage_output
from stixlab.timing import to_datetime
from stixlab.vocabulary import FLIGHT

__all__ = ["RUN_FOLDER_VARIABLE", "RunSession", "start_run"]

log = logging.getLogger(__name__)

RUN_FOLDER_VARIABLE = "STIXLAB_RUN_FOLDER"
"""Environment variable by which the runner tells the notebook where its request is and its results go."""
REQUEST_NAME = "request.json"
"""File in that folder with what was asked for."""


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
    needs, makes
        What the pipeline declares; empty by hand: nothing is refused then.
    margin_s
        Declared margin, seconds: data beyond it are not among the inputs that a run is known by. None: any.
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
    ) -> None:
        self.lab = lab
        self.pipeline = pipeline
        self.parameters = parameters
        self.inputs: dict[str, str] = {}
        self.origin: str = str(parameters.get("origin") or "")
        self._folder = folder
        self._needs = tuple(needs)
        self._makes = tuple(makes)
        self._margin_s = margin_s

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

    def save(self, name: str, result: Sequence[Flare]) -> Any:
        """Deliver a result, to be taken into the catalogue when the whole run has succeeded.

        Parameters
        ----------
        name
            One the pipeline declares under ``makes``.
        result
            For ``flare-list`` the flares with their peak in the run's range.

        Returns
        -------
        astropy.table.QTable
            The result, for the notebook to show.

        Raises
        ------
        PipelineError
            If the result is not declared, wrong, or saved before.
        """
        if name != FLARE_LIST or (self._makes and name not in self._makes):
            raise PipelineError(f"save: {name!r} is not among the declared results: {', '.join(self._makes)}")
        if not all(isinstance(f, Flare) for f in result):
            kinds = sorted({type(f).__name__ for f in result})
            raise PipelineError(f"save: expected flares for {name}; found {', '.join(kinds)}")
        if not self.origin:
            raise PipelineError(f"save: {name} was made from no data; call run.fetch() first")
        start, end = range_of(self.parameters)
        if self._folder is not None:
            stage_output(
                self._folder, Output(name, self.origin, start, end, dict(self.inputs), tuple(result))
            )
            log.info(
                "result staged", extra={"pipeline": self.pipeline, "output": name, "n_records": len(result)}
            )
        return flares_to_table(result)


def start_run(lab: Any, pipeline: str, /, **parameters: Any) -> RunSession:
    """Begin a run in a pipeline notebook.

    Parameters
    ----------
    lab
        Connection to the data center.
    pipeline
        Name of the notebook.
    **parameters
        Those of its parameters cell.

    Raises
    ------
    PipelineError
        If the notebook runs under other parameters than were asked for.
    """
    folder = os.environ.get(RUN_FOLDER_VARIABLE)
    if not folder:
        return RunSession(lab, pipeline, parameters)
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
    )
