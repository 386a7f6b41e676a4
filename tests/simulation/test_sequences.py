"""What fits into packets, their flags and their counters."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import ParameterError
from stixlab.idb import load_versions
from stixlab.simulation.sequences import (
    Departure,
    fill_packets,
    group_bytes,
    merge_in_time,
    number_packets,
    sequence_flags,
)
from stixlab.telemetry.encode import encode
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.sources import read_packets

CELLS = st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=60)


def pack(cells, *, packet_bytes=20, group_bytes=7, largest=90):
    """Limits, and the bytes of each packet computed one cell after the other."""
    sizes = np.array([size for size, _ in cells])
    group = np.cumsum([new for _, new in cells])
    limits = fill_packets(
        sizes, packet_bytes=packet_bytes, group=group, group_bytes=group_bytes, largest=largest
    )
    used = []
    for a, b in pairwise(limits):
        heads = len(set(group[a:b].tolist()))
        used.append(packet_bytes + sizes[a:b].sum() + heads * group_bytes)
    return sizes, group, limits, used


@given(CELLS)
def test_every_cell_is_in_one_packet_and_no_packet_is_too_large(cells):
    sizes, _, limits, used = pack(cells)
    assert limits[0] == 0
    assert limits[-1] == len(sizes)
    assert (np.diff(limits) > 0).all()
    assert max(used) <= 90


@given(CELLS)
def test_a_packet_is_filled_before_the_next_is_begun(cells):
    sizes, group, limits, used = pack(cells)
    for i, first in enumerate(limits[1:-1]):
        head = 7 if group[first] != group[first - 1] else 0
        assert used[i] + sizes[first] + head > 90


def test_no_cells_make_no_packets_and_a_cell_that_never_fits_is_told():
    assert fill_packets(np.zeros(0, dtype=np.int64), packet_bytes=20).tolist() == [0]
    with pytest.raises(ParameterError, match="at most 70 bytes"):
        fill_packets(np.array([71]), packet_bytes=20, largest=90)


def test_flags_are_first_continued_last_or_stand_alone():
    assert [sequence_flags(n).tolist() for n in (0, 1, 2, 4)] == [[], [3], [1, 2], [1, 0, 0, 2]]


def test_bytes_of_groups_are_those_of_real_packets():
    """The light curve of 580 bins and five bands has 4112 bytes (a real packet of 2020-06)."""
    definitions = load_versions().at(644_228_165)
    fixed, each = group_bytes(definitions, 54118), group_bytes(definitions, 54118, "NIX00270")
    assert fixed + 5 * (each + 580) + 2 * 580 == 4112
    assert group_bytes(definitions, 54115, "NIX00258") == 4


def test_the_start_time_of_pixel_data_has_a_byte_more_since_the_flight_software_of_2021():
    versions = load_versions()
    old, new = (group_bytes(versions.at(t), 54115, "NIX00403") for t in (677_000_000, 678_000_000))
    assert new == old + 1


def pings(coarse, apid, count):
    """Connection test reports, TM(17,2)."""
    return encode(54330, {}, scet_coarse=coarse, sequence_count=count, apid=apid)


def test_packets_of_an_apid_are_counted_in_the_order_in_which_they_leave():
    a, b = pings([10, 12, 14], 1500, 7), pings([11, 13], 1500, 9)
    other = pings([9, 15], 1468, [3, 4])
    counts = {1500: 16_383}
    merged = merge_in_time([a, PacketBlock.empty(), b, other], counts)
    assert merged.scet_coarse.tolist() == [9, 10, 11, 12, 13, 14, 15]
    assert merged.sequence_count.tolist() == [3, 16_383, 0, 1, 2, 3, 4]
    assert counts == {1500: 4}


def test_the_bytes_hold_the_count_and_keep_the_flag():
    block = encode(54330, {}, scet_coarse=[1, 2], sequence_flag=[1, 2])
    again = number_packets(block, [20_000, 5])
    assert block.sequence_count.tolist() == [0, 0]
    read, _ = read_packets(again.data.tobytes(), "x.bin", load_versions())
    assert read.sequence_count.tolist() == again.sequence_count.tolist() == [20_000 - 16_384, 5]
    assert read.sequence_flag.tolist() == [1, 2]


def test_packets_leave_one_after_the_other():
    coarse, fine = Departure(100, 65_535, 0.5).times(3)
    assert coarse.tolist() == [100, 101, 101]
    assert fine.tolist() == [65_535, 32_767, 65_535]
