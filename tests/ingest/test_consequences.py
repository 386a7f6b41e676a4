"""A product that is hidden, deleted or shown again by hand: what was made of it is made anew."""

import pytest

from stixlab.archive.trash import bring_back, delete, hide, show
from stixlab.ingest.consequences import queue_dependants
from stixlab.pipeline.cache import plan_run
from stixlab.pipeline.discovery import get_pipeline
from stixlab.pipeline.inputs import days_of
from tests.support.archives import dates, filled
from tests.support.catalogs import succeed
from tests.support.pipelines import FIND, FRONT, SAVE, write_notebook

ONE = "L1_ql-lightcurve_20210605_flight"
WHY = {"who": "keeper", "reason": "clock was wrong"}
GIVEN = {"start": "2021-06-06", "end": "2021-06-07", "origin": "flight"}


@pytest.fixture
def center(tmp_path):
    """Two days; the second one is read with the end of the first, as far as the margin goes."""
    archive, catalog = filled(tmp_path / "archive", *dates("2021-06-05", 2))[:2]
    folder = tmp_path / "pipelines"
    front = f"{FRONT}schedule: on new product\nmargin: 1 d\n"
    write_notebook(folder, FIND, SAVE, front=front)
    write_notebook(
        folder, FIND, SAVE, name="apart", front=front.replace("[ql-lightcurve]", "[hk-mini]"),
        start='run = stixlab.start_run("apart", start=start, end=end, origin=origin)',
    )  # fmt: skip
    found = []

    def changed(product):
        found.append(queue_dependants(catalog, folder, product))
        return found[-1]

    return archive, catalog, folder, found, changed


def days(runs):
    return [(r.pipeline, r.parameters["start"]) for r in runs]


def waiting(catalog):
    return [r.run_id for r in catalog.runs.find(status="queued")]


def test_exactly_what_depends_on_a_hidden_product_is_done_again(center):
    archive, catalog, folder, found, changed = center
    first = plan_run(catalog, get_pipeline(folder, "trial"), GIVEN, trigger="product")
    catalog.runs.enqueue(first)
    succeed(catalog, first.run_id)
    hide(catalog, archive, ONE, **WHY, changed=changed)
    (done,) = found
    assert days(done.queued) == [("trial", "2021-06-06")]
    assert ONE not in done.queued[0].inputs
    assert waiting(catalog) == [r.run_id for r in done.queued]
    assert days(done.without_data) == [("trial", "2021-06-05")], "nothing is left of that day"
    changed(catalog.products.get(ONE))
    assert waiting(catalog) == [r.run_id for r in done.queued], "safe to repeat"
    show(catalog, archive, ONE, **WHY, changed=changed)
    assert days(found[-1].queued) == [("trial", "2021-06-05")], "the other one was done before, on the same"
    assert waiting(catalog) == [r.run_id for r in found[-1].queued], (
        "what would read the day without it is not done"
    )


def test_a_product_that_is_deleted_and_one_that_comes_back_are_followed(center):
    archive, catalog, _, found, changed = center
    entry = delete(catalog, archive, ONE, **WHY, changed=changed)
    assert days(found[-1].queued) == [("trial", "2021-06-06")]
    bring_back(catalog, archive, entry.entry_id, **WHY, changed=changed)
    assert days(found[-1].queued) == [("trial", "2021-06-05"), ("trial", "2021-06-06")]
    assert all(ONE in run.inputs for run in found[-1].queued)


def test_a_delete_that_was_cut_short_is_followed_when_it_is_finished(center, monkeypatch):
    from stixlab.archive import trash

    archive, catalog, _, found, changed = center

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trash, "refresh_day", killed)
        with pytest.raises(KeyboardInterrupt):
            delete(catalog, archive, ONE, **WHY, changed=changed)
    assert found == []
    delete(catalog, archive, ONE, **WHY, changed=changed)
    assert days(found[-1].queued) == [("trial", "2021-06-06")]


def test_a_product_is_of_the_days_it_has_data_of(center):
    _, catalog, *_ = center
    product = catalog.products.get(ONE)
    assert days_of(product.start, product.end) == ["2021-06-05"]
