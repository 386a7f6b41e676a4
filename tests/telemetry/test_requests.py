"""Packets of requests found in files and gathered from many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stixlab.errors import ParameterError
from stixlab.idb import load_versions
from stixlab.telemetry.frames import SIMULATED_DESTINATION, PacketBlock, Status
from stixlab.telemetry.packet_file import PacketFile, PacketFileWriter
from stixlab.telemetry.requests import RequestIndex, RequestKey, gather, request_keys
from stixlab.telemetry.sources import read_packets
from tests.support.packets import housekeeping
from tests.support.science import NOW, aspect_burst, pixel_request, quicklook, spectrogram_request

KEY = RequestKey("flight", 21, 2_505_080_001, 50_001)


def stored(path: Path, *blocks: PacketBlock) -> RequestIndex:
    with PacketFileWriter(path, load_versions()) as writer:
        for block in blocks:
            writer.append(block)
    return RequestIndex(PacketFile.open(path))


def as_read(*blocks: PacketBlock, cut: int = 0) -> PacketBlock:
    """Packets as they come out of a file, the last of them cut short."""
    data = b"".join(b.data[b.offsets[0] : b.offsets[-1]].tobytes() for b in blocks)
    return read_packets(data[: len(data) - cut], "x.bin", load_versions())[0]


def test_keys_of_a_file_name_each_request_once():
    block = PacketBlock.concatenate(
        [
            pixel_request(3),
            spectrogram_request(2, destination=SIMULATED_DESTINATION),
            aspect_burst(1),
            housekeeping(n=2),
            quicklook(1, first_count=3),
        ]
    )
    assert request_keys(block, load_versions()) == {
        "flight/21/2505080001/50001",
        "simulated/24/2505080002/50002",
        f"flight/42/day{NOW // 86_400}/0",
    }
    assert request_keys(PacketBlock.empty(), load_versions()) == set()


def test_packets_cut_before_their_number_are_of_no_request():
    block = as_read(pixel_request(1), cut=111 - 22)
    assert len(pixel_request(1).data) == 111, "or else the cut is elsewhere"
    assert request_keys(block, load_versions()) == set()
    assert request_keys(as_read(pixel_request(1), cut=30), load_versions()) == {str(KEY)}


@pytest.mark.parametrize("text", ["flight/21/2505080001/50001", "simulated/42/day9259/0"])
def test_a_key_is_its_text(text):
    assert str(RequestKey.parse(text)) == text


@pytest.mark.parametrize("text", ["", "flight/21/1", "mars/21/1/1", "flight/x/1/1", "flight/21/dayx/1"])
def test_what_is_no_key_is_told(text):
    with pytest.raises(ParameterError, match="ORIGIN/SSID/REQUEST/TCSEQ"):
        RequestKey.parse(text)


def test_packets_are_gathered_from_all_files(tmp_path):
    block = pixel_request(4)
    files = {
        "a": stored(tmp_path / "a", block.select([3, 0]), housekeeping(n=1)),
        "b": stored(tmp_path / "b", block.select([2, 3, 1])),
        "c": stored(tmp_path / "c", spectrogram_request(1)),
    }
    found = gather([KEY], files, load_versions())
    (part,) = found.parts
    assert (part.complete, len(part)) == (True, 4)
    assert found.sources == [("a", "b")]
    assert len(found.damaged) == 0
    assert gather([KEY], {"c": files["c"]}, load_versions()).parts == []
    assert gather([KEY], {}, load_versions()).parts == []


def test_damaged_packets_are_told_unless_there_is_a_good_copy(tmp_path):
    """One cut short, one whose counter lies; then good copies arrive in another file."""
    block = pixel_request(3)
    data = block.data.copy()
    data[block.offsets[1] + 33 : block.offsets[1] + 35] = 0xFF  # number of sub-structures
    lying = as_read(PacketBlock(**{**block.__dict__, "data": data}), cut=20)
    assert lying.status.tolist() == [Status.OK, Status.OK, Status.TRUNCATED]
    files = {"a": stored(tmp_path / "a", lying)}
    found = gather([KEY], files, load_versions(), neighbours=lambda _: files.values())
    assert found.damaged.sequence_count.tolist() == [101, 102]
    assert found.damaged_sources == ("a", "a")
    assert "the last is missing" in found.parts[0].why
    files["b"] = stored(tmp_path / "b", block.select([2]))
    found = gather([KEY], files, load_versions(), neighbours=lambda _: files.values())
    assert found.damaged.sequence_count.tolist() == [101]
    assert [g.n for g in found.parts[0].gaps] == [1], "a damaged packet fills no gap"
    files["c"] = stored(tmp_path / "c", block.select([1]))
    assert gather([KEY], files, load_versions()).parts[0].complete


def test_a_gap_filled_by_packets_of_another_file_is_none(tmp_path):
    """Light curves in the counter; one that was cut before it said what it is could have been ours."""
    block = pixel_request(3, sequence_count=[100, 103, 104])
    files = {"a": stored(tmp_path / "a", block)}
    whole = stored(tmp_path / "b", quicklook(2, first_count=101, sent=NOW + 3))
    headless = stored(tmp_path / "c", as_read(quicklook(2, first_count=101, sent=NOW + 3), cut=42 - 16))
    assert [g.n for g in gather([KEY], files, load_versions()).parts[0].gaps] == [2]
    assert gather([KEY], files, load_versions(), neighbours=lambda _: [whole]).parts[0].complete
    again = gather([KEY], files, load_versions(), neighbours=lambda _: [headless])
    assert [g.n for g in again.parts[0].gaps] == [1]


def test_days_of_packets_without_numbers(tmp_path):
    midnight = (NOW // 86_400 + 1) * 86_400
    files = {"a": stored(tmp_path / "a", aspect_burst(4, sent=midnight - 15))}
    today = RequestKey("flight", 42, 0, 0, day=NOW // 86_400)
    assert [len(p) for p in gather([today], files, load_versions()).parts] == [2]
    both = today.beside(today.day, today.day + 1)
    assert [len(p) for p in gather(both, files, load_versions()).parts] == [4]
    assert KEY.beside(1, 3) == [KEY]


def test_status_in_the_file_does_not_matter(tmp_path):
    """What one file calls a duplicate may be the only good copy."""
    block = pixel_request(2)
    marked = block.with_status(np.array([Status.OK, Status.CONFLICT], dtype=np.uint8))
    files = {"a": stored(tmp_path / "a", marked)}
    assert gather([KEY], files, load_versions()).parts[0].complete
