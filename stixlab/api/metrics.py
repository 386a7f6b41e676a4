"""Numbers for Prometheus: runs, queue, workers, age of the data; nothing that is not public anyway."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from stixlab import __version__
from stixlab.api.runs import overview
from stixlab.api.source import Source, TheSource
from stixlab.client.overview import Overview
from stixlab.errors import StixlabError
from stixlab.model import RunStatus

__all__ = ["metrics_text", "router"]

log = logging.getLogger(__name__)
router = APIRouter()

_QUANTILES = (0.5, 0.95, 1.0)


@router.get("/metrics", tags=["health"], summary="Numbers for Prometheus")
def metrics(source: TheSource) -> Response:
    """Text of Prometheus, version 0.0.4; numbers are some seconds old at most."""
    return Response(
        metrics_text(source), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE_PLAIN_0_0_4
    )


def metrics_text(source: Source) -> bytes:
    """The text; without the numbers that come from the database while that is away, which it says."""
    try:
        found: Overview | None = overview(source)
    except StixlabError as error:
        log.warning("metrics: database away", extra={"error": error.message})
        found = None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(found))
    return generate_latest(registry)


class _Collector:
    """All numbers of one look at the database."""

    def __init__(self, found: Overview | None) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """The families, in a fixed order."""
        about = GaugeMetricFamily("stixlab_info", "Version of the service", labels=["version"])
        about.add_metric([__version__], 1.0)
        yield about
        yield GaugeMetricFamily(
            "stixlab_database_up", "Whether the database answers", value=float(self._found is not None)
        )
        if self._found is not None:
            yield from _runs(self._found)
            yield from _products(self._found)


def _runs(found: Overview) -> Iterator[Metric]:
    runs = GaugeMetricFamily(
        "stixlab_runs",
        "Runs of pipelines; queued and running now, the others ended within 7 days",
        labels=["pipeline", "status"],
    )
    seconds = GaugeMetricFamily(
        "stixlab_run_duration_seconds",
        "Durations of the runs that ended within 7 days",
        labels=["pipeline", "quantile"],
    )
    success = GaugeMetricFamily(
        "stixlab_last_success_timestamp_seconds", "When a run last succeeded, Unix time", labels=["pipeline"]
    )
    failing = GaugeMetricFamily(
        "stixlab_pipeline_failing", "Whether the newest run that ended failed", labels=["pipeline"]
    )
    for each in found.pipelines:
        for status in RunStatus:
            runs.add_metric([each.name, str(status)], each.counts.get(status, 0))
        if each.seconds:
            for q, value in zip(_QUANTILES, np.quantile(each.seconds, _QUANTILES), strict=True):
                seconds.add_metric([each.name, f"{q:g}"], float(value))
        if each.last_success is not None:
            success.add_metric([each.name], each.last_success.timestamp())
        failing.add_metric([each.name], float(each.failing))
    yield from (runs, seconds, success, failing)
    waiting = found.count(RunStatus.QUEUED)
    yield GaugeMetricFamily("stixlab_queue_length", "Runs that wait", value=waiting)
    yield GaugeMetricFamily(
        "stixlab_queue_oldest_seconds",
        "Age of the run that has waited longest; 0 if none waits",
        value=found.oldest_waiting_s,
    )
    yield GaugeMetricFamily("stixlab_workers_busy", "Workers that hold a run now", value=found.workers)


def _products(found: Overview) -> Iterator[Metric]:
    ages = GaugeMetricFamily(
        "stixlab_product_age_seconds",
        "Age of the newest data of a product type or result",
        labels=["type", "origin"],
    )
    for each in found.products:
        ages.add_metric([each.type, each.origin], each.age_s)
    yield ages
