"""Pages of the team: who may see them, the executed notebook, the dashboard of a real cluster behind them."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import nbformat
import pytest
from jupyterhub.services.auth import HubOAuth
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.websocket import websocket_connect

from stixlab.errors import NotInCatalogError, ServiceError
from stixlab.hub import team_pages
from stixlab.hub.team_pages import Dashboard, make_application
from stixlab.settings import Settings
from tests.support.http import JsonHandler, served
from tests.support.runs import make_lab, make_run

PREFIX = "/services/team/"
ADA = {"Authorization": "token of-ada"}
BOB = {"Authorization": "token of-bob"}
MODELS = {
    "token of-ada": {"kind": "user", "name": "ada", "scopes": ["access:services!service=team"]},
    "token of-bob": {"kind": "user", "name": "bob", "scopes": ["access:servers!server=bob/"]},
}


class Hub(JsonHandler):
    """The part of the hub's interface that says whose token it is."""

    def do_GET(self):
        model = MODELS.get(self.headers["Authorization"])
        self.answer(200 if model else 403, model or {})


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(team_pages, "_SCHEDULER_S", 0.5)


@pytest.fixture
def hub(monkeypatch):
    with served(Hub) as server:
        for name, value in {
            "API_URL": f"http://127.0.0.1:{server.server_port}/hub/api",
            "API_TOKEN": "service",
            "CLIENT_ID": "service-team",
            "SERVICE_PREFIX": PREFIX,
            "OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
            "OAUTH_ACCESS_SCOPES": '["access:services", "access:services!service=team"]',
            "HOST": "",
            "BASE_URL": "/",
        }.items():
            monkeypatch.setenv(f"JUPYTERHUB_{name}", value)
        HubOAuth.clear_instance()
        yield server
        HubOAuth.clear_instance()


@asynccontextmanager
async def serving(lab, dask=""):
    """Address of the pages."""
    application = make_application(lambda: lab, Settings(home=lab.settings.home, dask=dask), prefix=PREFIX)
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(application)
    server.add_sockets(sockets)
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}{PREFIX}"
    finally:
        server.stop()
        await server.close_all_connections()


async def get(url, headers=None, **options):
    request = HTTPRequest(url, headers=headers or {}, follow_redirects=False, **options)
    return await AsyncHTTPClient().fetch(request, raise_error=False)


@pytest.fixture
def lab(tmp_path):
    lab = make_lab(tmp_path)
    folder = lab.archive.root / "runs" / "x"
    folder.mkdir(parents=True)
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("The <script>alert(1)</script> story")]
    )
    nbformat.write(notebook, folder / "trial.ipynb")
    lab.catalog.runs.save(make_run(run_id="trial-1", notebook="runs/x/trial.ipynb"))
    return lab


def in_a_loop_of_its_own(question):
    """In a thread, since a browser that another test has open keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, question).result()


def answers(lab, headers, *paths):
    """What the pages say to these questions, one after the other."""

    async def ask():
        async with serving(lab) as url:
            return [await get(url + path, headers) for path in paths]

    return in_a_loop_of_its_own(ask())


def test_strangers_are_sent_to_the_login_of_the_hub(hub, lab):
    async def ask():
        async with serving(lab) as url:
            for path in ("runs/trial-1", "dask/status", "dask/"):
                answer = await get(url + path)
                assert answer.code == 302, path
                assert answer.headers["Location"].startswith(
                    "/hub/api/oauth2/authorize?client_id=service-team"
                )
            assert (await get(url + "runs/trial-1", {"Authorization": "token wrong"})).code == 302

    in_a_loop_of_its_own(ask())


def test_a_token_for_something_else_is_not_enough(hub, lab):
    assert [answer.code for answer in answers(lab, BOB, "runs/trial-1", "dask/status")] == [403, 403]


def test_a_member_sees_the_executed_notebook_without_scripts(hub, lab):
    answer, *others = answers(lab, ADA, "runs/trial-1", "runs/none", "runs/..%2f..%2fetc")
    assert answer.code == 200
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert b"<script" not in answer.body
    assert b"story" in answer.body
    assert [other.code for other in others] == [404, 404]


def test_without_a_cluster_the_page_says_so(hub, lab):
    (answer,) = answers(lab, ADA, "dask/status")
    assert answer.code == 404
    assert b"STIXLAB_DASK names its scheduler" in answer.body


def test_a_scheduler_that_is_away_is_told_without_its_address(hub, lab):
    async def ask():
        async with serving(lab, dask="tcp://127.0.0.1:9") as url:
            answer = await get(url + "dask/status", ADA, request_timeout=60)
            assert answer.code == 503
            assert b"127.0.0.1:9" not in answer.body

    in_a_loop_of_its_own(ask())


def test_nothing_is_sent_to_the_dashboard_but_questions(hub, lab):
    async def ask():
        async with serving(lab, dask="tcp://127.0.0.1:9") as url:
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                answer = await get(
                    url + "dask/api/v1/retire_workers", ADA, method=method, allow_nonstandard_methods=True
                )
                assert answer.code in (403, 405), method

    in_a_loop_of_its_own(ask())


@pytest.mark.parametrize("given", ["", "tcp://127.0.0.1:9"])
def test_a_dashboard_that_cannot_be_found_is_asked_for_again(given):
    dashboard = Dashboard(given)
    for _ in range(2):
        with pytest.raises((NotInCatalogError, ServiceError)):
            in_a_loop_of_its_own(asyncio.wait_for(dashboard.address(), 60))


@pytest.mark.slow
@pytest.mark.alone
def test_the_dashboard_of_a_real_cluster_is_reached_by_page_and_websocket(hub, lab, monkeypatch):
    """The page, a file it needs, and its websocket, which bokeh answers with what it is."""
    from distributed import LocalCluster

    monkeypatch.setattr(team_pages, "_SCHEDULER_S", 30.0)

    async def ask(scheduler):
        async with serving(lab, dask=scheduler) as url:
            assert (await get(url + "dask/", ADA)).headers["Location"] == "status"
            page = await get(url + "dask/status", ADA)
            assert page.code == 200
            html = page.body.decode()
            assert "Dask" in html
            start = html.index('"token":"') + 9
            token = html[start : html.index('"', start)]
            script = await get(url + "dask/statics/js/bokeh.min.js", ADA)
            assert (await get(url + "dask/statics/css/base.css", ADA)).code == 200 or script.code == 200
            socket = url.replace("http:", "ws:") + "dask/status/ws"
            for headers in ({}, BOB):
                with pytest.raises(HTTPClientError, match="403"):
                    await websocket_connect(
                        HTTPRequest(socket, headers=headers), subprotocols=["bokeh", token]
                    )
            foreign = HTTPRequest(socket, headers=ADA | {"Origin": "https://evil.example"})
            with pytest.raises(HTTPClientError, match="403"):
                await websocket_connect(foreign, subprotocols=["bokeh", token])
            connection = await websocket_connect(
                HTTPRequest(socket, headers=ADA), subprotocols=["bokeh", token]
            )
            assert connection.selected_subprotocol == "bokeh"
            header = json.loads(await asyncio.wait_for(connection.read_message(), 30))
            assert header["msgtype"] == "ACK"
            connection.close()

    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        in_a_loop_of_its_own(ask(cluster.scheduler_address))
