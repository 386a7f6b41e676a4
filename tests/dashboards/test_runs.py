"""The runs for the team: the list, its filters, what is known of a run, cancel and retry."""

import threading
from datetime import UTC, datetime

import pytest

from stixlab.dashboards import runs
from stixlab.dashboards.runs import RunDesktop, RunList, run_html
from stixlab.errors import CatalogError
from stixlab.model import RunStatus
from stixlab.pipeline.spec import read_spec
from tests.support.runs import make_desk, make_lab, make_run

NOW = datetime.now(UTC)


@pytest.fixture
def lab(tmp_path):
    return make_lab(tmp_path)


@pytest.fixture
def specs(lab, tmp_path):
    return {"trial": read_spec(tmp_path / "pipelines" / "trial.ipynb")}


def keep(lab, number, status=RunStatus.SUCCEEDED, **facts):
    run = make_run(number, status, **({"created": NOW} | facts))
    lab.catalog.runs.save(run)
    return run


def listed(view):
    return [value for _, value in view.list.options if value]


@pytest.fixture
def view(lab, specs):
    keep(lab, 1, asked_by="ada")
    keep(lab, 2, RunStatus.FAILED, asked_by="bob", error="cell 3: division by zero")
    keep(lab, 3, RunStatus.QUEUED, pipeline="other")
    view = RunList(lab, specs)
    view.refresh()
    return view


def test_filters_narrow_the_list(view):
    assert len(listed(view)) == 3
    view.status.value = "failed"
    assert listed(view) == [make_run(2).run_id]
    view.status.value = ""
    view.mine.value = True
    assert listed(view) == [make_run(1).run_id]
    view.pipeline.value = "trial"
    view.status.value = "queued"
    assert listed(view) == []
    assert "No run meets all of this" in view.message.value


def test_a_run_of_long_ago_is_found_when_asked_for(view, lab):
    old = keep(lab, 9, created=datetime(2020, 1, 1, tzinfo=UTC))
    view.refresh()
    assert old.run_id not in listed(view)
    view.since.value = "ever"
    assert old.run_id in listed(view)


def test_choosing_a_run_shows_its_error(view):
    view.list.value = make_run(2).run_id
    assert "division by zero" in view.details.value
    assert view.bar.bar.bar_style == "danger"


def test_what_is_chosen_stays_chosen_while_the_list_changes(view, lab):
    view.list.value = make_run(2).run_id
    keep(lab, 4)
    view.refresh()
    assert view.list.value == make_run(2).run_id
    assert view.chosen.run_id == make_run(2).run_id
    lab.catalog.runs.delete(make_run(2).run_id)
    view.refresh()
    assert (view.chosen, view.details.value, view.cancel_button.disabled) == (None, "", True)


@pytest.mark.parametrize(
    ("status", "owner", "operator", "offered"),
    [
        (RunStatus.QUEUED, "ada", False, (True, False)),
        (RunStatus.RUNNING, "ada", False, (True, False)),
        (RunStatus.RUNNING, "bob", False, (False, False)),
        (RunStatus.RUNNING, "", False, (False, False)),
        (RunStatus.RUNNING, "bob", True, (True, False)),
        (RunStatus.FAILED, "ada", False, (False, True)),
        (RunStatus.FAILED, "bob", False, (False, False)),
        (RunStatus.CANCELLED, "bob", True, (False, True)),
        (RunStatus.SUCCEEDED, "ada", True, (False, False)),
    ],
)
def test_buttons_offer_what_the_one_before_them_may_do(tmp_path, status, owner, operator, offered):
    from stixlab.catalog import MemoryCatalog

    catalog = MemoryCatalog()
    lab = make_lab(tmp_path, catalog=catalog, desk=make_desk(catalog, tmp_path, operator=operator))
    run = keep(lab, 1, status, asked_by=owner)
    view = RunList(lab, {})
    view.choose(run.run_id)
    assert (not view.cancel_button.disabled, not view.retry_button.disabled) == offered


def test_cancel_and_retry_change_the_queue_and_the_view(view, lab):
    mine = keep(lab, 5, RunStatus.QUEUED, asked_by="ada")
    view.choose(mine.run_id)
    view.cancel_button.click()
    assert lab.catalog.runs.get(mine.run_id).status is RunStatus.CANCELLED
    assert "cancelled" in view.details.value
    view.retry_button.click()
    assert lab.catalog.runs.get(mine.run_id).status is RunStatus.QUEUED


def test_runs_of_others_do_not_hide_mine(view, monkeypatch):
    monkeypatch.setattr(runs, "_MOST", 1)
    view.refresh()
    assert listed(view) != [make_run(1).run_id], "the newest are of others"
    view.mine.value = True
    assert listed(view) == [make_run(1).run_id]


