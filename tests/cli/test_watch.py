"""Commands about arrivals, and settings of what is watched."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from stixlab.catalog import MemoryCatalog
from stixlab.cli.arrivals import arrivals_summary, percentile, print_arrivals
from stixlab.cli.watch import watch_command
from stixlab.model import Arrival, ArrivalStatus
from stixlab.platform import make_supervisor
from stixlab.services import helper as helpers
from stixlab.services.helper import Helper
from stixlab.settings import Settings
from tests.support.processes import living, wait_for


def arrival(number: int, status: str = "taken", seconds: float | None = None, reason: str = "") -> Arrival:
    now = datetime.now(UTC) - timedelta(minutes=number)
    return Arrival(
        f"{number}", "/in", f"/in/{number}", f"{number}", "00", 1, 1, 1, now, ArrivalStatus(status),
        ingested=now, seconds=seconds, reason=reason,
    )  # fmt: skip


class TestSettings:
    def test_by_default_a_folder_of_the_home_is_watched(self, tmp_path):
        assert Settings(home=tmp_path).watched_folders == (tmp_path / "incoming",)

    def test_several_folders_or_none(self, tmp_path):
        settings = Settings(home=tmp_path, watch="/a/b: ~/c :")
        assert settings.watched_folders == (Path("/a/b"), Path.home() / "c")
        assert Settings(home=tmp_path, watch="none").watched_folders == ()

    def test_up_has_a_part_for_it(self, tmp_path):
        def names(**given: str) -> list[str]:
            supervisor = make_supervisor(Settings(home=tmp_path, **given), lambda _: None)
            return [w.part.name for w in supervisor._watched]

        assert names() == ["database", "watch", "hub"]
        assert (tmp_path / "incoming").is_dir()
        assert (tmp_path / "archive").is_dir()
        assert names(watch="none") == ["database", "hub"]

    def test_nothing_to_watch_is_wrong_usage(self, tmp_path, monkeypatch):
        monkeypatch.setenv("STIXLAB_HOME", str(tmp_path))
        monkeypatch.setenv("STIXLAB_WATCH", "none")
        monkeypatch.setattr("stixlab.cli.watch.signal.signal", lambda *_: None)
        with pytest.raises(click.UsageError, match="STIXLAB_WATCH is none"):
            watch_command.main(args=[], standalone_mode=False)


class TestStatus:
    def test_it_tells_what_came_how_long_it_took_and_what_failed(self, tmp_path, capsys):
        catalog = MemoryCatalog()
        catalog.arrivals.save([arrival(n, seconds=float(n)) for n in range(1, 21)])
        catalog.arrivals.save([arrival(40, "set aside", reason="no telemetry"), arrival(2000, seconds=99.0)])
        summary = arrivals_summary(catalog, Settings(home=tmp_path))
        assert (summary["set_aside"], summary["taken_in_a_day"], summary["p95_seconds"]) == (1, 20, 19.0)
        print_arrivals(summary)
        text = capsys.readouterr().out
        assert "no folder is watched" in text
        assert "20 taken on the last day, 95 % of them within 19.0 s; the last was /in/1" in text
        assert "SET ASIDE: 1 files" in text
        assert "/in/40: no telemetry" in text

    def test_percentile(self):
        assert percentile([], 0.95) is None
        assert percentile([3.0], 0.95) == 3.0
        assert percentile([float(n) for n in range(100)], 0.95) == 94.0


class TestHelper:
    def test_it_runs_once_is_started_again_and_ends_with_its_owner(self, tmp_path, monkeypatch):
        monkeypatch.setattr(helpers, "read_state", lambda _: None)
        with Helper("worker", tmp_path) as helper:
            part = helper._watched.part
            command = (part.command[0], "-S", "-c", "import time; time.sleep(60)")
            helper._watched.part = type(part)(part.name, command, part.env, stop_timeout_s=2.0)
            helper.ensure()
            pid = helper._watched.pid
            helper.ensure()
            assert helper._watched.pid == pid
            helper._watched.process.kill()
            wait_for(lambda: not helper._watched.runs(), "its death")
            helper.ensure()
            again = helper._watched.pid
            assert living(again)
        wait_for(lambda: not living(again), "its end")

    def test_it_is_not_needed_where_up_runs(self, tmp_path, monkeypatch):
        monkeypatch.setattr(helpers, "read_state", lambda _: object())
        with Helper("worker", tmp_path) as helper:
            helper.ensure()
            assert not helper._watched.runs()
