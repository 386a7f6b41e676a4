"""What the benchmarks measure is right: samples decode, and the peers are given the same structures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stixlab.bench.files import write_file
from stixlab.bench.peers import load_peers, unrolled
from stixlab.bench.samples import HOUSEKEEPING, LIGHT_CURVE, PIXEL_DATA
from stixlab.bench.telemetry import SUBJECTS
from stixlab.idb import load_versions
from stixlab.telemetry.decode import decode, decode_all
from stixlab.telemetry.frames import Status
from stixlab.telemetry.sources import read_packets


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: s.title)
def test_samples_are_full_packets_that_decode(subject) -> None:
    """As large as on board; every one its own."""
    versions = load_versions()
    block = subject.make(3, versions)
    columns, statuses = decode(block, subject.spid, versions)
    assert not statuses.any()
    assert len(columns) == 3
    length = {LIGHT_CURVE: 4112, PIXEL_DATA: 3943, HOUSEKEEPING: 109}[subject.spid]
    assert np.abs(block.lengths - length).max() <= 2
    assert len({block.packet(i) for i in range(3)}) == 3


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: s.title)
@pytest.mark.parametrize("name", ["ccsdspy", "space_packet_parser"])
def test_peers_read_the_same_numbers(subject, name: str) -> None:
    """Where they can be told the structure: so the comparison is of the same work."""
    pytest.importorskip(name)
    versions = load_versions()
    block = subject.make(3, versions)
    ours, _ = decode(block, subject.spid, versions)
    fields = unrolled(versions.latest.program(subject.spid), subject.repeats)
    decoder = load_peers()[name](fields)
    if (name, subject.spid) == ("ccsdspy", PIXEL_DATA):
        with pytest.raises(KeyError):
            decoder(block.data.tobytes())
        return
    found = decoder(block.data.tobytes())
    compared = [f.name for f in fields if f.name in ours and len(ours[f.name]) == 3 and not f.counter]
    assert len(compared) > 10
    for field in compared:
        theirs = found[field] if name == "ccsdspy" else [packet[field] for packet in found]
        assert [int(x) for x in theirs] == ours[field].tolist(), field


def test_files_of_the_benchmark_hold_no_packet_twice(tmp_path: Path) -> None:
    """Or duplicates would be left out of the decoding that is measured."""
    versions = load_versions()
    path = tmp_path / "some.bin"
    n = write_file(path, 11_000_000)
    block, _ = read_packets(path.read_bytes(), path.name, versions)
    _, final = decode_all(block, versions)
    assert len(block) == n
    assert (final.status == Status.OK).all()
