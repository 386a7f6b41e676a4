"""Hidden, shown, deleted, brought back: with a reason, a trail, and nothing lost."""

import pytest

from stixlab.archive.contents import read_contents
from stixlab.archive.spans import open_span
from stixlab.archive.trash import bring_back, delete, hide, show
from stixlab.errors import ArchiveError, ConflictError, NotInCatalogError, ParameterError
from stixlab.model import Action
from tests.support.archives import dates, filled

DAYS = dates("2021-06-05", 2)
ONE = "L1_ql-lightcurve_20210605_flight"
WHY = {"who": "keeper", "reason": "clock was wrong"}


@pytest.fixture
def kept(tmp_path):
    return filled(tmp_path / "archive", *DAYS)[:2]


def days_shown(archive):
    return [r.day for r in read_contents(archive, "L1", "ql-lightcurve", "flight").rows]


def test_a_hidden_product_is_not_shown_and_stays_as_it_is(kept):
    archive, catalog = kept
    before = catalog.products.get(ONE)
    assert hide(catalog, archive, ONE, **WHY).reason == "clock was wrong"
    assert [p.product_id for p in catalog.products.find()] == ["L1_ql-lightcurve_20210606_flight"]
    assert [p.product_id for p in catalog.products.find(hidden=True)] == [ONE]
    assert len(catalog.products.find(hidden=None)) == 2
    assert days_shown(archive) == DAYS[1:]
    assert open_span(archive, "ql-lightcurve").sizes["time"] == 90
    assert archive.path(before.zarr).exists()
    assert archive.path(before.fits).exists()
    assert hide(catalog, archive, ONE, **WHY) is None
    show(catalog, archive, ONE, **WHY)
    assert catalog.products.get(ONE) == before
    assert days_shown(archive) == DAYS
    assert show(catalog, archive, ONE, **WHY) is None
    assert [e.action for e in catalog.audit.find(subject=ONE)] == [Action.SHOW, Action.HIDE]


def test_the_latest_and_the_nearest_product_are_ones_that_are_shown(kept):
    archive, catalog = kept
    last = "L1_ql-lightcurve_20210606_flight"
    time = catalog.products.get(last).start
    hide(catalog, archive, last, **WHY)
    assert catalog.products.latest(type="ql-lightcurve").product_id == ONE
    assert catalog.products.nearest(type="ql-lightcurve", time=time).product_id == ONE


def test_a_deleted_product_comes_back_as_it_was(kept):
    archive, catalog = kept
    before = catalog.products.get(ONE)
    table = read_contents(archive, "L1", "ql-lightcurve", "flight").as_document()
    entry = delete(catalog, archive, ONE, **WHY)
    assert catalog.products.get(ONE) is None
    assert days_shown(archive) == DAYS[1:]
    assert not archive.path(before.zarr).exists()
    assert not archive.path(before.fits).exists()
    assert bring_back(catalog, archive, entry.entry_id, **WHY) == before
    assert catalog.products.get(ONE) == before
    assert read_contents(archive, "L1", "ql-lightcurve", "flight").as_document() == table
    assert open_span(archive, "ql-lightcurve").load().sizes["time"] == 180
    assert not archive.path("trash/" + entry.entry_id).exists()
    actions = [(e.action, e.who, e.reason) for e in catalog.audit.find(subject=ONE)]
    assert actions == [(Action.BRING_BACK, *WHY.values()), (Action.DELETE, *WHY.values())]


def test_a_delete_that_was_killed_is_finished_by_the_same_command(kept, monkeypatch):
    archive, catalog = kept
    before = catalog.products.get(ONE)
    from stixlab.archive import trash

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trash, "_move", killed)
        with pytest.raises(KeyboardInterrupt):
            delete(catalog, archive, ONE, **WHY)
    assert archive.path(before.zarr).exists()
    entry = delete(catalog, archive, ONE, **WHY)
    assert not archive.path(before.zarr).exists()
    assert len(catalog.audit.find(subject=ONE)) == 1
    with pytest.raises(NotInCatalogError):
        delete(catalog, archive, ONE, **WHY)
    assert bring_back(catalog, archive, entry.entry_id, **WHY) == before


def test_what_was_made_again_is_not_overwritten(kept):
    archive, catalog = kept
    before = catalog.products.get(ONE)
    entry = delete(catalog, archive, ONE, **WHY)
    catalog.products.save(before)
    with pytest.raises(ConflictError, match="made again"):
        bring_back(catalog, archive, entry.entry_id, **WHY)


def test_what_left_the_trash_cannot_come_back(kept):
    archive, catalog = kept
    entry = delete(catalog, archive, ONE, **WHY)
    archive.remove("trash/" + entry.entry_id)
    with pytest.raises(ArchiveError, match="not in the trash any more"):
        bring_back(catalog, archive, entry.entry_id, **WHY)
    assert catalog.products.get(ONE) is None


@pytest.mark.parametrize("act", [hide, show, delete])
def test_a_reason_is_asked_for_and_the_product_must_be_there(kept, act):
    archive, catalog = kept
    with pytest.raises(ParameterError, match="reason"):
        act(catalog, archive, ONE, who="keeper", reason="  ")
    with pytest.raises(NotInCatalogError, match="not in the catalogue"):
        act(catalog, archive, "L1_none", **WHY)
    assert catalog.audit.find() == []
    with pytest.raises(NotInCatalogError, match="id of a deletion"):
        bring_back(catalog, archive, "none", **WHY)
