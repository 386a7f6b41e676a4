"""What a run may take: two threads look at it, and the first reason found stands."""

from __future__ import annotations

import os

import pytest

from stixlab.pipeline import limits
from stixlab.pipeline.limits import Limits, Watch

MB = 1_000_000


@pytest.fixture
def watch():
    return Watch(Limits(60.0, 50_000 * MB, output_bytes=32 * MB))


def test_too_much_output_found_while_the_memory_is_measured_stands(watch, monkeypatch):
    """The thread that receives the output decides while the one that looks is on its way through /proc."""

    def measure(_kernel, *, exact):
        assert not watch.count_output(40 * MB)
        return 100 * MB

    monkeypatch.setattr(limits, "_memory_of", measure)
    assert "more than 32 MB of output" in watch.look(os.getpid())
    assert "more than 32 MB of output" in watch.verdict


def test_the_first_reason_stands(watch, monkeypatch):
    monkeypatch.setattr(limits, "_memory_of", lambda *_args, **_others: 60_000 * MB)
    assert "out of memory: it took 60.0 GB" in watch.look(os.getpid())
    assert not watch.count_output(40 * MB)
    assert "out of memory" in watch.look(os.getpid())


def test_within_the_limits_there_is_no_reason(watch):
    assert watch.count_output(32 * MB)
    assert watch.look(os.getpid()) == ""
    assert 0 < watch.peak_bytes < 50_000 * MB
