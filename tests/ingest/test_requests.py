"""Records of requests: the same whatever the order and division of files; completed when the rest arrives."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab.archive import Archive
from stixlab.catalog.memory import MemoryCatalog
from stixlab.client.requests import find_requests, get_record, get_request
from stixlab.ephemeris.clock import load_clock
from stixlab.errors import NotInCatalogError, ParameterError, SchemaError
from stixlab.idb import load_versions
from stixlab.ingest.requests import RequestKeeper
from stixlab.model import RawFile, ScienceRequest
from stixlab.telemetry.duplicates import mark_duplicates
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.requests import request_keys
from stixlab.telemetry.sources import read_packets
from stixlab.timing import to_datetime
from tests.support.chain import new_chain
from tests.support.examples import examples
from tests.support.science import NOW, aspect_burst, pixel_request, quicklook, spectrogram_request


@dataclass
class Store:
    """Files as an ingest leaves them, and the keeper told of each."""

    home: Path
    catalog: MemoryCatalog = field(default_factory=MemoryCatalog)

    @property
    def archive(self) -> Archive:
        return Archive(self.home, writable=True)

    @property
    def keeper(self) -> RequestKeeper:
        return RequestKeeper(self.catalog, self.archive, load_versions(), load_clock())

    def add(self, *blocks: PacketBlock, tell: bool = True) -> tuple[list[ScienceRequest], int]:
        """Packets that arrive in one file."""
        block = mark_duplicates(PacketBlock.concatenate(blocks))
        sha256 = hashlib.sha256(block.data[block.offsets[0] : block.offsets[-1]].tobytes()).hexdigest()
        with self.archive.write_packets(sha256, load_versions()) as writer:
            writer.append(block)
        utc = load_clock().to_utc(block.scet_coarse, block.scet_fine)
        raw_file = RawFile(
            sha256=sha256,
            names=("x.bin",),
            kind="binary",
            size_bytes=1,
            origin="flight",
            received=datetime(2026, 1, 1, tzinfo=UTC),
            start=to_datetime(utc.min()),
            end=to_datetime(utc.max()),
            packets={"ok": len(block)},
            requests=tuple(sorted(request_keys(block, load_versions()))),
        )
        self.catalog.raw_files.save(raw_file)
        if not tell:
            return [], 0
        return self.keeper.make(raw_file.requests, start=raw_file.start, end=raw_file.end)

    def records(self) -> list[ScienceRequest]:
        """What is known, without what depends on history and on names of files."""
        return [replace(r, version=0, updated=None, sources=()) for r in self.catalog.requests.find()]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def test_a_request_is_completed_when_the_rest_arrives(store):
    block = pixel_request(5)
    ((first,), _) = store.add(block.select([0, 1, 4]))
    assert not first.complete
    assert (first.n_packets, first.n_missing, first.version) == (3, 2, 1)
    assert first.why == "2 packets between sequence counts 101 and 104"
    assert first.id == "sci-xray-cpd_2505080001-50001_flight"
    assert (first.type, first.ssid, first.tc_packet_id) == ("sci-xray-cpd", 21, 91)
    ((second,), _) = store.add(block.select([2, 3]))
    assert second.complete
    assert (second.n_packets, second.n_missing, second.why, second.version) == (5, 0, "", 2)
    assert len(second.sources) == 2
    assert store.catalog.requests.find() == [second]
    clock = load_clock()
    assert abs((second.start - to_datetime(clock.to_utc(NOW - 5000)[()])).total_seconds()) < 0.01
    assert abs((second.end - second.start).total_seconds() - 10) < 0.01
    assert abs((second.sent_end - second.sent_start).total_seconds() - 40) < 0.01


def test_the_same_again_changes_nothing(store):
    block = pixel_request(3)
    store.add(block)
    before = store.catalog.requests.find()
    assert store.add(block) == ([], 1)
    assert store.catalog.requests.find() == before
    ((changed,), _) = store.add(block.select([1]))  # the same packet in another file: another source
    assert (changed.version, len(changed.sources)) == (1, 2)


def test_other_packets_that_arrive_later_fill_the_counter(store):
    """The new file has no packet of the request, and yet its record changes."""
    store.add(pixel_request(3, sequence_count=[100, 103, 104]))
    assert [r.n_missing for r in store.catalog.requests.find()] == [2]
    ((record,), _) = store.add(quicklook(2, first_count=101, sent=NOW + 3))
    assert (record.complete, record.version) == (True, 1)


def test_a_burst_over_midnight_is_one_request_and_comes_apart_when_its_middle_ends_one(store):
    midnight = (NOW // 86_400 + 1) * 86_400
    burst = aspect_burst(6, sent=midnight - 25, sequence_flag=[1, 0, 2, 1, 0, 2])
    store.add(burst.select([0, 1, 4, 5]))
    (joined,) = store.catalog.requests.find()
    assert len(joined.keys) == 2
    assert not joined.complete
    store.add(burst.select([2]))
    store.add(burst.select([3]))
    apart = store.catalog.requests.find()
    assert [(r.n_packets, r.complete) for r in apart] == [(3, True), (3, True)]
    assert apart[0].id == joined.id


def test_packets_none_of_which_can_be_decoded_are_told(store):
    block = pixel_request(1)
    cut = read_packets(block.data[:-20].tobytes(), "x", load_versions())[0]
    ((record,), _) = store.add(cut)
    assert (record.n_packets, record.n_damaged, record.complete) == (0, 1, False)
    assert record.why == "1 packet cannot be decoded"
    with pytest.raises(NotInCatalogError, match="1 packet cannot be decoded"):
        request_of(store, record.id)
    ((record,), _) = store.add(block)
    assert (record.n_packets, record.n_damaged, record.complete) == (1, 0, True)
    damaged = aspect_burst(1)
    cut = read_packets(damaged.data[:-20].tobytes(), "x", load_versions())[0]
    ((record,), _) = store.add(cut)
    assert record.id == f"sci-aspect-burst_day{NOW // 86_400}-damaged_flight"
    store.add(damaged)
    assert [r.n_damaged for r in store.catalog.requests.find(type="sci-aspect-burst")] == [0]


def world() -> list[PacketBlock]:
    """Requests that share a counter and its wrap, others between, one burst over midnight, one damaged copy."""
    midnight = (NOW // 86_400 + 1) * 86_400
    a = pixel_request(4, sequence_count=[16382, 0, 2, 5], scet_coarse=NOW + np.array([0, 20, 40, 70]))
    b = spectrogram_request(2, sequence_count=[16383, 1], scet_coarse=NOW + np.array([10, 30]))
    burst = aspect_burst(3, sent=midnight - 15)
    bad = a.data.copy()
    bad[a.offsets[1] + 60] ^= 1
    copy = PacketBlock(**{**a.__dict__, "data": bad}).select([1])
    return [a, b, burst, quicklook(2, first_count=3, sent=NOW + 50), copy]


@given(st.data())
@settings(max_examples=examples(15), deadline=None)
def test_order_and_division_of_files_do_not_matter(data):
    """Some packets lost; the others in any files in any order: records and assembled contents are the same."""
    block = PacketBlock.concatenate(world())
    kept = sorted(data.draw(st.sets(st.integers(0, len(block) - 1), min_size=4)))
    order = data.draw(st.permutations(kept))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order) - 1), max_size=4)))
    with TemporaryDirectory() as one, TemporaryDirectory() as many:
        whole, parts = Store(Path(one)), Store(Path(many))
        whole.add(block.select(kept))
        for a, b in itertools.pairwise([0, *cuts, len(order)]):
            parts.add(block.select(order[a:b]))
        assert parts.records() == whole.records()
        for record in whole.records():
            ours, theirs = request_of(whole, record.id), request_of(parts, record.id)
            assert ours.gaps == theirs.gaps
            for name in ours.columns:
                assert np.array_equal(ours.columns[name], theirs.columns[name])
                assert np.array_equal(ours.columns.splits[name], theirs.columns.splits[name])


def request_of(store: Store, name: str | int):
    return get_request(
        name, catalog=store.catalog, archive=store.archive, versions=load_versions(), clock=load_clock()
    )


def test_requests_are_found_and_read(store):
    store.add(pixel_request(4).select([0, 1, 3]), spectrogram_request(2, first_count=300))
    assert [r.type for r in find_requests(store.catalog)] == ["sci-xray-cpd", "sci-xray-spec"]
    assert [r.type for r in find_requests(store.catalog, complete=False)] == ["sci-xray-cpd"]
    assert [r.type for r in find_requests(store.catalog, type="sci-xray-spec")] == ["sci-xray-spec"]
    begin = find_requests(store.catalog)[0].start
    assert len(find_requests(store.catalog, start=begin, end=begin.replace(year=begin.year + 1))) == 2
    assert find_requests(store.catalog, end=begin) == []
    assert find_requests(store.catalog, origin="simulated") == []
    part = request_of(store, 2_505_080_001)
    assert part.columns["NIX00404"].tolist() == [0, 10, 20, 30, 60, 70]
    assert get_record(store.catalog, "2505080002").type == "sci-xray-spec"


def test_mistakes_are_told(store):
    store.add(pixel_request(2), pixel_request(2, tc_sequence=3, first_count=300))
    with pytest.raises(
        NotInCatalogError, match="several have this number: sci-xray-cpd_2505080001-00003_flight, "
    ):
        get_record(store.catalog, 2_505_080_001)
    with pytest.raises(NotInCatalogError, match="stixlab requests"):
        get_record(store.catalog, "nonsense")
    with pytest.raises(NotInCatalogError, match="stixlab requests"):
        get_record(store.catalog, 99**9)
    with pytest.raises(SchemaError, match="expected one of"):
        find_requests(store.catalog, type="pixels")
    with pytest.raises(ParameterError, match="start before end"):
        find_requests(store.catalog, start="2026-01-02", end="2026-01-01")
    with pytest.raises(ParameterError, match="request key"):
        store.keeper.make(["nonsense"])


def test_what_was_sent_twice_has_two_records(store):
    store.add(pixel_request(3), pixel_request(3, first_count=9000, sent=NOW + 90_000))
    assert [r.id for r in store.catalog.requests.find()] == [
        "sci-xray-cpd_2505080001-50001-2_flight",
        "sci-xray-cpd_2505080001-50001_flight",
    ]
    assert request_of(store, "sci-xray-cpd_2505080001-50001-2_flight").complete


def test_an_ingest_of_files_makes_the_records(tmp_path):
    """Through the front door: two files, the second completes what the first left open."""
    block = pixel_request(4)
    chain = new_chain(tmp_path / "home")
    for name, chosen in (("a.bin", [0, 1]), ("b.bin", [2, 3])):
        (tmp_path / name).write_bytes(block.select(chosen).data.tobytes())
    assert not chain.ingest(tmp_path / "a.bin").failed
    assert [r.complete for r in chain.catalog.requests.find()] == [False]
    assert not chain.ingest(tmp_path / "b.bin").failed
    (record,) = chain.catalog.requests.find()
    assert (record.complete, record.n_packets, record.version) == (True, 4, 2)
    assert not chain.ingest(tmp_path / "a.bin", tmp_path / "b.bin").failed
    assert chain.catalog.requests.find() == [record]


@given(st.data())
@settings(max_examples=examples(20), deadline=None)
def test_changed_bytes_never_stop_the_records(data):
    """Any bytes but those of the framing may be wrong: nothing raises, no packet is counted twice or forgotten."""
    block = PacketBlock.concatenate(world())
    content = block.data.copy()
    for _ in range(data.draw(st.integers(1, 12))):
        packet = data.draw(st.integers(0, len(block) - 1))
        byte = data.draw(st.integers(10, int(block.lengths[packet]) - 1))
        content[block.offsets[packet] + byte] = data.draw(st.integers(0, 255))
    read = read_packets(content.tobytes(), "x", load_versions())[0]
    with TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.add(read)
        records = store.catalog.requests.find()
        science = np.isin(read.ssid, (20, 21, 22, 23, 24, 42)) & (read.service == 21)
        counted = sum(r.n_packets + r.n_damaged for r in records)
        assert counted <= np.count_nonzero(science)
        assert counted + sum(r.n_conflicts for r in records) + 1 >= np.count_nonzero(science)
        for record in records:
            if record.n_packets:
                assert len(request_of(store, record.id)) == record.n_packets
        assert store.add(read) == ([], len(records))
