"""Runs over HTTP: a summary for everyone, the queue for members, and no way to write for the public."""

import json

import nbformat
import pytest

from stixlab.api.app import create_app
from stixlab.api.members import HubTokens, Limit, Member
from stixlab.api.runs import create_runs_app
from stixlab.catalog import MemoryCatalog
from stixlab.errors import ServiceError
from stixlab.model import RunStatus
from tests.support.asgi import Client
from tests.support.http import JsonHandler, served
from tests.support.runs import GIVEN, make_desk, make_lab, make_run

MEMBERS = {"token-of-ada": Member("ada", operator=False), "token-of-root": Member("root", operator=True)}
ADA = {"Authorization": "token token-of-ada"}
ROOT = {"Authorization": "Bearer token-of-root"}
ASKED = {"pipeline": "trial", "parameters": GIVEN}


@pytest.fixture
def catalog():
    return MemoryCatalog()


@pytest.fixture
def lab(catalog, tmp_path):
    return make_lab(tmp_path, catalog=catalog, access="operator")


@pytest.fixture
def app(lab, catalog, tmp_path):
    def desk_of(member):
        return make_desk(catalog, tmp_path / "pipelines", user=member.name, operator=member.operator)

    return create_runs_app(lab, lab.settings, whois=MEMBERS.get, desks=desk_of, most_a_minute=5)


@pytest.fixture
def client(app):
    return Client(app)


@pytest.fixture
def public(lab):
    return Client(create_app(lab, lab.settings))


def test_a_member_puts_a_run_into_the_queue_under_the_own_name(client, catalog):
    answer = client.post("/api/v1/runs", json=ASKED | {}, headers=ADA)
    assert answer.status_code == 202
    run = catalog.runs.get(answer.json()["run_id"])
    assert (run.status, run.asked_by, run.priority) == ("queued", "ada", 10)
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "token"}, 401),
        ({"Authorization": "Basic YWRhOmE="}, 401),
        ({"Cookie": "jupyterhub-session-id=token-of-ada; token=token-of-ada"}, 401),
        ({"Authorization": "token wrong"}, 403),
        ({"Authorization": "token " + "x" * 5000}, 403),
    ],
)
@pytest.mark.parametrize("path", ["", "/trial-1/cancel", "/trial-1/retry"])
def test_strangers_change_nothing(client, catalog, headers, status, path):
    catalog.runs.save(make_run(run_id="trial-1", status=RunStatus.RUNNING))
    answer = client.post(f"/api/v1/runs{path}", json=ASKED, headers=headers)
    assert answer.status_code == status
    assert [(r.run_id, r.cancel_asked) for r in catalog.runs.find()] == [("trial-1", "")]
    if status == 401:
        assert answer.headers["www-authenticate"] == "token"


@pytest.mark.parametrize("path", ["/trial-1", "/trial-1/notebook", "/x"])
def test_strangers_see_no_run(client, catalog, path):
    catalog.runs.save(make_run(run_id="trial-1"))
    assert client.get(f"/api/v1/runs{path}").status_code == 401


def test_the_summary_is_for_everyone_and_the_list_for_members(client, catalog):
    catalog.runs.save(
        make_run(asked_by="SECRET", error="SECRET", parameters={"a": "SECRET"}, worker="SECRET")
    )
    everyone = client.get("/api/v1/runs")
    assert everyone.json()["runs"].keys() == {str(s) for s in RunStatus}
    assert "SECRET" not in everyone.text
    member = client.get("/api/v1/runs", headers=ADA).json()
    assert [run["run_id"] for run in member["runs"]] == [make_run().run_id]


def test_members_filter_the_list(client, catalog):
    catalog.runs.save(make_run(1))
    catalog.runs.save(make_run(30, RunStatus.FAILED, pipeline="other"))

    def found(query):
        return [r["run_id"] for r in client.get(f"/api/v1/runs?{query}", headers=ADA).json()["runs"]]

    assert found("status=failed") == [make_run(30).run_id]
    assert found("pipeline=trial") == [make_run(1).run_id]
    assert found("start=2026-03-03&end=2026-03-04") == [make_run(30).run_id]
    assert client.get("/api/v1/runs?status=lost", headers=ADA).status_code == 400


