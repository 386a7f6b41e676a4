"""The Python client, in process: everything by name and time, lazily."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from stixlab.archive import Archive
from stixlab.client.data import Data, read_range
from stixlab.client.opening import check_origin
from stixlab.client.places import Places
from stixlab.client.runs import NoDesk, RunDesk
from stixlab.model import Flare, Run, ScienceRequest, Telecommand
from stixlab.settings import Settings
from stixlab.timing import ClockTable

if TYPE_CHECKING:
    from astropy.table import QTable

    from stixlab.client.explain import Explanation
    from stixlab.packets.table import PacketTable
    from stixlab.packets.tree import PacketTree
    from stixlab.telemetry.assembly import Assembled

__all__ = ["Lab"]

Time = str | datetime | np.datetime64
"""A time in UTC: ISO text, datetime (without zone: UTC), or numpy."""


@dataclass(frozen=True)
class Lab(Data, Places):
    """Connection to a data center on this machine.

    Made by `stixlab.connect()`; holds no open file and no lock.
    """

    settings: Settings
    catalog: Any
    """Stores of records (`raw_files`, `products`, `flares`, `runs`)."""
    archive: Archive
    clock: ClockTable
    run_pipeline: Callable[[str, dict[str, Any]], Run]
    desk: RunDesk = field(default=NoDesk("public"))
    """Where runs are asked for, in the name of whoever this is."""

    def flares(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        min_counts: float = 0.0,
        origin: str | None = None,
    ) -> QTable:
        """Flares whose peak lies in ``[start, end)``, earliest first.

        Parameters
        ----------
        min_counts
            Smallest peak, 4-10 keV counts per 4 s.
        origin
            ``flight``, ``simulated`` or ``reencoded``; by default all, and the column ``origin`` says which.

        Returns
        -------
        astropy.table.QTable
            One row a flare, with units; no rows if there is none.
        """
        from stixlab.analysis.flares import flares_to_table

        return flares_to_table(self.find_flares(start, end, min_counts=min_counts, origin=origin))

    def find_flares(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        min_counts: float = 0.0,
        origin: str | None = None,
    ) -> list[Flare]:
        """The same as `flares`, as records."""
        check_origin(origin)
        low, high = read_range(start, end)
        return list(self.catalog.flares.find(start=low, end=high, min_counts=min_counts, origin=origin))

    def packets(self, **conditions: Any) -> PacketTable:
        """Packets that meet all conditions, a page at a time; see `stixlab.client.packets.find_packets`.

        Examples
        --------
        >>> lab.packets(start="2021-06-06", end="2021-06-07", text="light curve", limit=20)
        """
        from stixlab.client.packets import find_packets

        return find_packets(self, **conditions)

    def packet(self, identity: str) -> PacketTree:
        """A packet by its id: header, fields as a tree, bytes; see `stixlab.client.packets.get_packet`."""
        from stixlab.client.packets import get_packet

        return get_packet(self, identity)

    def requests(self, **conditions: Any) -> list[ScienceRequest]:
        """Data requests by `type`, `start`, `end`, `origin`, `complete`; see `stixlab.client.requests.find_requests`."""
        from stixlab.client.requests import find_requests

        return find_requests(self.catalog, **conditions)

    def request(self, name: str | int) -> Assembled:
        """All packets of a data request, decoded and in order; see `stixlab.client.requests.get_request`."""
        from stixlab.client.requests import get_request

        return get_request(
            name, catalog=self.catalog, archive=self.archive, versions=self.versions, clock=self.clock
        )

    def explain(self, identity: str) -> Explanation:
        """What a product, data request, flare or packet was made from; see `stixlab.client.explain.explain`."""
        from stixlab.client.explain import explain

        return explain(self, identity)

    def telecommands(
        self, start: Time | None = None, end: Time | None = None, **conditions: Any
    ) -> list[Telecommand]:
        """Telecommands of a time range; see `stixlab.client.telecommands.find_telecommands`."""
        from stixlab.client.telecommands import find_telecommands

        return find_telecommands(self.catalog, start, end, **conditions)

    def telecommand(self, identity: str) -> Telecommand:
        """A telecommand by its identity; see `stixlab.client.telecommands.get_telecommand`."""
        from stixlab.client.telecommands import get_telecommand

        return get_telecommand(self.catalog, identity)

    def run(self, pipeline: str, **parameters: Any) -> Run:
        """Run a pipeline and wait for it, with a bar of its cells; interrupted, it goes on without being waited for.

        Operators run it here, or wait for the worker that was quicker. Members of the team have the data center run
        it. The same run again gives what is there.

        Returns
        -------
        Run
            What became of it. If it failed, `status` says so and `error` why; the bar shows it, too.

        Raises
        ------
        ParameterError
            If a parameter is unknown, missing or wrong; nothing is started.
        PipelineError
            If there is no such pipeline.
        AccessError
            If this role may only read.

        Examples
        --------
        >>> run = lab.run("flare_list", start="2021-06-06", end="2021-06-07")
        """
        return self.run_pipeline(pipeline, parameters)

    def submit(self, pipeline: str, **parameters: Any) -> Run:
        """Ask for a run of a pipeline without waiting for it; errors as of `run`."""
        return self.desk.submit(pipeline, parameters)

    def cancel(self, run_id: str) -> Run:
        """Ask a run to stop; members their own, operators any.

        Raises
        ------
        NotInCatalogError, AccessError, ConflictError
            If there is no such run, it is somebody else's, or it has ended.
        """
        return self.desk.cancel(run_id)

    def retry(self, run_id: str) -> Run:
        """Have a run that failed or was cancelled tried again; errors as of `cancel`."""
        return self.desk.retry(run_id)

    @property
    def db(self) -> Any:
        """The pymongo database, with the rights of this role."""
        return self.catalog.database
