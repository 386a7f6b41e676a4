"""The app of the pipelines: numbers for everyone, and for the team the runs with their logs and a form.

For the public it is a page that lives on without its kernel and says nothing but numbers. In a notebook of the team
it is widgets: `RunList` with what became of each run, and `RunForm` to ask for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from stixlab.client.overview import RECENT, Overview, look_over
from stixlab.dashboards.lightcurves import age_text
from stixlab.dashboards.pages import AppPage, render
from stixlab.dashboards.request import is_public_app, query_string
from stixlab.errors import ParameterError, StixlabError
from stixlab.model import RunStatus
from stixlab.pipeline.discovery import Pipelines, find_pipelines
from stixlab.pipeline.spec import PipelineSpec
from stixlab.settings import project_folder
from stixlab.vocabulary import ORIGIN_LABELS

if TYPE_CHECKING:
    from stixlab.client.lab import Lab

__all__ = ["View", "summary_html"]

_WARM: list[str] = []


class View:
    """The app.

    Parameters
    ----------
    lab
        Where the runs are.
    query
        Query string of the link; none: that of the page the visitor asked for.
    pipelines
        Declarations by name; none: those of the installation.
    now
        Present time; none: the clock's.
    """

    def __init__(
        self,
        lab: Lab,
        query: str | None = None,
        *,
        pipelines: Mapping[str, PipelineSpec] | None = None,
        now: datetime | None = None,
    ) -> None:
        self._lab = lab
        self._query = query
        self._now = now
        self._pipelines = pipelines

    @staticmethod
    def warm_up(lab: Lab) -> None:
        """Do before a visitor comes what does not depend on the visit; once a process."""
        if not _WARM and is_public_app():
            View(lab, "").page()
            _WARM.append("done")

    @property
    def pipelines(self) -> Pipelines:
        """Declarations by name, and what is wrong with others."""
        if self._pipelines is None:
            return find_pipelines(project_folder("pipelines"))
        return Pipelines(dict(self._pipelines), {})

    def show(self) -> Any:
        """The page for the public; widgets for the team."""
        if is_public_app() or self._lab.settings.access == "public":
            return self.page()
        from stixlab.dashboards.runs import RunDesktop

        found = self.pipelines
        return RunDesktop(self._lab, found.good, wrong=found.wrong.keys()).show()

    def page(self) -> AppPage:
        """The page: numbers, or why there are none."""
        query = query_string() if self._query is None else self._query
        try:
            _check_link(query)
            known = self.pipelines
            found = look_over(self._lab.catalog, known.good, wrong=known.wrong.keys(), now=self._now)
        except ParameterError as error:
            return _problem("This link cannot be shown", error, status=400)
        except StixlabError as error:
            return _problem("The catalogue does not answer", error, status=503)
        return AppPage(summary_html(found), status=200)


def summary_html(found: Overview) -> str:
    """The numbers as HTML; no parameter, no log, no name of a machine or a person is among them."""
    return render(
        "pipelines.html.j2",
        numbers=_numbers(found),
        pipelines=[_pipeline_row(each) for each in found.pipelines],
        products=[
            asdict(each)
            | {
                "latest": _iso(each.latest),
                "age": age_text(timedelta(seconds=each.age_s)),
                "label": ORIGIN_LABELS[each.origin],
            }
            for each in found.products
        ],
        days=RECENT.days,
        waited=age_text(timedelta(seconds=found.oldest_waiting_s)) if found.count(RunStatus.QUEUED) else "",
        made=_iso(found.made),
    )


def _numbers(found: Overview) -> list[tuple[str, str, str, list[str]]]:
    """The four numbers on top: name, value, what it means, pipelines of which the last run failed."""
    days = f"in the last {RECENT.days} days"
    failing = [each.name for each in found.pipelines if each.failing]
    workers = "1 worker" if found.workers == 1 else f"{found.workers} workers"
    return [
        ("running", f"{found.count(RunStatus.RUNNING):,}", f"on {workers}" if found.workers else "now", []),
        ("waiting", f"{found.count(RunStatus.QUEUED):,}", "for a worker", []),
        ("done", f"{found.count(RunStatus.SUCCEEDED):,}", days, []),
        ("failed", f"{found.count(RunStatus.FAILED):,}", days, failing),
    ]


def _pipeline_row(each: Any) -> dict[str, Any]:
    counts = {str(status): each.counts.get(status, 0) for status in RunStatus}
    return counts | {
        "name": each.name,
        "title": each.title,
        "schedule": each.schedule,
        "failing": each.failing,
        "state": each.state,
        "last_success": _iso(each.last_success) if each.last_success else "",
    }


def _check_link(query: str) -> None:
    names = [name for name, _ in parse_qsl(query.lstrip("?"), keep_blank_values=True)]
    if names:
        raise ParameterError(f"link: expected nothing behind /apps/pipelines; found {', '.join(names)[:80]}")


def _problem(title: str, error: StixlabError, *, status: int) -> AppPage:
    # What the database says names addresses: that is not for the public.
    message = (
        error.message
        if status == 400
        else "This page is up, the database behind it is not. Try again in a minute."
    )
    return AppPage(render("pipelines_problem.html.j2", title=title, message=message), status=status)


def _iso(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
