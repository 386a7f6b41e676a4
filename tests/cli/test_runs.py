"""`stixlab runs`, `retry`, `cancel` and `worker`: what they print, refuse and return."""

import dataclasses
import json
import logging
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from stixlab import factory
from stixlab.catalog import MemoryCatalog, worker_name
from stixlab.cli.json_lines import JsonLines
from stixlab.cli.pipelines import cancel_command, retry_command, run_command, runs_command
from stixlab.cli.worker import worker_command
from stixlab.model import RunStatus
from tests.support.cli import invoke, opening
from tests.support.records import run


@pytest.fixture
def catalog(monkeypatch):
    catalog = MemoryCatalog()
    desk = SimpleNamespace(retry=catalog.runs.retry, cancel=lambda name: catalog.runs.cancel(name, "eve"))

    monkeypatch.setattr(factory, "open_lab", opening(SimpleNamespace(catalog=catalog, desk=desk)))
    for number, status in enumerate(("queued", "running", "failed", "succeeded", "failed")):
        each = run(
            f"r{number}", number, status=RunStatus(status), batch="b1" if number < 3 else "", attempts=1
        )
        error = "too hot" if status == "failed" else ""
        lease = datetime.now(UTC) + timedelta(minutes=1)
        catalog.runs.save(dataclasses.replace(each, worker=worker_name(), error=error, lease_until=lease))
    return catalog


def call(command, *arguments, status=0):
    return invoke(command, *arguments, status=status).output


def ids(output):
    return [json.loads(line)["run_id"] for line in output.splitlines()]


def test_runs_are_listed_by_status_and_back_fill(catalog):
    assert ids(call(runs_command, "--json")) == ["r4", "r3", "r2", "r1", "r0"]
    assert ids(call(runs_command, "--json", "--batch", "b1", "--status", "failed")) == ["r2"]
    assert ids(call(runs_command, "--json", "--status", "cancelled")) == []


def test_runs_are_counted(catalog):
    lines = [json.loads(line) for line in call(runs_command, "--count", "--json").splitlines()]
    assert {line["status"]: line["runs"] for line in lines} == {
        "queued": 1, "running": 1, "succeeded": 1, "failed": 2, "cancelled": 0,
    }  # fmt: skip
    assert call(runs_command, "--count", "--batch", "b1", "--status", "failed").split() == [
        "STATUS", "RUNS", "failed", "1",
    ]  # fmt: skip


def test_a_failed_run_is_retried_and_one_that_succeeded_is_refused_with_the_reason(catalog):
    assert call(retry_command, "r2") == "r2: queued\n"
    assert catalog.runs.get("r2").failures == ("too hot",)
    said = call(retry_command, "r3", "r4", "none", status=1)
    assert "succeeded" in said
    assert "r4: queued" in said
    assert "none" in said


def test_all_that_failed_are_retried_or_those_of_a_back_fill(catalog):
    assert ids(call(retry_command, "--failed", "--batch", "b1", "--json")) == ["r2"]
    assert ids(call(retry_command, "--failed", "--json")) == ["r4"]
    assert "there is none" in call(retry_command, "--failed")


def test_what_was_not_begun_because_of_another_follows_it(catalog):
    catalog.runs.save(run("next", 9, after=("r4",)))
    assert catalog.runs.claim(worker_name(), 60, run_id="next") is None
    assert catalog.runs.get("next").status is RunStatus.FAILED
    assert sorted(ids(call(retry_command, "--failed", "--json"))) == ["r2", "r4"]
    assert catalog.runs.get("next").status is RunStatus.QUEUED


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (retry_command, ()),
        (retry_command, ("r1", "--failed")),
        (retry_command, ("r1", "--batch", "b1")),
        (cancel_command, ()),
        (cancel_command, ("r1", "--batch", "b1")),
        (worker_command, ("--memory", "plenty")),
        (worker_command, ("--processes", "0")),
    ],
)
def test_wrong_use_is_status_2(catalog, command, arguments):
    call(command, *arguments, status=2)


def test_runs_are_cancelled_by_name_or_back_fill(catalog):
    said = call(cancel_command, "r0", "r1")
    assert said == "r0: cancelled\nr1: running (asked to stop)\n"
    assert catalog.runs.get("r1").cancel_asked == "eve"
    catalog.runs.save(run("r9", 9, batch="b1"))
    assert ids(call(cancel_command, "--batch", "b1", "--json")) == ["r9", "r1"]


@pytest.mark.parametrize(
    ("text", "number"), [("500M", 500_000_000), ("2GiB", 2**31), ("1.5k", 1500), ("7", 7)]
)
def test_the_worker_is_told_what_it_may_take(monkeypatch, text, number):
    told = {}
    monkeypatch.setattr(factory, "work", lambda _settings, **how: told.update(how))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("stixlab.cli.json_lines.log_as_json", lambda: None)
    call(worker_command, "--drain", "--memory", text, "--pipeline", "a", "--pipeline", "b", "--grace", "1")
    assert (told["drain"], told["only"], told["memory_bytes"], told["grace_s"]) == (
        True,
        ("a", "b"),
        number,
        1.0,
    )


def test_a_line_of_the_log_is_json_with_its_facts_and_without_logins():
    record = logging.makeLogRecord(
        {"msg": "run ended", "levelname": "INFO", "name": "stixlab.pipeline.worker", "run_id": "r1",
         "reason": "mongodb://me:secret@host/x does not answer"}
    )  # fmt: skip
    line = json.loads(JsonLines().format(record))
    assert (line["event"], line["run_id"], line["level"]) == ("run ended", "r1", "info")
    assert "secret" not in str(line)
    with pytest.raises(ValueError, match="why") as caught:
        int("why")
    record.exc_info = (caught.type, caught.value, caught.tb)
    assert "ValueError: invalid literal" in json.loads(JsonLines().format(record))["traceback"]


def test_what_a_run_has_delivered_is_told_line_by_line(monkeypatch):
    made = {
        "kind": "products",
        "origin": "flight",
        "records": 1,
        "products": {"L1_ql-lightcurve_20200506_flight": "ab" * 32},
        "removed": ["L1_ql-lightcurve_20200506_flight-2"],
        "looked_at": 3,
    }
    flares = {"kind": "flares", "origin": "flight", "records": 4, "content_sha256": "cd" * 32}
    done = run("r1", 1, status=RunStatus.SUCCEEDED, outputs={"ql-lightcurve": made, "flare-list": flares})

    @contextmanager
    def open_lab(_settings):
        yield SimpleNamespace(run=lambda *_names, **_parameters: done)

    monkeypatch.setattr(factory, "open_lab", open_lab)
    given = ["l1_daily", "-p", "start=2020-05-06", "-p", "end=2020-05-07"]
    said = CliRunner().invoke(run_command, given, catch_exceptions=False)
    assert said.exit_code == 0
    assert said.stdout.splitlines()[1:6] == [
        "  flare-list (flight): 4 flares",
        "  ql-lightcurve (flight): 1 products delivered, 3 days looked at",
        "    L1_ql-lightcurve_20200506_flight",
        "    removed L1_ql-lightcurve_20200506_flight-2",
    ]
