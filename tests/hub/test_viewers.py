"""The desk of the public apps, with a stand-in for Voila's kernels."""

import asyncio
import re
from pathlib import Path

import pytest

from stixlab.errors import ConflictError, NotInCatalogError, ServiceError
from stixlab.hub.app_pages import canonical
from stixlab.hub.kernels import Kernels
from stixlab.hub.public_apps import public_notebooks
from stixlab.hub.viewers import Viewers


class Manager:
    """Starts pretended kernels: each runs a "notebook" that waits for its request and gives a page."""

    def __init__(self):
        self.notebook_data = {}
        self.viewers = None
        self.started = self.ended = 0
        self.alive = set()
        self.fails_before = 0
        self.status = "200"
        self.work_s = 0.0

    async def _initialize(self, notebook, kernel_id=None, **_):
        if kernel_id is None:
            self.started += 1
            kernel_id = f"kernel-{self.started}"
            self.alive.add(kernel_id)
        return {"kernel_id": kernel_id, "task": asyncio.get_running_loop().create_task(self._run(kernel_id))}

    async def _run(self, kernel_id):
        if self.fails_before:
            self.fails_before -= 1
            return ['<div class="app" data-status="500"></div>'], None
        request = await self.viewers.request_of(kernel_id)
        await asyncio.sleep(self.work_s)
        return [f'<div class="app" data-status="{self.status}">{kernel_id} {request["query"]}</div>'], None

    async def shutdown_kernel(self, kernel_id, now):
        self.alive.discard(kernel_id)
        self.ended += 1


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "demo.ipynb").write_text('{"metadata": {"audience": "public"}}')
    return tmp_path


def run(scenario, folder, **changes):
    async def life():
        manager = Manager()
        viewers = Viewers(manager, folder)
        manager.viewers = viewers
        for name, value in changes.items():
            setattr(manager if hasattr(manager, name) else viewers, name, value)
        viewers.warm_up()
        await asyncio.sleep(0.01)
        result = await scenario(viewers, manager)
        await asyncio.sleep(0.05)
        return result, manager, viewers

    return asyncio.run(life())


def test_a_visitor_gets_the_page_of_the_query(folder):
    page, _, _ = run(lambda v, _: v.page("demo", "start=1"), folder)
    assert (page.status, "start=1" in page.html) == (200, True)


def test_the_next_visitor_is_served_by_the_same_kernel(folder):
    """A start costs seconds, a page tenths of one."""

    async def scenario(viewers, manager):
        for n in range(5):
            await viewers.page("demo", f"n={n}")
            await asyncio.sleep(0.01)

    _, manager, viewers = run(scenario, folder)
    assert (manager.started, manager.ended, viewers.state()["kernels"]) == (1, 0, 1)


def test_the_same_link_is_made_once_for_all_who_ask(folder):
    async def scenario(viewers, manager):
        pages = await asyncio.gather(*(viewers.page("demo", "x=1") for _ in range(30)))
        return {page.html for page in pages} | {(await viewers.page("demo", "x=1")).html}

    pages, _, viewers = run(scenario, folder, work_s=0.02)
    assert len(pages) == 1
    assert viewers.state()["made"] == 1


def test_a_page_is_made_anew_after_its_time(folder):
    async def scenario(viewers, manager):
        await viewers.page("demo", "")
        await asyncio.sleep(0.02)
        await viewers.page("demo", "")

    _, _, viewers = run(scenario, folder, kept_s=0.01)
    assert viewers.state()["made"] == 2


def test_a_refused_link_is_not_kept(folder):
    page, _, viewers = run(lambda v, _: v.page("demo", "bad"), folder, status="400")
    assert (page.status, viewers.state()["kept"]) == (400, 0)


