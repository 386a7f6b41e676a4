"""Asking for runs and following them: who may do what, and what a member's request looks like."""

import json

import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.client.runs import HttpDesk, NoDesk, follow
from stixlab.errors import (
    AccessError,
    ConflictError,
    NotInCatalogError,
    ParameterError,
    PipelineError,
    ServiceError,
)
from stixlab.model import RunStatus
from stixlab.pipeline.identity import BY_PEOPLE
from tests.support.http import JsonHandler, served
from tests.support.pipelines import FRONT, write_notebook
from tests.support.runs import GIVEN, make_desk, make_run

URGENT = 'run = stixlab.start_run("urgent", start=start, end=end, origin=origin)'


@pytest.fixture
def catalog():
    return MemoryCatalog()


@pytest.fixture
def desk(catalog, tmp_path):
    return make_desk(catalog, tmp_path / "pipelines")


def test_a_run_is_queued_in_the_name_of_who_asked_before_those_of_the_data_center(desk, catalog):
    run = desk.submit("trial", GIVEN)
    kept = catalog.runs.get(run.run_id)
    assert (kept.status, kept.asked_by, kept.priority, kept.trigger) == ("queued", "ada", BY_PEOPLE, "manual")


def test_a_declared_priority_counts_where_a_person_asks(desk, catalog, tmp_path):
    write_notebook(tmp_path / "pipelines", name="urgent", front=FRONT + "priority: 20\n", start=URGENT)
    desk.submit("trial", GIVEN)
    urgent = desk.submit("urgent", GIVEN)
    assert catalog.runs.get(urgent.run_id).priority == BY_PEOPLE + 20
    assert catalog.runs.claim("a:1:1", 60).run_id == urgent.run_id, "before the one that waits longer"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({**GIVEN, "color": "red"}, "color: unknown"),
        ({"start": "2022-03-01"}, "end: "),
        ({**GIVEN, "end": "2021-01-01"}, "end: "),
        ({**GIVEN, "start": "yesterday"}, "start: "),
        ({**GIVEN, "origin": "moon"}, "origin: "),
    ],
)
def test_wrong_parameters_queue_nothing(desk, catalog, given, told):
    with pytest.raises(ParameterError, match=told):
        desk.submit("trial", given)
    assert catalog.runs.find() == []


def test_an_unknown_pipeline_names_the_near_one(desk):
    with pytest.raises(PipelineError, match="did you mean trial"):
        desk.submit("trail", GIVEN)


def test_what_was_done_is_given_and_not_done_again(desk, catalog):
    first = desk.submit("trial", GIVEN)
    done = make_run(run_id=first.run_id, status=RunStatus.SUCCEEDED, outputs={})
    catalog.runs.save(done)
    again = desk.submit("trial", GIVEN)
    if again.run_id == first.run_id:  # unless runs of this pipeline are never the same twice
        assert again.status is RunStatus.SUCCEEDED


def test_a_member_cancels_and_retries_own_runs_alone(desk, catalog, tmp_path):
    mine = desk.submit("trial", GIVEN)
    other = make_desk(catalog, tmp_path / "pipelines", user="bob")
    for forbidden in (other.cancel, other.retry):
        with pytest.raises(AccessError, match="expected the account that asked for it, or an operator"):
            forbidden(mine.run_id)
    assert catalog.runs.get(mine.run_id).status is RunStatus.QUEUED
    cancelled = desk.cancel(mine.run_id)
    assert (cancelled.status, cancelled.cancel_asked) == (RunStatus.CANCELLED, "ada")
    assert desk.retry(mine.run_id).status is RunStatus.QUEUED


def test_a_run_of_the_data_center_is_no_members_even_of_one_without_a_name(desk, catalog, tmp_path):
    catalog.runs.save(make_run(status=RunStatus.QUEUED, asked_by=""))
    nobody = make_desk(catalog, tmp_path / "pipelines", user="")
    for each in (desk, nobody):
        with pytest.raises(AccessError):
            each.cancel(make_run().run_id)


def test_an_operator_cancels_and_retries_any(catalog, tmp_path, desk):
    run = desk.submit("trial", GIVEN)
    operator = make_desk(catalog, tmp_path / "pipelines", user="root", operator=True)
    assert operator.cancel(run.run_id).cancel_asked == "root"
    assert operator.retry(run.run_id).status is RunStatus.QUEUED


def test_a_run_that_ended_cannot_be_cancelled(desk, catalog):
    catalog.runs.save(make_run(asked_by="ada"))
    with pytest.raises(ConflictError, match="it is succeeded"):
        desk.cancel(make_run().run_id)
    with pytest.raises(ConflictError):
        desk.retry(make_run().run_id)
    with pytest.raises(NotInCatalogError):
        desk.cancel("no-such-run")


