"""The table of what was found: for programs, for people."""

import json

import numpy as np
import pytest

from stixlab.errors import ParameterError
from stixlab.packets.identity import packet_id, read_packet_id
from stixlab.packets.table import COLUMNS
from stixlab.packets.text import hex_dump, value_text
from tests.support.packets import MAXI, housekeeping


@pytest.fixture
def found(store):
    store.add(housekeeping(MAXI, 3), "hk.xml")
    store.add(housekeeping(MAXI, 2, start=5, synchronised=False), "unsure.xml")
    return store.find()


def test_rows_are_plain_and_unknown_times_are_none(found):
    rows = list(found.rows())
    json.dumps(rows, allow_nan=False)
    assert [set(row) for row in rows] == [set(COLUMNS)] * 5
    assert rows[0]["time"].endswith("Z")
    assert rows[-1]["time"] is None
    assert rows[0]["generation_time"] is None
    assert rows[0]["status"] == "ok"


def test_it_becomes_a_data_frame_and_an_astropy_table(found):
    frame, table = found.to_pandas(), found.to_astropy()
    assert list(frame.index) == found.ids == list(table["id"])
    assert str(frame["time"].dtype) == "datetime64[us]"
    assert table["time"].mask.tolist() == [False] * 3 + [True] * 2
    assert table["length"].unit == "byte"
    assert table["apid"].description == COLUMNS["apid"]
    assert table.meta["total"] == 5
    assert "<table" in found._repr_html_()


def test_columns_have_their_types(found):
    assert found["apid"].dtype == np.dtype("<u2")
    assert found["time"].dtype == np.dtype("M8[us]")


def test_an_id_is_read_and_written_the_same():
    assert read_packet_id(packet_id("0123456789abcdef" * 4, 7)) == ("0123456789ab", 7)
    assert read_packet_id(" 0123456789AB.7 ") == ("0123456789ab", 7)


@pytest.mark.parametrize(
    "text", ["", "x", "0123456789a.1", "0123456789ab.-1", "0123456789ab.", "0" * 65 + ".1"]
)
def test_what_is_no_id_is_refused(text):
    with pytest.raises(ParameterError, match="expected an id"):
        read_packet_id(text)


def test_a_hex_dump_shows_offset_digits_and_letters():
    lines = hex_dump(bytes(range(60, 80)) + b"\n", first=16)
    assert lines[0] == "00016  3c 3d 3e 3f 40 41 42 43  44 45 46 47 48 49 4a 4b  |<=>?@ABCDEFGHIJK|"
    assert lines[1].startswith("00032  4c 4d 4e 4f 0a  ")
    assert lines[1].endswith("|LMNO.|")
    assert hex_dump(b"") == []


def test_many_values_are_cut_and_counted():
    assert value_text(range(5), most=3) == "0 1 2 ... (5)"
    assert value_text([0.1234567, 2], most=None) == "0.123457 2"
