"""The tree of a packet: nested as the structure says, every value at its bits, nothing left out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stixlab.errors import NotInCatalogError, PacketError, ParameterError
from stixlab.packets.nodes import Node, nodes_of
from stixlab.packets.tree import packet_tree
from stixlab.telemetry.decode import decode
from stixlab.telemetry.frames import Status
from stixlab.telemetry.schemes import compressed_parameters, decompress_column
from stixlab.telemetry.sources import read_packets
from tests.support.packets import (
    LIGHT_CURVE,
    MAXI,
    housekeeping,
    invented,
    light_curves,
    read_golden,
    read_hex,
)

GOLDEN = [
    path.stem
    for path in sorted((Path(__file__).parents[3] / "shared" / "data" / "telemetry" / "hex").glob("*.hex"))
]


def expanded(nodes):
    """Fields one by one as the official pipeline nests them: [name, raw, group]."""
    found = []
    for node in nodes:
        group = []
        if node.children and node.children[0].name.startswith("["):
            for repeat in node.children:
                group += expanded(repeat.children)
        elif node.children:
            n = len(node.children[0].raw)
            group = [[child.name, child.raw[i]] for i in range(n) for child in node.children]
        found.append([node.name, node.raw[0], *([group] if group else [])])
    return found


def plain(tree):
    return [[name, raw, *[plain(g) for g in groups if g]] for name, raw, *groups in tree]


def every_value(nodes):
    """Each raw value with its place: (name, value, bit, width)."""
    for node in nodes:
        for i, value in enumerate(node.raw):
            yield node.name, value, node.offset_bits + i * node.step_bits, node.width_bits
        yield from every_value(node.children)


@pytest.mark.parametrize("name", GOLDEN)
def test_real_packets_are_nested_as_the_official_pipeline_nests_them(real_data, store, name):
    block, _ = read_packets(read_hex(real_data, name), name, store.versions)
    tree = packet_tree(block, store.versions, store.clock)
    found, expected = expanded(tree.fields), plain(read_golden(real_data, name)["tree"])
    if name.startswith("3_25"):  # words and the bits in them overlap there, in no particular order
        found, expected = sorted(found), sorted(expected)
    assert found == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_the_place_of_every_value_is_where_its_bits_are(real_data, store, name):
    """Read again from the bytes, without the decoder."""
    block, _ = read_packets(read_hex(real_data, name), name, store.versions)
    tree = packet_tree(block, store.versions, store.clock)
    bits, size = int.from_bytes(tree.content, "big"), len(tree.content) * 8
    for parameter, value, at, width in every_value(tree.header + tree.fields):
        found = bits >> (size - at - width) & ((1 << width) - 1)
        assert found == value % (1 << width), (parameter, at)


def test_every_field_of_every_structure_has_its_place(store):
    """Structures without data in them: zero in every counter."""
    from stixlab.telemetry.encode import encode

    definitions = store.versions.latest
    for spid in definitions.structures:
        block = encode(spid, {}, scet_coarse=[800_000_000])
        tree = packet_tree(block, store.versions, store.clock)
        assert tree.problem.replace("its visibilities are compressed without a sign", "")[:1] in {"", ":"}, (
            spid
        )
        assert len(tree.fields) <= len(definitions.structures[spid])
        json.dumps(tree.as_document(), allow_nan=False)


def test_counts_have_value_and_variance(store):
    block = light_curves(1)
    tree = packet_tree(block, store.versions, store.clock)
    columns, _ = decode(block, LIGHT_CURVE, store.versions)
    for name in compressed_parameters(LIGHT_CURVE):
        value, variance = decompress_column(columns, name)
        nodes = tree.find(name)
        assert [v for n in nodes for v in n.decompressed] == value.tolist()
        assert [v for n in nodes for v in n.variance] == variance.tolist()


def test_readings_have_engineering_values_and_states_words(store):
    tree = packet_tree(housekeeping(MAXI, 1), store.versions, store.clock)
    (temperature,) = tree.find("NIXD0025")
    assert temperature.unit == "deg_C"
    assert -60 < temperature.engineering[0] < 80
    (mode,) = tree.find("NIXD0023")
    assert len(mode.state[0]) > 1
    assert tree.title


def test_groups_within_groups_are_repeats_and_innermost_ones_stand_side_by_side(store):
    from stixlab.telemetry.encode import encode

    versions = invented(
        [("SSID", 8, 0, 0), ("N", 8, 0, 4), ("A", 4, 0, 0), ("M", 4, 0, 2), ("B", 8, 0, 0), ("C", 16, 0, 0)]
    )
    values = {"SSID": 99, "N": [2], "A": [1, 2], "M": [2, 1], "B": [10, 11, 12], "C": [100, 101, 102]}
    block = encode(1, values, scet_coarse=[5], versions=versions)
    n = packet_tree(block, versions, store.clock).fields[1]
    assert [repeat.name for repeat in n.children] == ["[1]", "[2]"]
    first, second = (repeat.children[1].children for repeat in n.children)
    assert [(node.name, node.raw, node.offset_bits, node.step_bits) for node in first] == [
        ("B", (10, 11), 152, 24),
        ("C", (100, 101), 160, 24),
    ]
    assert [(node.name, node.raw) for node in second] == [("B", (12,)), ("C", (102,))]
    document = n.as_document()
    assert document["children"][0]["children"][1]["children"][0]["raw"] == [10, 11]
    assert document["raw"] == 2


def test_a_parameter_twice_in_a_group_is_kept_apart(store):
    from stixlab.telemetry.encode import encode

    versions = invented([("SSID", 8, 0, 0), ("N", 8, 0, 3), ("A", 8, 0, 0), ("B", 8, 0, 0), ("A", 8, 0, 0)])
    block = encode(
        1, {"SSID": 99, "N": [2], "A": [1, 2, 3, 4], "B": [8, 9]}, scet_coarse=[5], versions=versions
    )
    n = packet_tree(block, versions, store.clock).fields[1]
    assert [(node.name, node.raw) for node in n.children] == [("A", (1, 3)), ("B", (8, 9)), ("A", (2, 4))]


def test_columns_of_other_definitions_are_refused(store):
    columns, _ = decode(housekeeping(MAXI, 1), MAXI, store.versions)
    short = replace(columns, values={n: v[:0] if n == "NIX00020" else v for n, v in columns.values.items()})
    with pytest.raises((PacketError, IndexError)):
        nodes_of(short, store.versions.latest)
    with pytest.raises(PacketError, match="one packet; found 2"):
        nodes_of(decode(housekeeping(MAXI, 2), MAXI, store.versions)[0], store.versions.latest)


def test_a_packet_is_found_by_its_id_with_where_it_comes_from(store):
    sha256 = store.add(housekeeping(MAXI, 3), "hk.xml")
    tree = store.get(f"{sha256[:12]}.2")
    assert tree.content == housekeeping(MAXI, 3).packet(2)
    assert (tree.id, tree.status, tree.origin) == (f"{sha256[:12]}.2", "ok", "flight")
    assert (tree.facts["file"], tree.facts["index"], tree.facts["spid"]) == ("hk.xml", 2, MAXI)
    assert store.get(f"{sha256}.2").as_document() == tree.as_document()
    assert bytes.fromhex(tree.as_document()["bytes"]) == tree.content


@pytest.mark.parametrize("row", ["spid", "apid", "sequence_count", "scet_coarse", "status", "title"])
def test_table_and_tree_say_the_same(store, row):
    store.add(light_curves(2), "light.xml")
    for record in store.find().rows():
        tree = store.get(record["id"])
        header = {node.name: node.raw[0] for node in tree.header}
        assert record[row] == {"status": tree.status, "title": tree.title, **tree.facts, **header}[row]


@pytest.mark.parametrize(
    ("identity", "problem", "told"),
    [
        ("0123456789ab.0", NotInCatalogError, "begins with 0123456789ab"),
        ("0123456789ab", ParameterError, "expected an id such as"),
        ("../../etc/passwd.1", ParameterError, "expected an id such as"),
        ("*.1", ParameterError, "expected an id such as"),
    ],
)
def test_what_is_no_packet_is_refused(store, identity, problem, told):
    store.add(housekeeping(MAXI, 3))
    with pytest.raises(problem, match=told):
        store.get(identity)


def test_a_place_behind_the_last_packet_is_refused(store):
    sha256 = store.add(housekeeping(MAXI, 3))
    with pytest.raises(NotInCatalogError, match="3 packets, 0 to 2"):
        store.get(f"{sha256[:12]}.3")


def test_packets_of_a_file_that_the_catalogue_does_not_know_are_not_shown(store):
    sha256 = store.add(housekeeping(MAXI, 3))
    store.catalog.raw_files.delete(sha256)
    with pytest.raises(NotInCatalogError):
        store.get(f"{sha256[:12]}.0")


def shown(store, block, **changes):
    return packet_tree(replace(block, **changes), store.versions, store.clock)


def status(value):
    return np.array([value], dtype="u1")


def test_a_repeated_packet_is_read_all_the_same(store):
    tree = shown(store, housekeeping(MAXI, 1), status=status(Status.DUPLICATE))
    assert (tree.status, tree.problem, len(tree.fields) > 20) == ("duplicate", "", True)


def test_what_cannot_be_decoded_is_shown_as_bytes_with_the_reason(store):
    block = housekeeping(MAXI, 1)
    unknown = shown(store, block, spid=np.array([-1], dtype="<i4"), status=status(Status.UNKNOWN))
    assert (unknown.fields, unknown.title) == ((), "")
    assert "no database" in unknown.problem
    assert "end is missing" in shown(store, block, status=status(Status.TRUNCATED)).problem
    short = replace(block, data=block.data[:40], offsets=np.array([0, 40]))
    assert "does not fit" in shown(store, short).problem
    none = shown(store, block, spid=np.array([12345], dtype="<i4"))
    assert "12345" in none.problem
    for tree in (unknown, none):
        assert len(tree.header) == 14
        assert "\n".join(tree.lines()).count("|") >= 2


def test_bytes_left_over_are_counted(store):
    block = housekeeping(MAXI, 1)
    longer = replace(
        block, data=np.append(block.data, [1, 2, 3]).astype("u1"), offsets=np.array([0, len(block.data) + 3])
    )
    tree = packet_tree(longer, store.versions, store.clock)
    assert tree.problem.endswith(": 3")
    assert len(tree.fields) > 20


def test_a_stump_shorter_than_its_headers_is_shown(store):
    block = housekeeping(MAXI, 1)
    stump = replace(block, data=block.data[:9], offsets=np.array([0, 9]), status=status(Status.TRUNCATED))
    tree = packet_tree(stump, store.versions, store.clock)
    assert [node.name for node in tree.header][-2:] == ["service", "subtype"]


def test_the_text_shows_place_value_meaning_and_bytes(store):
    sha256 = store.add(light_curves(1, n_bins=40))
    text = str(store.get(f"{sha256[:12]}.0"))
    assert "packet " + sha256[:12] in text
    assert "... (40)" in text
    assert "NIX00272" in text
    assert "00016  1e" in text, "SSID 30 behind the headers"
    assert len(store.get(f"{sha256[:12]}.0").lines(most=None)) == len(text.splitlines())


def test_a_document_holds_only_what_json_knows():
    node = Node("X", "x", (1,), variance=(float("inf"),), engineering=(float("nan"),))
    assert node.as_document()["variance"] is None
    json.dumps(node.as_document(), allow_nan=False)


def test_counts_under_a_scheme_that_makes_no_sense_are_shown_raw(store):
    block = light_curves(1)
    broken = block.data.copy()
    broken[31] |= 0x7F  # k and m of the light curve: 7 and 7 bits of 8
    tree = packet_tree(replace(block, data=broken), store.versions, store.clock)
    node = tree.find("NIX00272")[0]
    assert "makes no sense" in tree.problem
    assert set(node.decompressed) == {None}
    assert len(node.raw) == 20
    assert "= ? ? ?" in str(tree)
    json.dumps(tree.as_document(), allow_nan=False)


def test_a_packet_is_read_by_the_definitions_of_its_time(store):
    """The start of a time bin of pixel data had 16 bits at first and has 24 now."""
    from stixlab.telemetry.encode import encode

    versions = store.versions
    places = {}
    for era in versions.eras:
        block = encode(54115, {}, scet_coarse=[era.start_scet + 10], versions=versions)
        assert block.era.tolist() == [era.index]
        tree = packet_tree(block, versions, store.clock)
        assert tree.facts["definitions"] == versions[era.index].version
        assert tree.problem == ""
        places[era.index] = versions[era.index].parameters["NIX00404"].width_bits
    assert set(places.values()) == {16, 24}


def test_an_era_that_these_definitions_do_not_have_is_read_by_their_last(store):
    block = replace(housekeeping(MAXI, 1), era=np.array([200], dtype="u1"))
    assert len(packet_tree(block, store.versions, store.clock).fields) > 20