def test_a_member_cannot_cancel_or_retry_anothers_run_and_an_operator_can(client, catalog):
    catalog.runs.save(make_run(1, RunStatus.QUEUED, asked_by="bob"))
    catalog.runs.save(make_run(2, RunStatus.FAILED, asked_by="bob"))
    cancel, retry = (f"/api/v1/runs/{make_run(n).run_id}/{what}" for n, what in ((1, "cancel"), (2, "retry")))
    assert client.post(cancel, json={}, headers=ADA).status_code == 403
    assert client.post(retry, json={}, headers=ADA).status_code == 403
    assert catalog.runs.get(make_run(1).run_id).status is RunStatus.QUEUED
    assert client.post(cancel, json={}, headers=ROOT).json()["status"] == "cancelled"
    assert client.post(retry, json={}, headers=ROOT).json()["status"] == "queued"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"pipeline": "trial", "parameters": {**GIVEN, "start": "yesterday"}}, "start: "),
        ({"pipeline": "trial", "parameters": {**GIVEN, "more": 1}}, "more: unknown"),
        ({"pipeline": "nothing", "parameters": {}}, "unknown"),
        ({"pipeline": "../trial", "parameters": {}}, "pipeline"),
        ({"pipeline": "trial", "parameters": {"start": ["a"]}}, ""),
        ({"pipeline": "trial", "parameters": {}, "asked_by": "root"}, "asked_by"),
        ({"pipeline": "trial", "parameters": {}, "priority": 99}, "priority"),
        ([], ""),
    ],
)
def test_what_is_wrong_with_a_request_is_told_and_nothing_is_queued(client, catalog, body, told):
    answer = client.post("/api/v1/runs", json=body, headers=ADA)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]
    assert catalog.runs.find() == []


def test_each_problem_is_told_apart(client):
    body = {"pipeline": "trial", "parameters": {"start": "yesterday"}}
    problems = client.post("/api/v1/runs", json=body, headers=ADA).json()["error"]["problems"]
    assert [p.split(":")[0] for p in problems] == ["start", "end"]


def test_a_long_body_is_refused_unread(client):
    text = json.dumps({"pipeline": "trial", "parameters": {"start": "x" * 70_000}})
    assert client.post("/api/v1/runs", content=text, headers=ADA).status_code == 413


def test_a_body_of_unknown_length_is_refused(client):
    async def pieces():
        yield b"{}"

    assert client.post("/api/v1/runs", content=pieces(), headers=ADA).status_code == 413


def test_who_asks_too_often_waits_and_others_do_not(client):
    statuses = [client.post("/api/v1/runs", json=ASKED, headers=ADA).status_code for _ in range(6)]
    assert statuses[-1] == 429
    assert 429 not in statuses[:-1]
    again = client.post("/api/v1/runs", json=ASKED, headers=ADA)
    assert 1 <= int(again.headers["retry-after"]) <= 61
    assert client.post("/api/v1/runs", json=ASKED, headers=ROOT).status_code == 202
    assert client.get("/api/v1/runs", headers=ADA).status_code == 200, "looking is free"


def test_who_tries_many_tokens_waits(client):
    wrong = [
        client.get("/api/v1/runs", headers={"Authorization": f"token {n}"}).status_code for n in range(25)
    ]
    assert (wrong[0], wrong[-1]) == (403, 429)


