"""The configuration of the hub, its places, its processes and its proxy."""

import asyncio
import json
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

import pytest
from traitlets.config import Config

from stixlab.errors import ServiceError
from stixlab.hub import installation, proxy
from stixlab.hub.environment import kept_environment
from stixlab.hub.places import choose_ports, runtime_folder, secret
from stixlab.hub.services import WatchedService, note_start, watch_closely
from stixlab.hub.spawner import prepare_folder
from stixlab.settings import Settings


@pytest.fixture
def settings(tmp_path):
    yield Settings(home=tmp_path, port=8123)
    shutil.rmtree(runtime_folder(tmp_path))


@pytest.fixture
def configured(settings, monkeypatch):
    monkeypatch.setattr(installation, "proxy_command", lambda: ["node", "proxy"])
    c = Config()
    ports = installation.install(c, settings)
    return c, ports


def test_everything_listens_on_this_machine_alone(configured):
    c, _ = configured
    addresses = [
        c.JupyterHub.bind_url,
        c.JupyterHub.hub_bind_url,
        c.ConfigurableHTTPProxy.api_url,
        *c.Proxy.extra_routes.values(),
    ]
    assert all(a.startswith("http://127.0.0.1:") for a in addresses)
    assert c.JupyterHub.bind_url == "http://127.0.0.1:8123"


def test_public_routes_and_those_of_the_hub_do_not_mix(configured):
    c, ports = configured
    assert c.JupyterHub.hub_routespec == "/hub/"
    assert {route: int(url.rsplit(":", 1)[1]) for route, url in c.Proxy.extra_routes.items()} == {
        "/": ports["api"],
        "/api/v1/runs/": ports["runs"],
        "/apps/": ports["apps"],
        "/user/": ports["hub"],
    }
    assert len(set(ports.values())) == 6


def test_services_run_with_the_least_access(configured):
    c, ports = configured
    services = {s["name"]: s for s in c.JupyterHub.services}
    assert {n: s["environment"]["STIXLAB_ACCESS"] for n, s in services.items()} == {
        "api": "public",
        "apps": "public",
        "runs": "operator",
        "team": "team",
        "worker": "operator",
    }
    assert services["worker"]["environment"]["STIXLAB_WARM_S"] == "300.0"
    assert services["apps"]["environment"]["STIXLAB_SERVICE_URL"] == f"http://127.0.0.1:{ports['apps']}"


def test_what_serves_the_public_knows_no_address_and_no_token_to_write_with(tmp_path, monkeypatch):
    """Neither pages nor interface of the public could write if they were taken over."""
    monkeypatch.setattr(installation, "proxy_command", lambda: ["node", "proxy"])
    c = Config()
    settings = Settings(
        home=tmp_path, mongo_uri="mongodb://writer:pass@db", mongo_read_uri="mongodb://reader:pass@db"
    )
    installation.install(c, settings)
    services = {s["name"]: s for s in c.JupyterHub.services}
    for name in ("api", "apps", "team"):
        given = services[name]["environment"]
        assert "writer" not in json.dumps(given), name
        assert given["STIXLAB_ACCESS"] != "operator"
    assert "STIXLAB_HUB_API" not in services["api"]["environment"]
    shutil.rmtree(runtime_folder(tmp_path))


def test_one_service_checks_logins_and_it_alone_gets_the_tokens_for_that(configured):
    """The hub routes to what has an address; only the pages of the team do, for members only."""
    c, ports = configured
    services = {s["name"]: s for s in c.JupyterHub.services}
    assert [n for n, s in services.items() if s["environment"].get("STIXLAB_SERVICE_LOGINS")] == ["team"]
    assert [n for n, s in services.items() if "url" in s] == ["team"]
    assert services["team"]["url"] == f"http://127.0.0.1:{ports['team']}"
    assert services["runs"]["environment"]["STIXLAB_HUB_API"] == f"http://127.0.0.1:{ports['hub']}/hub/api"
    (role,) = c.JupyterHub.load_roles
    assert role == {"name": "user", "scopes": ["self", "access:services!service=team"]}


def test_secrets_stay_the_same_and_are_read_by_their_owner_alone(configured, settings):
    c, _ = configured
    for name in ("cookie_secret", "crypt_key", "proxy_token"):
        path = settings.home / "hub" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert c.JupyterHub.cookie_secret == secret(settings.home, "cookie_secret")
    assert len(c.JupyterHub.cookie_secret) == 32


def test_ports_stay_while_they_are_free_and_give_way_when_not(tmp_path):
    first = choose_ports(tmp_path, ("a", "b"))
    assert choose_ports(tmp_path, ("a", "b")) == first
    with socket.socket() as other:
        other.bind(("127.0.0.1", first["a"]))
        other.listen()
        second = choose_ports(tmp_path, ("a", "b"))
    assert second["a"] != first["a"]
    assert second["b"] == first["b"]


def test_a_damaged_note_of_ports_is_no_obstacle(tmp_path):
    choose_ports(tmp_path, ("a",))
    (tmp_path / "hub" / "ports.json").write_text("[]")
    assert choose_ports(tmp_path, ("a",))["a"] > 0


