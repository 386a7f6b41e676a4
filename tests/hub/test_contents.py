"""What JupyterLab may save: the member's own files, nothing of the installation."""

import asyncio

import pytest
from tornado.web import HTTPError

from stixlab.hub.contents import TeamContents
from stixlab.hub.environment import settings_environment
from stixlab.hub.spawner import prepare_folder
from stixlab.settings import Settings

TEXT = {"type": "file", "format": "text", "content": "changed"}
SHARED = "shared-notebooks/mine.md"


@pytest.fixture
def contents(tmp_path, monkeypatch):
    """The files of a member, beside an installation with one notebook."""
    for name in ("notebooks", "pipelines"):
        (tmp_path / "installation" / name).mkdir(parents=True)
    (tmp_path / "installation" / "notebooks" / "mine.md").write_text("as installed")
    for module in ("contents", "spawner"):
        monkeypatch.setattr(
            f"stixlab.hub.{module}.project_folder", lambda name: tmp_path / "installation" / name
        )
    prepare_folder(tmp_path / "anna")
    (tmp_path / "anna" / "own.txt").write_text("own")
    return TeamContents(root_dir=str(tmp_path / "anna"))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.save(TEXT, SHARED),
        lambda c: c.save(TEXT, "shared-pipelines/new.ipynb"),
        lambda c: c.save({"type": "directory"}, "shared-notebooks/folder"),
        lambda c: c.save(TEXT, "own/../shared-notebooks/mine.md"),
        lambda c: c.delete_file(SHARED),
        lambda c: c.delete_file("shared-notebooks"),
        lambda c: c.rename_file(SHARED, "taken.md"),
        lambda c: c.rename_file("own.txt", SHARED),
        lambda c: c.create_checkpoint(SHARED),
        lambda c: c.restore_checkpoint("checkpoint", SHARED),
        lambda c: c.delete_checkpoint("checkpoint", SHARED),
    ],
)
def test_nothing_of_the_installation_is_changed_from_jupyterlab(contents, tmp_path, change):
    folder = tmp_path / "installation"
    before = {path: path.is_file() and path.read_text() for path in folder.rglob("*")}
    (tmp_path / "anna" / "own").mkdir()
    with pytest.raises(HTTPError, match="403"):
        asyncio.run(change(contents))
    assert {path: path.is_file() and path.read_text() for path in folder.rglob("*")} == before
    assert (tmp_path / "anna" / "own.txt").read_text() == "own"


def test_jupyterlab_is_told_what_it_need_not_try_to_save(contents):
    assert not asyncio.run(contents.get(SHARED))["writable"]
    assert asyncio.run(contents.get("own.txt"))["writable"]


def test_a_member_keeps_a_copy_and_changes_it(contents, tmp_path):
    made = asyncio.run(contents.copy(SHARED, "copy.txt"))
    asyncio.run(contents.save(TEXT, made["path"]))
    assert (tmp_path / "anna" / made["path"]).read_text() == "changed"


def test_only_who_may_execute_anything_learns_where_the_cluster_is(tmp_path):
    settings = Settings(home=tmp_path, dask="tcp://127.0.0.1:8786")
    told = {
        access: settings_environment(settings, access=access).get("STIXLAB_DASK")
        for access in ("public", "team", "operator")
    }
    assert told == {"public": None, "team": settings.dask, "operator": settings.dask}
