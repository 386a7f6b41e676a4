"""Making products again: the same inputs give the same arrays; what did not change is left alone."""

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from stixlab.ephemeris.clock import load_clock
from stixlab.ingest import Ingestor, provenance, workforce
from stixlab.ingest.reprocess import reprocess
from stixlab.simulation import simulate
from stixlab.simulation.planning import REQUEST_KINDS
from stixlab.timing import ClockTable
from stixlab.vocabulary import PRODUCT_TYPES
from tests.support.chain import Chain, chain_of, new_chain
from tests.support.packets import light_curves
from tests.support.science import aspect_burst, pixel_request


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    """Every family of some hours, with the data of a flare."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(
        "2026-02-03T08:00",
        "2026-02-03T10:00",
        out=folder,
        kinds=("bin",),
        what=("quicklook", "housekeeping", "calibration", "science"),
        flares=[("2026-02-03T08:30", 9000.0)],
        requests=tuple(REQUEST_KINDS),
    )
    return folder


@pytest.fixture(scope="module")
def received(tmp_path_factory) -> Chain:
    """Two years: light curves of 2021, a request and a burst of 2025."""
    blocks = light_curves(40, n_bins=580), pixel_request(5), aspect_burst(3)
    return chain_of(tmp_path_factory.mktemp("received"), *blocks)


@pytest.fixture
def chain(received, tmp_path) -> Chain:
    return received.copy(tmp_path / "home")


def state(chain: Chain):
    """Products with all that does not tell when they were made, and the bytes of their files."""
    return {
        p.product_id: (p.version, p.content_sha256, p.zarr, p.fits, p.fits_sha256, p.created)
        for p in chain.catalog.products.find()
    }


def later_clock(after: int) -> ClockTable:
    """A clock that differs from a time on."""
    clock = load_clock()
    kept = clock.ticks < after << 16
    ticks = np.append(clock.ticks[kept], np.int64(after) << 16)
    tt = np.append(
        clock.tt_ns[kept], clock.tt_ns[kept][-1] + np.int64((ticks[-1] - ticks[-2]) * 1e9 / 65536) + 10**7
    )
    return ClockTable(ticks, tt, np.append(clock.rate[kept], 1.0), "later", 0.1)


def test_a_product_that_reaches_into_the_day_beside_is_no_reason(tmp_path):
    chain = new_chain(tmp_path / "home")
    out, what = tmp_path / "tm", ("housekeeping", "calibration")
    simulate("2026-03-01T20:00", "2026-03-03T04:00", out=out, kinds=("bin",), what=what, flares=())
    assert not chain.ingest(*sorted(out.glob("*.bin"))).failed
    days = [(p.start.date(), p.end.date()) for p in chain.catalog.products.find(type="cal-spectra")]
    assert any(first != last for first, last in days)
    assert reprocess(chain.ingestor).why == {}


def test_nothing_changed_nothing_made(chain):
    before, files = state(chain), chain.files()
    report = reprocess(chain.ingestor)
    assert (report.days, report.requests, report.changed) == (0, 0, [])
    assert report.up_to_date >= 4
    assert (state(chain), chain.files()) == (before, files)


@pytest.mark.slow
def test_everything_again_is_bit_identical_for_every_family(tmp_path, simulated):
    chain = new_chain(tmp_path / "home")
    assert not chain.ingest(simulated).failed
    before = state(chain)
    assert {p.type for p in chain.catalog.products.find()} == set(PRODUCT_TYPES)
    report = reprocess(chain.ingestor, again=True)
    assert report.changed == []
    assert report.unchanged == len(before)
    assert state(chain) == before


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [True, False])
def test_in_several_processes_it_is_the_same(chain, monkeypatch, at_once):
    def start(pool, _starter):
        begun = pool.submit(os.getpid)
        begun.result()
        return begun

    if at_once:  # otherwise this process does some, or all, while they start
        monkeypatch.setattr(workforce, "_start", start)
    before = state(chain)
    report = reprocess(replace(chain.ingestor, processes=2), again=True)
    assert report.unchanged == len(before)
    assert state(chain) == before


def test_a_changed_program_makes_all_again_and_equal_data_keep_their_version(chain, monkeypatch):
    before = state(chain)
    monkeypatch.setattr(provenance, "code_sha256", lambda: "other")
    report = reprocess(chain.ingestor)
    assert set(report.why) == {"code"}
    assert report.changed == []
    assert report.unchanged == len(before)
    assert state(chain) == before
    assert reprocess(chain.ingestor).up_to_date == report.days + report.requests


def test_a_changed_clock_makes_again_what_it_dates(chain):
    before = state(chain)
    clock = later_clock(700_000_000)
    ingestor = Ingestor(chain.catalog, chain.archive, chain.ingestor.versions, clock)
    report = reprocess(ingestor)
    assert (report.days, report.requests) == (0, 2)
    assert report.why == {"clock": 2}
    assert sorted(report.changed) == [i for i in sorted(before) if "_sci-" in i]
    after = state(chain)
    assert {i: v for i, v in after.items() if "_ql-" in i} == {i: v for i, v in before.items() if "_ql-" in i}
    assert {v[0] for i, v in after.items() if "_sci-" in i} == {2}


def test_by_type_and_time(chain, monkeypatch):
    monkeypatch.setattr(provenance, "code_sha256", lambda: "other")
    ingestor = chain.ingestor
    assert (reprocess(ingestor, type="sci-xray-cpd", dry_run=True).requests) == 1
    report = reprocess(ingestor, start=datetime(2025, 1, 1, tzinfo=UTC), dry_run=True)
    assert (report.days, report.requests) == (0, 2)
    report = reprocess(ingestor, end=datetime(2025, 1, 1, tzinfo=UTC), dry_run=True)
    assert (report.days, report.requests) == (len(chain.catalog.products.find(type="ql-lightcurve")), 0)
    assert reprocess(ingestor, origin="simulated", dry_run=True).why == {}


def test_damaged_and_missing_files_are_written_anew(chain):
    before = state(chain)
    curve, *_ = chain.catalog.products.find(type="ql-lightcurve")
    pixels, *_ = chain.catalog.products.find(type="sci-xray-cpd")
    for product in (curve, pixels):
        chunk = max(chain.archive.path(product.zarr).rglob("c/**/*"), key=lambda p: p.is_file())
        chunk.unlink()
        chain.archive.path(product.fits).write_bytes(b"SIMPLE")
    report = reprocess(chain.ingestor, again=True)
    assert report.changed == []
    assert state(chain) == before
    for product in (curve, pixels):
        fits = chain.archive.path(product.fits).read_bytes()
        assert hashlib.sha256(fits).hexdigest() == product.fits_sha256
    assert chain.lab.open("sci-xray-cpd", request_id=pixels.request).load().sizes["time"] == 10
    assert chain.lab.open("ql-lightcurve", curve.start, curve.end).load().sizes["time"] > 0


def test_a_product_that_is_gone_is_made_again(chain):
    before = state(chain)
    curve, *_ = chain.catalog.products.find(type="ql-lightcurve")
    pixels, *_ = chain.catalog.products.find(type="sci-xray-cpd")
    for product in (curve, pixels):
        chain.catalog.products.delete(product.product_id)
    report = reprocess(chain.ingestor)
    assert report.why == {"missing": 2}
    assert {i: v[1] for i, v in state(chain).items()} == {i: v[1] for i, v in before.items()}
