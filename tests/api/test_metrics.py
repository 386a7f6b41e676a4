"""Numbers for Prometheus."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stixlab.api.app import create_app
from stixlab.errors import CatalogError
from stixlab.model import RunStatus
from tests.support.asgi import Client
from tests.support.runs import make_lab, make_product, make_run

NOW = datetime.now(UTC)


@pytest.fixture
def lab(tmp_path):
    return make_lab(tmp_path, access="public")


@pytest.fixture
def client(lab):
    return Client(create_app(lab, lab.settings))


def numbers(answer):
    """Value by name and labels."""
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}


def keep(lab, number, status, ago_s=60, **facts):
    created = NOW - timedelta(seconds=ago_s)
    run = make_run(
        number, status, created=created, started=created, finished=created + timedelta(seconds=number)
    )
    if status in (RunStatus.QUEUED, RunStatus.RUNNING):
        run = dataclasses.replace(run, finished=None)
    lab.catalog.runs.save(dataclasses.replace(run, **facts))


def test_runs_durations_queue_workers_and_ages_can_be_scraped(client, lab):
    keep(lab, 2, RunStatus.SUCCEEDED)
    keep(lab, 4, RunStatus.FAILED, ago_s=30)
    keep(lab, 5, RunStatus.FAILED, ago_s=30, pipeline="flare_list")
    keep(lab, 8, RunStatus.QUEUED, ago_s=600)
    keep(lab, 9, RunStatus.RUNNING, worker="h:1:2", lease_until=NOW + timedelta(hours=1))
    end = NOW - timedelta(hours=2)
    lab.catalog.products.save(make_product(start=end - timedelta(hours=1), end=end))
    context = {"origin": "flight", "start": end - timedelta(days=1), "end": end - timedelta(hours=9)}
    lab.catalog.products.save(make_product("asp-ephemeris", level="ANC", **context))
    answer, since = client.get("/metrics"), (datetime.now(UTC) - NOW).total_seconds()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = numbers(answer)
    trial = ("pipeline", "trial")
    assert found["stixlab_runs", trial, ("status", "failed")] == 1
    assert found["stixlab_runs", trial, ("status", "queued")] == 1
    assert found["stixlab_runs", ("pipeline", "flare_list"), ("status", "queued")] == 0
    assert found["stixlab_run_duration_seconds", trial, ("quantile", "0.5")] == pytest.approx(3, abs=0.01)
    assert found["stixlab_run_duration_seconds", trial, ("quantile", "1")] == pytest.approx(4, abs=0.01)
    assert found["stixlab_pipeline_failing", trial] == 0, "there is no such pipeline any more"
    assert found["stixlab_pipeline_failing", ("pipeline", "flare_list")] == 1
    assert found[("stixlab_queue_length",)] == 1
    assert found[("stixlab_queue_oldest_seconds",)] == pytest.approx(600 + since, abs=60)
    assert found[("stixlab_workers_busy",)] == 1
    age = found["stixlab_product_age_seconds", ("origin", "simulated"), ("type", "ql-lightcurve")]
    assert age == pytest.approx(7200 + since, abs=60)
    assert found["stixlab_product_age_seconds", ("origin", "flight"), ("type", "asp-ephemeris")] > age
    success = found["stixlab_last_success_timestamp_seconds", trial]
    assert success == pytest.approx((NOW - timedelta(seconds=58)).timestamp(), abs=0.01)


def test_nothing_in_it_is_secret(client, lab):
    secret = {
        "asked_by": "SECRET",
        "error": "SECRET",
        "worker": "SECRET:1:2",
        "machine": "SECRET",
        "log": "SECRET",
    }
    for number, status in enumerate(RunStatus, start=1):
        keep(lab, number, status, parameters={"a": "SECRET"}, **secret)
    assert "SECRET" not in client.get("/metrics").text


def test_a_silent_database_is_a_number_and_no_error(client, lab, monkeypatch):
    def away(**_):
        raise CatalogError("database at 127.0.0.1:27017: no answer")

    monkeypatch.setattr(lab.catalog.runs, "find", away)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert numbers(answer)[("stixlab_database_up",)] == 0
    assert "27017" not in answer.text
    monkeypatch.undo()
    assert numbers(client.get("/metrics"))[("stixlab_database_up",)] == 1


def test_many_scrapes_are_one_look_at_the_database(client, lab, monkeypatch):
    asked = []
    find = lab.catalog.runs.find
    monkeypatch.setattr(lab.catalog.runs, "find", lambda **given: (asked.append(given), find(**given))[1])
    client.get("/metrics")
    once = len(asked)
    client.get("/metrics")
    client.get("/api/v1/pipelines")
    assert len(asked) == once