def test_too_many_visitors_are_asked_to_come_back_and_the_rest_is_served(folder):
    async def scenario(viewers, manager):
        asked = [viewers.page("demo", f"n={n}") for n in range(30)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers, manager, _ = run(scenario, folder, work_s=0.01)
    refused = [a for a in answers if isinstance(a, ConflictError)]
    assert len(refused) == 30 - Viewers.most_at_once - Viewers.most_waiting
    assert len([a for a in answers if not isinstance(a, Exception)]) == 30 - len(refused)
    assert manager.started <= Viewers.most_at_once + 1
    assert len(manager.alive) == 1, "kernels that the crowd needed are gone after it"


def test_a_kernel_that_failed_before_its_visitor_is_replaced(folder):
    page, manager, _ = run(lambda v, _: v.page("demo", "x"), folder, fails_before=1)
    assert page.status == 200
    assert manager.ended == 1


def test_a_notebook_that_fails_is_an_error_and_its_kernel_is_not_used_again(folder):
    async def scenario(viewers, manager):
        with pytest.raises(ServiceError, match="failed"):
            await viewers.page("demo", "x")
        manager.status = "200"
        return await viewers.page("demo", "x")

    page, manager, _ = run(scenario, folder, status="500")
    assert page.status == 200
    assert manager.ended == 1


def test_a_page_that_takes_too_long_ends_its_kernel(folder):
    async def scenario(viewers, manager):
        with pytest.raises(ServiceError, match="took longer"):
            await viewers.page("demo", "x")

    _, manager, viewers = run(scenario, folder, work_s=5.0, longest_s=0.02)
    assert manager.ended == 1
    assert viewers.state()["kernels"] == 1


def test_a_kernel_is_ended_after_its_pages(folder, monkeypatch):
    monkeypatch.setattr(Kernels, "most_pages", 2)

    async def scenario(viewers, manager):
        for n in range(4):
            await viewers.page("demo", f"n={n}")
            await asyncio.sleep(0.01)

    _, manager, _ = run(scenario, folder)
    assert manager.ended == 2
    assert len(manager.alive) == 1


@pytest.mark.parametrize("name", ["nothing", "../demo"])
def test_what_is_no_app_is_refused(folder, name):
    async def scenario(viewers, manager):
        with pytest.raises(NotInCatalogError):
            await viewers.page(name, "")

    run(scenario, folder)


@pytest.mark.parametrize(
    "content",
    [
        '{"metadata": {"audience": "team"}}',
        '{"metadata": {}}',
        "{}",
        "[]",
        '{"metadata": null}',
        "no notebook",
        "",
    ],
)
def test_a_notebook_that_does_not_say_it_is_public_is_not_served_nor_started(folder, content):
    (folder / "ours.ipynb").write_text(content)

    async def scenario(viewers, manager):
        with pytest.raises(NotInCatalogError, match="no app 'ours'"):
            await viewers.page("ours", "")

    _, manager, viewers = run(scenario, folder)
    assert (manager.started, viewers.state()["kernels"]) == (1, 1), "the public one alone"


def test_the_packet_browser_is_for_the_team_and_the_light_curves_for_everyone():
    names = [path.stem for path in public_notebooks(Path(__file__).parents[2] / "notebooks")]
    assert "lightcurves" in names
    assert "packets" not in names


def test_a_visitor_who_leaves_does_not_take_the_page_from_others(folder):
    async def scenario(viewers, manager):
        first = asyncio.create_task(viewers.page("demo", "x"))
        second = asyncio.create_task(viewers.page("demo", "x"))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    page, _, _ = run(scenario, folder, work_s=0.02)
    assert page.status == 200


def test_the_order_of_a_query_does_not_matter():
    assert canonical("b=2&a=1") == canonical("a=1&b=2") == "a=1&b=2"


def test_pages_of_apps_carry_no_script_but_the_files_of_the_site():
    folder = Path(__file__).parents[2] / "stixlab" / "hub" / "templates" / "apps"
    for path in folder.glob("*.j2"):
        text = path.read_text()
        assert all("src=" in s or s == "" for s in re.findall(r"<script([^>]*)>", text)), path
        assert "://" not in text, path
