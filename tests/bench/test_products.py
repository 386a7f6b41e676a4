"""The benchmarks of products, archive and reprocessing at small sizes: they run to their end and measure what they say."""

import numpy as np
import pytest

from stixlab import factory
from stixlab.archive import Archive
from stixlab.archive.contents import read_contents
from stixlab.bench import BENCHMARKS, archive, products, reprocessing
from stixlab.bench.measurement import bytes_read
from stixlab.products.formats.zarr import open_zarr
from stixlab.products.merging import content_sha256
from stixlab.settings import read_settings


def test_goals_are_held_by_benchmarks_of_their_names():
    assert {"products", "archive", "reprocessing", "reprocessing-year"} <= set(BENCHMARKS)
    assert BENCHMARKS["reprocessing-year"].only_by_name


def test_a_day_is_measured_from_file_to_fits(monkeypatch):
    monkeypatch.setattr(products, "_REPEATS", 1)
    found = list(products.measure())
    assert found[0].goal == products.GOAL_S
    assert found[0].value == pytest.approx(found[1].value + found[2].value)
    assert all(m.value > 0 for m in found)


def test_bytes_of_a_file_are_counted(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(100_000))
    before = bytes_read()
    if not before:
        pytest.skip("the system does not count them")
    path.read_bytes()
    assert 100_000 <= bytes_read() - before < 110_000


@pytest.mark.slow
def test_the_archive_is_filled_with_days_of_their_own_and_measured(monkeypatch, tmp_path):
    settings = read_settings(home=tmp_path, mongo_uri="", access="operator")
    archive.fill(settings, 3, processes=1)
    kept = Archive(factory.archive_folder(settings))
    for name in archive._TYPES:
        rows = read_contents(kept, "L1", name, archive.ORIGIN).rows
        assert [r.day for r in rows] == ["2025-01-01", "2025-01-02", "2025-01-03"], name
        opened = [open_zarr(kept.path(r.key)) for r in rows]
        assert len({content_sha256(ds) for ds in opened}) == 3
        steps = np.diff([ds["scet_coarse"].to_numpy()[0] for ds in opened].copy())
        assert steps.tolist() == [86_400, 86_400]
    with factory.open_lab(settings) as lab:
        monkeypatch.setattr(archive, "_REPEATS", 1)
        found = [*archive._opening(lab, 3), *archive._reading(lab, 3)]
    assert all(m.value > 0 for m in found)
    assert {m.goal for m in found} >= {200.0, 50.0, 300.0, archive.GOAL_EXCESS}


@pytest.mark.slow
def test_what_is_made_again_is_the_same_and_its_memory_is_told(tmp_path):
    reprocessing.fill(tmp_path, 1, what=("lightcurve",))
    for cores in (1, 2):
        found = reprocessing._in_own_process(tmp_path, cores)
        assert found["seconds"] > 0
        assert found["cpu"] > 0
        assert 50e6 < found["peak_bytes"] < 2e9