def test_a_refusal_is_told(view):
    view.choose(make_run(2).run_id)
    view.cancel()
    assert 'role="alert"' in view.message.value


def test_a_silent_database_is_told_and_leaves_the_list(view, lab, monkeypatch):
    def away(**_):
        raise CatalogError("database: no answer")

    monkeypatch.setattr(lab.catalog.runs, "find", away)
    view.refresh()
    assert "database: no answer" in view.message.value
    assert len(listed(view)) == 3


def test_the_log_is_shown_from_its_end_and_as_text(lab):
    path = lab.archive.root / "runs" / "x.log"
    path.parent.mkdir(parents=True)
    path.write_text("first line\n" + "x" * 30_000 + "\n<script>last line</script>")
    html = run_html(lab, make_run(log="runs/x.log"))
    assert "&lt;script&gt;last line" in html
    assert "first line" not in html


@pytest.mark.parametrize("key", ["runs/gone.log", "../../etc/passwd", "/etc/passwd"])
def test_a_log_that_is_not_there_or_not_ours_is_told(lab, key):
    html = run_html(lab, make_run(log=key))
    assert "The log cannot be read" in html
    assert "root:" not in html


def test_everything_a_run_says_is_text_and_not_html(lab):
    evil = "<script>alert(1)</script>"
    run = make_run(
        1, RunStatus.FAILED, error=evil, failures=(evil,), asked_by=evil, parameters={evil: evil}, outputs={evil: evil},
        worker=evil, notebook="runs/x.ipynb",
    )  # fmt: skip
    assert "<script" not in run_html(lab, run)


def test_the_executed_notebook_is_a_link_to_the_pages_of_the_team(lab):
    html = run_html(lab, make_run(notebook="runs/x.ipynb"))
    assert f'href="/services/team/runs/{make_run().run_id}"' in html


def test_the_form_of_each_pipeline_is_there_and_kept_as_it_was_filled(lab, specs):
    desktop = RunDesktop(lab, specs)
    desktop.choice.value = "trial"
    desktop.forms["trial"].fields["start"].input.value = "2022-03-01"
    desktop.choice.value = ""
    assert desktop.place.children == ()
    desktop.choice.value = "trial"
    assert desktop.forms["trial"].fields["start"].input.value == "2022-03-01"


def test_the_view_follows_by_itself_what_changes_until_another_is_shown(lab, specs, monkeypatch):
    monkeypatch.setattr(runs, "_LIVE_S", 0.02)
    desktop = RunDesktop(lab, specs)
    shown = desktop.show()
    keep(lab, 7)
    wait_until(lambda: len(listed(desktop.runs)) == 1)
    RunDesktop(lab, specs).show()
    wait_until(lambda: sum(t.name == "pipelines-live" for t in threading.enumerate()) == 1)
    runs._SHOWN.clear()
    wait_until(lambda: not any(t.name == "pipelines-live" for t in threading.enumerate()))
    assert shown is not None


def wait_until(true, tries=500):
    pause = threading.Event()
    for _ in range(tries):
        if true():
            return
        pause.wait(0.02)
    raise AssertionError("it did not happen")


def broken(*_given, **_named):
    raise RuntimeError("a <mistake> of ours")


@pytest.mark.parametrize(
    ("part", "act"),
    [
        ("refresh", lambda view: view.refresh_button.click()),
        ("refresh", lambda view: setattr(view.status, "value", "failed")),
        ("refresh", lambda view: setattr(view.mine, "value", True)),
        ("cancel", lambda view: view.cancel_button.click()),
        ("retry", lambda view: view.retry_button.click()),
        ("choose", lambda view: setattr(view.list, "value", make_run(2).run_id)),
    ],
)
def test_what_a_callback_of_the_list_raises_is_shown_above_it(view, monkeypatch, part, act):
    """Widgets hide it: nothing would happen, and nobody would know why."""
    monkeypatch.setattr(view, part, broken)
    act(view)
    assert "RuntimeError: a &lt;mistake&gt; of ours" in view.message.value


def test_a_form_that_cannot_be_made_says_why_in_its_place(lab, specs, monkeypatch):
    desktop = RunDesktop(lab, specs)
    form, refused = runs.RunForm, broken
    monkeypatch.setattr(runs, "RunForm", refused)
    desktop.choice.value = "trial"
    assert "RuntimeError" in desktop.message.value
    assert desktop.place.children == ()
    monkeypatch.setattr(runs, "RunForm", form)
    desktop.choice.value = ""
    desktop.choice.value = "trial"
    assert desktop.message.value == ""
    assert len(desktop.place.children) == 1