def test_another_site_cannot_make_a_browser_write(client, catalog):
    """No cookie counts, a form cannot set the header, and a script of another site is not let through."""
    form = client.post("/api/v1/runs", data={"pipeline": "trial"}, headers={"Origin": "https://evil.example"})
    assert form.status_code == 401
    preflight = client.request(
        "OPTIONS",
        "/api/v1/runs",
        headers={
            "Origin": "https://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_the_executed_notebook_is_shown_to_members_without_scripts(client, catalog, lab):
    folder = lab.archive.root / "runs" / "x"
    folder.mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1 + 1  # <script>alert(1)</script>")]
    )
    nbformat.write(notebook, folder / "trial.ipynb")
    catalog.runs.save(make_run(run_id="trial-1", notebook="runs/x/trial.ipynb"))
    answer = client.get("/api/v1/runs/trial-1/notebook", headers=ADA)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert "<script" not in answer.text
    assert "alert(1)" in answer.text


def test_a_run_without_a_notebook_or_with_one_elsewhere_has_no_page(client, catalog):
    catalog.runs.save(make_run(run_id="a"))
    catalog.runs.save(make_run(run_id="b", notebook="../../etc/passwd"))
    for name in ("a", "b", "c"):
        assert client.get(f"/api/v1/runs/{name}/notebook", headers=ADA).status_code == 404


def test_the_public_service_has_no_way_to_write(public, catalog):
    catalog.runs.save(make_run(run_id="trial-1", status=RunStatus.RUNNING))
    for path in (
        "/api/v1/runs",
        "/api/v1/runs/trial-1/cancel",
        "/api/v1/runs/trial-1/retry",
        "/api/v1/pipelines",
    ):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = public.request(method, path, json=ASKED, headers=ADA)
            assert answer.status_code in (404, 405), f"{method} {path}"
    assert [r.cancel_asked for r in catalog.runs.find()] == [""]


def test_every_route_of_the_public_service_is_read_only(lab):
    app = create_app(lab, lab.settings)
    routes = list(app.openapi()["paths"].values())
    assert len(routes) > 5
    assert {method for route in routes for method in route} == {"get"}


def test_the_public_summary_is_the_same_under_both_names(public):
    assert public.get("/api/v1/runs").json() == public.get("/api/v1/pipelines").json()


def test_a_limit_lets_through_so_many_within_its_time():
    limit = Limit(2, 10.0)
    assert [limit.wait_s("a", now=t) for t in (0.0, 1.0)] == [0.0, 0.0]
    assert limit.wait_s("a", now=2.0) == pytest.approx(8.0)
    assert limit.wait_s("b", now=2.0) == 0.0
    assert limit.wait_s("a", now=10.5) == 0.0


class Hub(JsonHandler):
    """The part of the hub's interface that says whose token it is."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.answer(*self.server.answer)


@pytest.fixture
def hub():
    with served(Hub, asked=[]) as server:
        yield server


def whose(hub, model, status=200):
    hub.answer = (status, model)
    return HubTokens(f"http://127.0.0.1:{hub.server_port}/hub/api")("abc")


OWN = ["access:servers!server=ada/", "users:activity!user=ada"]


def test_the_hub_says_whose_token_it_is_and_is_not_asked_again_at_once(hub):
    hub.answer = (200, {"kind": "user", "name": "ada", "admin": False, "scopes": OWN})
    tokens = HubTokens(f"http://127.0.0.1:{hub.server_port}/hub/api/")
    assert tokens("abc") == tokens("abc") == Member("ada", operator=False)
    assert hub.asked == [("/hub/api/user", "token abc")]
    assert "abc" not in repr(vars(tokens))


@pytest.mark.parametrize(
    "model",
    [
        {"kind": "service", "name": "api", "admin": True, "scopes": ["access:servers"]},
        {"kind": "user", "name": "ada", "scopes": []},
        {"kind": "user", "name": "ada", "scopes": ["access:services!service=team"]},
        {"kind": "user", "name": "ada", "scopes": ["access:servers!server=adam/"]},
        {"kind": "user", "name": "ada", "scopes": ["access:servers!user=adam"]},
        {"kind": "user", "name": "", "scopes": ["access:servers"]},
        [],
    ],
)
def test_a_token_that_may_not_enter_a_server_of_its_member_starts_nothing(hub, model):
    assert whose(hub, model) is None


def test_an_admin_of_the_hub_is_an_operator(hub):
    model = {"kind": "user", "name": "root", "admin": True, "scopes": ["access:servers"]}
    assert whose(hub, model) == Member("root", operator=True)


def test_a_refused_token_is_nobodys_and_a_broken_hub_is_told(hub):
    assert whose(hub, {}, 403) is None
    with pytest.raises(ServiceError, match="answered 500"):
        whose(hub, {}, 500)
    with pytest.raises(ServiceError, match="expected an answer"):
        HubTokens("http://127.0.0.1:9/hub/api")("abc")
    with pytest.raises(ServiceError, match="expected the address"):
        HubTokens("")
