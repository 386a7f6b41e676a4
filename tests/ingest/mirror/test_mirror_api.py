"""The mirror of our own HTTP service, as it runs: uvicorn on a port of this machine."""

import threading
import time

import pytest
import uvicorn

from stixlab.api.app import create_app
from stixlab.ingest.mirror import Selection, mirror
from stixlab.settings import Settings
from tests.support.public_archive import fits_bytes
from tests.support.quiet_sun import SmallLab


@pytest.fixture
def lab(tmp_path):
    lab = SmallLab(tmp_path / "home")
    for name, size in (
        ("L1/2021/06/07/SCI/solo_L1_stix-sci-xray-cpd_a b+c.fits", 300_000),
        ("CAL/2021/06/07/CAL/x.fits", 2880),
    ):
        path = lab.archive.root / "fits" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(fits_bytes(size, size))
    simulated = lab.archive.root / "simulated" / "L1"
    simulated.mkdir(parents=True)
    (simulated / "sim.fits").write_bytes(fits_bytes(0))
    return lab


@pytest.fixture
def url(lab, monkeypatch):
    """Address of the service while the test runs."""
    monkeypatch.setenv("no_proxy", "*")
    config = uvicorn.Config(
        create_app(lab, Settings(home=lab.home)),
        host="127.0.0.1",
        port=0,
        log_level="error",
        ws="none",
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.fits")}


def test_our_own_archive_is_copied_byte_for_byte(url, lab, tmp_path):
    """What was measured and what was simulated are two trees, and stay so."""
    folder = tmp_path / "copy"
    report = mirror(f"{url}/data/fits/", folder, delay_s=0)
    assert report.problems == []
    assert content(folder) == content(lab.archive.root / "fits")
    assert len(report.new) == 3
    again = mirror(f"{url}/data/fits/", folder, delay_s=0)
    assert (again.unchanged, again.n_bytes) == (3, 0)
    one = mirror(f"{url}/data/simulated/", tmp_path / "other", delay_s=0)
    assert one.new == ["L1/sim.fits"]


def test_a_new_version_is_seen_by_its_row(url, lab, tmp_path):
    folder = tmp_path / "copy"
    only = Selection(levels=("L1",))
    mirror(f"{url}/data/fits/", folder, only, delay_s=0)
    light = lab.archive.root / "fits/L1/2021/06/06/QL/light.fits"
    light.write_bytes(fits_bytes(7, 5760))
    report = mirror(f"{url}/data/fits/", folder, only, delay_s=0)
    assert report.changed == ["L1/2021/06/06/QL/light.fits"]
    assert content(folder)["L1/2021/06/06/QL/light.fits"] == light.read_bytes()
    assert not any(name.startswith("CAL") for name in content(folder))


def test_the_top_of_the_data_leads_to_what_was_measured(url, lab, tmp_path):
    assert len(mirror(f"{url}/data", tmp_path / "copy", delay_s=0).new) == 3