@pytest.mark.parametrize("access", ["public", "team"])
def test_without_a_desk_everything_is_refused_with_what_to_do(access):
    desk = NoDesk(access)
    for what in (lambda: desk.submit("trial", {}), lambda: desk.cancel("x"), lambda: desk.retry("x")):
        with pytest.raises(AccessError, match=f"this process has the access {access}"):
            what()


def test_a_run_is_followed_until_it_has_ended(catalog):
    steps = [
        make_run(status=RunStatus.QUEUED),
        make_run(status=RunStatus.RUNNING, cells=3, cells_done=1),
        make_run(status=RunStatus.RUNNING, cells=3, cells_done=1),
        make_run(status=RunStatus.RUNNING, cells=3, cells_done=2),
        make_run(status=RunStatus.FAILED, cells=3, cells_done=2, error="cell 3: no"),
    ]
    seen = []

    class Runs:
        def get(self, _):
            return steps.pop(0)

    class Stores:
        runs = Runs()

    ended = follow(Stores, "x", seen.append, poll_s=0)
    assert ended.error == "cell 3: no"
    assert [(r.status, r.cells_done) for r in seen] == [
        ("queued", 0),
        ("running", 1),
        ("running", 2),
        ("failed", 2),
    ]


def test_a_run_that_is_gone_is_not_waited_for(catalog):
    with pytest.raises(NotInCatalogError):
        follow(catalog, "x", lambda _: None)


class Service(JsonHandler):
    """Answers with what the test put there; keeps what it was asked."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), json.loads(body)))
        self.answer(*self.server.answers.pop(0))


@pytest.fixture
def service():
    with served(Service, asked=[], answers=[]) as server:
        yield server


def at(service, token="secret"):
    return HttpDesk(f"http://127.0.0.1:{service.server_port}", token, "ada")


ANSWER = {
    "run_id": "trial-1", "pipeline": "trial", "parameters": {"n": 3}, "status": "queued",
    "created": "2026-03-04T12:00:00+00:00", "asked_by": "ada",
}  # fmt: skip


def test_a_member_asks_over_http_with_the_token_in_a_header_alone(service):
    from datetime import UTC, datetime

    service.answers.append((202, ANSWER))
    run = at(service).submit("trial", {"n": 3, "start": datetime(2026, 1, 1, tzinfo=UTC)})
    assert (run.run_id, run.status, run.asked_by) == ("trial-1", RunStatus.QUEUED, "ada")
    path, headers, body = service.asked[0]
    assert (path, headers["Authorization"]) == ("/api/v1/runs", "token secret")
    assert body == {"pipeline": "trial", "parameters": {"n": 3, "start": "2026-01-01 00:00:00+00:00"}}


def test_names_in_addresses_lead_nowhere_else(service):
    service.answers += [(202, ANSWER), (202, ANSWER)]
    at(service).cancel("../../hub")
    at(service).retry("a/b?c")
    assert [path for path, *_ in service.asked] == [
        "/api/v1/runs/..%2F..%2Fhub/cancel",
        "/api/v1/runs/a%2Fb%3Fc/retry",
    ]


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "ParameterError", ParameterError),
        (400, "PipelineError", PipelineError),
        (401, "HTTPError", AccessError),
        (403, "AccessError", AccessError),
        (404, "NotInCatalogError", NotInCatalogError),
        (409, "ConflictError", ConflictError),
        (500, "Error", ServiceError),
        (503, "SystemExit", ServiceError),
    ],
)
def test_what_the_service_refuses_is_the_same_error_here(service, status, kind, expected):
    service.answers.append((status, {"error": {"kind": kind, "message": "because"}}))
    with pytest.raises(expected, match="because"):
        at(service).submit("trial", {})


def test_an_answer_that_is_none_of_ours_is_told_by_its_status(service):
    service.answers.append((502, ["bad gateway"]))
    with pytest.raises(ServiceError, match="status 502"):
        at(service).submit("trial", {})


def test_no_service_is_told_as_such_and_the_token_is_not():
    desk = HttpDesk("http://127.0.0.1:9", "secret", "ada")
    with pytest.raises(ServiceError, match="is the data center up") as told:
        desk.submit("trial", {})
    assert "secret" not in str(told.value) + repr(desk)
    with pytest.raises(ServiceError, match="expected an address of http"):
        HttpDesk("file:///etc", "secret").submit("trial", {})
