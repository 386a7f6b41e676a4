"""Simulated and re-encoded requests put together again by the assembly of the ground."""

import numpy as np
import pytest

from stixlab.idb import load_versions
from stixlab.simulation import REQUEST_KINDS, demonstration
from stixlab.simulation.reencode import reencode
from stixlab.telemetry.assembly import assemble
from stixlab.telemetry.compression import decompress
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.sequences import Headers
from stixlab.telemetry.sources import read_packets
from stixlab.vocabulary import REENCODED, SIMULATED

VERSIONS = load_versions()
SPIDS = {20: 54114, 21: 54115, 22: 54116, 23: 54117, 24: 54143, 42: 54125}
COUNTS = {20: None, 21: "NIX00260", 22: "NIX00260", 23: None, 24: "NIX00268", 42: None}


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The demonstration with every kind of request of three flares, packets in no order, some of them twice."""
    truth = demonstration("2022-03-01", out=tmp_path_factory.mktemp("day"), requests=tuple(REQUEST_KINDS))
    block = PacketBlock.concatenate([read_packets(p.read_bytes(), p.name, VERSIONS)[0] for p in truth.files])
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(len(block)), rng.integers(0, len(block), 50)])
    return truth, block.select(order)


def assembled(block, ssid):
    columns, _ = decode(block, SPIDS[ssid], VERSIONS)
    return assemble(columns, others=Headers.of(block.select(block.ssid != ssid)))


@pytest.mark.parametrize("ssid", SPIDS)
def test_every_request_is_complete_and_has_its_packets(day, ssid):
    truth, block = day
    asked = sorted((r for r in truth.requests if r.ssid == ssid), key=lambda r: r.start)
    found = sorted(assembled(block, ssid), key=lambda a: a.span)
    assert [len(a) for a in found] == [r.n_packets for r in asked]
    for one, true in zip(found, asked, strict=True):
        assert one.complete, one.why
        assert one.origin == SIMULATED
        if ssid != 42:
            assert (one.request, one.tc_sequence) == (true.request_id, true.tc_sequence)
        if COUNTS[ssid]:
            scheme = (one.columns.single(f"NIXD{n:04}")[0] for n in (7, 8, 9))
            value, variance = decompress(one.columns[COUNTS[ssid]], *scheme)
            error = 10 * np.sqrt(variance.sum()) + 0.005 * true.total_counts
            assert abs(int(value.sum()) - true.total_counts) < error


def test_a_lost_packet_is_noticed_though_other_requests_take_part_of_the_counter(day):
    truth, block = day
    asked = max((r for r in truth.requests if r.ssid == 21), key=lambda r: r.n_packets)
    columns, _ = decode(block, SPIDS[21], VERSIONS)
    mine = columns.block.select(columns.single("NIX00037") == asked.request_id)
    lost = np.sort(np.unique(mine.sequence_count))[5]
    kept = block.select((block.apid != 1468) | (block.sequence_count != lost))
    (one,) = (a for a in assembled(kept, 21) if a.request == asked.request_id)
    assert (one.n_missing, one.complete) == (1, False)
    others = [a for a in assembled(kept, 21) if a.request != asked.request_id]
    assert all(a.complete for a in others)


@pytest.mark.filterwarnings("ignore")
def test_a_reencoded_product_is_one_complete_request(real_data, tmp_path):
    (path,) = (real_data / "l1").rglob("*cpd_20200607T213709*")
    made = reencode(path, out=tmp_path)
    block, _ = read_packets(made.file.read_bytes(), made.file.name, VERSIONS)
    (one,) = assembled(block, 21)
    assert one.complete
    assert (one.origin, one.request, len(one)) == (REENCODED, 1178428688, 54)