def test_names_of_sockets_are_short_enough_whatever_the_home(tmp_path):
    """Unix allows 107 bytes for the name of a socket."""
    folder = runtime_folder(tmp_path / ("deep" * 50))
    longest = folder / "v" / "voila_12345678" / "kernel-01234567-0123-0123-0123-0123456789ab-ipc-5"
    assert len(os.fsencode(longest)) < 108
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()


def test_tokens_are_not_handed_on_whatever_they_are_called():
    given = {
        "PATH": "/bin",
        "JUPYTERHUB_API_TOKEN": "x",
        "JPY_API_TOKEN": "x",
        "CONFIGPROXY_AUTH_TOKEN": "x",
        "AWS_SECRET": "x",
    }
    assert kept_environment(given) == {"PATH": "/bin"}


def test_the_hub_uses_our_way_to_start_services():
    """The hub has no setting for it: this fails when its private name changes."""
    from jupyterhub.services import service

    watch_closely()
    assert service._ServiceSpawner is WatchedService
    assert "_ServiceSpawner(" in Path(service.__file__).read_text()


def test_a_service_starts_without_the_tokens_of_the_hub_and_ends_when_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "from the hub")
    told = tmp_path / "told.json"
    code = (
        f"import json, os, time; open({str(told)!r}, 'w').write(json.dumps(dict(os.environ))); time.sleep(60)"
    )
    notes = tmp_path / "home" / "run" / "services"
    notes.mkdir(parents=True)
    given = {"JUPYTERHUB_API_TOKEN": "again", "STIXLAB_ACCESS": "public", "STIXLAB_SERVICE_NOTES": str(notes)}

    async def life():
        from types import SimpleNamespace

        service = WatchedService(
            cmd=[sys.executable, "-c", code], environment=given, _service_name="demo", hub=None,
            user=SimpleNamespace(name="", service=None, server=None, host=""),
        )  # fmt: skip
        assert service.poll_interval == 2
        service.start()
        for _ in range(200):
            if told.exists() and told.read_text().endswith("}"):
                break
            await asyncio.sleep(0.05)
        assert await service.poll() is None
        await service.stop()
        assert await service.poll() is not None

    asyncio.run(life())
    seen = json.loads(told.read_text())
    assert seen["STIXLAB_ACCESS"] == "public"
    assert not [name for name in seen if "TOKEN" in name]
    assert json.loads((notes / "demo.json").read_text())["restarts"] == 0


def test_restarts_are_counted_and_told(tmp_path, caplog):
    notes = tmp_path / "run" / "services"
    notes.mkdir(parents=True)
    note_start(notes, "api", 1)
    note_start(notes, "api", 2)
    assert json.loads((notes / "api.json").read_text())["restarts"] == 1
    assert "service api restarted" in caplog.text
    event = json.loads((tmp_path / "log" / "events.jsonl").read_text())
    assert (event["part"], event["what"]) == ("api", "restarted")


def test_a_member_finds_the_shared_notebooks_and_keeps_the_own_files(tmp_path):
    folder = tmp_path / "users" / "anna"
    prepare_folder(folder)
    (folder / "mine.ipynb").write_text("{}")
    (folder / "shared-pipelines").unlink()
    (folder / "shared-pipelines").write_text("a file of mine")
    prepare_folder(folder)
    assert (folder / "shared-notebooks" / "lightcurves.ipynb").is_file()
    assert (folder / "shared-pipelines").read_text() == "a file of mine"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_node_on_the_path_is_used_when_it_is_new_enough(monkeypatch, tmp_path):
    def make(version):
        node = tmp_path / "node"
        node.write_text(f"#!/bin/sh\necho {version}\n")
        node.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
        return node

    node = make("v20.1.0")
    assert proxy.find_node() == node
    make("v18.0.0")
    monkeypatch.setattr(proxy, "_packaged_node", lambda: tmp_path / "packaged")
    assert proxy.find_node() == tmp_path / "packaged"
    monkeypatch.setattr(proxy, "_packaged_node", lambda: None)
    with pytest.raises(ServiceError, match=r"version 20 or newer; found version 18 at"):
        proxy.find_node()


def test_a_missing_proxy_is_told_with_what_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(proxy, "project_folder", lambda _: tmp_path)
    with pytest.raises(ServiceError, match="`make run` installs it"):
        proxy.proxy_command()


def test_a_proxy_on_the_path_serves_where_there_is_no_checkout(monkeypatch, tmp_path):
    """As conda installs it."""
    program = tmp_path / "configurable-http-proxy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(proxy, "project_folder", lambda _: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert proxy.proxy_command() == [str(program)]


def test_the_lock_of_the_proxy_names_no_registry():
    lock = json.loads((Path(__file__).parents[2] / "hub_config" / "npm-shrinkwrap.json").read_text())
    packages = [p for name, p in lock["packages"].items() if name]
    assert all("resolved" not in p and p["integrity"] for p in packages)
    assert "http" not in json.dumps(
        {
            n: {k: v for k, v in p.items() if k != "dependencies"}
            for n, p in lock["packages"].items()
            if "http" not in n and n
        }
    )
