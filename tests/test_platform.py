"""What a first start puts into an empty archive: a simulated day, and beside it what was measured."""

import importlib.util
import socket
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from stixlab import platform
from stixlab.api.app import create_app
from stixlab.cli.platform import up_command
from stixlab.errors import ArchiveError, FormatError, NotInCatalogError, ServiceError
from stixlab.hub import proxy as hub_proxy
from stixlab.ingest import bundled
from stixlab.simulation import simulate
from tests.support.asgi import Client
from tests.support.chain import Chain, new_chain
from tests.support.cli import invoke

CURVE = "solo_L1_stix-ql-lightcurve_20200506_V01.fits"


@pytest.fixture
def chain(tmp_path) -> Chain:
    return new_chain(tmp_path / "home")


@pytest.fixture
def package(monkeypatch, real_data):
    """Stands for the package, with a light curve in it."""
    products = [(CURVE, (real_data / "l1" / "ql" / CURVE).read_bytes())]
    monkeypatch.setattr(bundled, "bundled_products", lambda: products)
    monkeypatch.setattr(bundled, "bundled_source", lambda: "stixpy 0.2.1")


@pytest.fixture
def starting(monkeypatch, tmp_path):
    """`stixlab up` in a home of its own, which notes what it does instead of doing it."""
    done: list[str] = []
    monkeypatch.setenv("STIXLAB_HOME", str(tmp_path / "up"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("STIXLAB_PORT", str(probe.getsockname()[1]))
    monkeypatch.delenv("STIXLAB_MONGO_URI", raising=False)
    monkeypatch.delenv("STIXLAB_ACCESS", raising=False)
    monkeypatch.setattr(hub_proxy, "find_node", lambda: Path("node"))
    for name in ("make_demonstration", "ensure_operator", "follow_services"):
        monkeypatch.setattr(platform, name, lambda *_, name=name: done.append(name))
    parts = SimpleNamespace(run=lambda _: done.append("run"))
    monkeypatch.setattr(platform, "make_supervisor", lambda *_: parts)
    return done


@pytest.fixture
def lacking(monkeypatch, tmp_path):
    return lambda lack: lack(monkeypatch, tmp_path)


def without_proxy(monkeypatch, tmp_path):
    (tmp_path / "hub_config").mkdir()
    (tmp_path / "hub_config" / "jupyterhub_config.py").touch()
    monkeypatch.setattr(hub_proxy, "project_folder", lambda name: tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path))


def without_voila(monkeypatch, _tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "voila" else find(name))


def without_config(monkeypatch, tmp_path):
    monkeypatch.setattr(platform, "project_folder", lambda name: tmp_path / name)


def without_a_home(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STIXLAB_HOME", str(tmp_path / "file" / "home"))


@pytest.mark.parametrize(
    ("lack", "error", "told"),
    [
        (without_proxy, ServiceError, "proxy of the hub: expected at .* `make run` installs it"),
        (without_voila, ServiceError, "expected the Python packages .*; voila cannot be imported"),
        (without_config, ServiceError, "expected the settings of the hub at"),
        (without_a_home, ArchiveError, "file"),
    ],
)
def test_what_is_missing_is_told_before_any_work(starting, lacking, lack, error, told):
    lacking(lack)
    with pytest.raises(error, match=told):
        invoke(up_command)
    assert starting == []


def test_a_start_where_nothing_is_missing_goes_on(starting, monkeypatch):
    monkeypatch.setattr(platform, "proxy_command", lambda: ["proxy"])
    invoke(up_command)
    assert starting == ["make_demonstration", "ensure_operator", "follow_services", "run"]


def test_measured_data_stand_beside_the_simulated_day(chain, package, tmp_path):
    simulate("2026-05-05T22:00", "2026-05-05T23:00", out=tmp_path / "files", seed=6)
    assert not chain.ingest(tmp_path / "files").failed
    said: list[str] = []
    platform._add_measured(chain.ingestor, said.append)
    (line,) = said
    assert "1 products of 2020-05-06 to 2020-05-06, MEASURED, taken from stixpy 0.2.1" in line
    assert {p.origin for p in chain.lab.products(type="ql-lightcurve")} == {"flight", "simulated"}
    runs = chain.catalog.runs.find(status="queued")
    assert [(r.pipeline, r.parameters["origin"]) for r in runs if r.pipeline == "flare_list"] == [
        ("flare_list", "flight")
    ]

    page = Client(create_app(chain.lab, chain.lab.settings)).get("/").text
    assert "Some of these data are simulated" in page
    assert "2026-05-05 &middot; simulated" in page
    assert 'href="/apps/lightcurves?start=2020-05-06&amp;end=2020-05-07"' in page
    light_curves = [row for row in page.split("<tr>") if "<code>ql-lightcurve</code>" in row]
    assert [("measured" in row, "simulated" in row) for row in light_curves] == [(False, True), (True, False)]
    assert chain.lab.open("ql-lightcurve").attrs["origin"] == "simulated"


def test_measured_data_alone_are_not_marked(chain, package):
    platform._add_measured(chain.ingestor, lambda _text: None)
    page = Client(create_app(chain.lab, chain.lab.settings)).get("/").text
    assert "simulated" not in page.lower()
    assert "measured" not in page.lower()


def test_a_first_start_that_was_killed_is_finished_by_the_next(chain, package, monkeypatch):
    """Killed between the simulated day and the measured data: the next start makes neither twice."""

    @contextmanager
    def open_catalog(_settings):
        yield chain.catalog

    @contextmanager
    def open_ingestor(_settings):
        yield lambda: chain.ingestor

    def short(day, *, out, kinds):
        days.append(day)
        return simulate(f"{day}T06:00", f"{day}T06:30", out=out, kinds=kinds, what=("quicklook",), flares=())

    def kill(*_given):
        raise KeyboardInterrupt

    days: list[str] = []
    monkeypatch.setattr(platform.factory, "open_catalog", open_catalog)
    monkeypatch.setattr(platform.factory, "open_ingestor", open_ingestor)
    monkeypatch.setattr("stixlab.simulation.demonstration", short)
    with monkeypatch.context() as killed:
        killed.setattr(platform, "_add_measured", kill)
        with pytest.raises(KeyboardInterrupt):
            platform.demonstrate(chain.lab.settings, lambda _text: None)
    assert {p.origin for p in chain.lab.products()} == {"simulated"}
    before = chain.contents()

    said: list[str] = []
    assert platform.demonstrate(chain.lab.settings, said.append)
    assert said[0] == f"stixlab: finishing the demonstration of {days[0]} that was begun"
    assert days == [days[0]] * 2
    assert {p.origin for p in chain.lab.products()} == {"simulated", "flight"}
    assert before.items() < chain.contents().items()

    assert platform.demonstrate(chain.lab.settings, said.append)
    assert len(days) == 2


@pytest.mark.parametrize(
    "error",
    [
        NotInCatalogError("package stixpy: expected; not installed"),
        FormatError("data.tar.gz: expected an archive; found none"),
        PermissionError("data.tar.gz"),
    ],
)
def test_without_them_it_goes_on_and_says_so(chain, monkeypatch, error):
    def refuse():
        raise error

    monkeypatch.setattr(bundled, "bundled_products", refuse)
    said: list[str] = []
    platform._add_measured(chain.ingestor, said.append)
    assert "no measured data beside it" in said[0]
    assert "going on without them" in said[0]
    assert chain.catalog.products.find() == []


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_taken(chain, package, monkeypatch):
    products = [*bundled.bundled_products(), ("solo_L1_bad.fits", b"SIMPLE  =  nonsense")]
    monkeypatch.setattr(bundled, "bundled_products", lambda: products)
    said: list[str] = []
    platform._add_measured(replace(chain.ingestor, trigger=None), said.append)
    assert "measured data: solo_L1_bad.fits" in said[0]
    assert "1 products" in said[1]
