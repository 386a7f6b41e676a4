"""Repeated packets: which one is used does not depend on the order of packets, files and blocks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stixlab import compiled
from stixlab.idb import load_versions
from stixlab.telemetry import duplicates
from stixlab.telemetry.duplicates import content_hashes, hash_packets, mark_duplicates
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.headers import parse_headers
from tests.support.examples import examples
from tests.support.packets import housekeeping, light_curves


def block_of(packets: list[bytes], truncated: list[bool] | None = None) -> PacketBlock:
    """Packets one behind the other, as they stand."""
    borders = np.cumsum([0] + [len(packet) for packet in packets])
    return parse_headers(
        np.frombuffer(b"".join(packets), dtype=np.uint8),
        borders[:-1],
        borders[1:],
        truncated=np.array(truncated if truncated is not None else [False] * len(packets)),
        source_offset=borders[:-1],
        versions=load_versions(),
    )


def variants() -> list[tuple[bytes, bool]]:
    """Two identities: copies, copies with changed bytes, and cut ones; whether they are truncated."""
    found = []
    for packet in (light_curves(1, n_bins=5).packet(0), housekeeping(n=1).packet(0)):
        for change in (0, 1, 2):
            other = bytearray(packet)
            other[-1] ^= change
            found.append((bytes(other), False))
        found += [(packet[:50], True), (packet[:40], True)]
    return found


def used(block: PacketBlock) -> set[bytes]:
    good = np.flatnonzero(~np.isin(block.status, [Status.DUPLICATE, Status.CONFLICT]))
    return {block.packet(int(i)) for i in good}


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_the_same_packets_are_used_in_any_order(data: st.DataObject) -> None:
    """The packets used, the number of each status; each identity once; blocks marked apart and together."""
    chosen = data.draw(st.lists(st.sampled_from(variants()), min_size=1, max_size=14))
    shuffled = data.draw(st.permutations(chosen))
    first, second = (
        mark_duplicates(block_of([p for p, _ in each], [t for _, t in each])) for each in (chosen, shuffled)
    )
    assert used(first) == used(second)
    assert len(used(first)) == len({packet[:16] for packet, _ in chosen})
    assert sorted(first.status) == sorted(second.status)
    raw = block_of([p for p, _ in chosen], [t for _, t in chosen])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(chosen)), max_size=4)))
    parts = [mark_duplicates(raw.select(slice(a, b))) for a, b in itertools.pairwise([0, *cuts, len(chosen)])]
    assert mark_duplicates(PacketBlock.concatenate(parts)).status.tolist() == first.status.tolist()
    assert mark_duplicates(first).status.tolist() == first.status.tolist()


def test_the_longest_complete_packet_is_used() -> None:
    """Before a longer one that is cut, and before one whose counters do not fit."""
    packet = light_curves(1, n_bins=5).packet(0)
    longer = packet + bytes(20)
    block = mark_duplicates(
        block_of([packet[:-10], packet, longer[:-3], packet], [False, False, True, False])
    )
    assert block.status.tolist() == [Status.CONFLICT, Status.OK, Status.CONFLICT, Status.DUPLICATE]
    decoded = block_of([longer, packet]).with_status(np.array([Status.CORRUPT, Status.OK], dtype=np.uint8))
    assert mark_duplicates(decoded).status.tolist() == [Status.CONFLICT, Status.OK]


def test_other_times_and_counters_are_other_packets() -> None:
    """The flag of synchronisation belongs to the identity."""
    blocks = [
        housekeeping(n=1),
        housekeeping(n=1, synchronised=False),
        housekeeping(n=1, sequence_count=5),
        housekeeping(n=1, scet_fine=5),
        housekeeping(n=1, start=664_000_001),
    ]
    block = PacketBlock.concatenate(blocks)
    assert mark_duplicates(block) is block
    assert len(mark_duplicates(PacketBlock.empty())) == 0


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
def test_hashes_are_the_same_compiled_and_in_numpy(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For lengths with and without a rest behind whole words, and wherever the packets stand."""
    monkeypatch.setattr(duplicates, "_WORDS_AT_ONCE", at_once)
    random = np.random.default_rng(2)
    header = housekeeping(n=1).packet(0)[:16]
    packets = [header + random.bytes(int(n)) for n in random.integers(0, 60, 200)]
    block = block_of(packets)
    monkeypatch.setattr(duplicates, "is_worth_compiling", lambda _: False)
    plain = content_hashes(block)
    monkeypatch.setattr(duplicates, "is_worth_compiling", lambda _: True)
    assert compiled.get_kernel(hash_packets) is not None
    assert content_hashes(block).tolist() == plain.tolist()
    assert len(set(plain.tolist())) == len(set(packets))
    order = random.permutation(len(packets))
    assert content_hashes(block.select(order)).tolist() == plain[order].tolist()
    part = PacketBlock.concatenate([block]).select(slice(50, 60))
    assert content_hashes(part).tolist() == plain[50:60].tolist()
    assert content_hashes(PacketBlock.empty()).tolist() == []


def test_hashes_never_change() -> None:
    """They are stored: this number was made by the first version, from the formula in whole numbers."""
    block = block_of([bytes(range(13, 13 + 21))])
    mask = 2**64 - 1

    def mixed(word: int) -> int:
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & mask
        word = (word ^ word >> 27) * 0x94D049BB133111EB & mask
        return word ^ word >> 31

    content, total = block.packet(0), 21
    for i in range(3):
        word = int.from_bytes(content[8 * i : 8 * i + 8], "little")
        total += mixed((word + (i + 1) * 0x9E3779B97F4A7C15) & mask)
    assert int(content_hashes(block)[0]) == mixed(total & mask)


def test_flipped_bits_and_swapped_words_change_the_hash() -> None:
    """Every bit of a packet counts, and so does the order of its words."""
    packet = light_curves(1, n_bins=5).packet(0)
    others = [packet]
    for i in range(8 * len(packet)):
        other = bytearray(packet)
        other[i // 8] ^= 1 << i % 8
        others.append(bytes(other))
    others.append(packet[:16] + packet[24:32] + packet[16:24] + packet[32:])
    others.append(packet + b"\0")
    hashes = content_hashes(block_of(others))
    assert len(set(hashes.tolist())) == len(others)
