"""The 36 real packets: raw and decompressed values equal to what the official pipeline made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stixlab.idb import Versions, load_versions
from stixlab.idb.mission import read_database
from stixlab.telemetry.decode import Columns, decode_all
from stixlab.telemetry.frames import Status
from stixlab.telemetry.schemes import compressed_parameters, decompress_column
from stixlab.telemetry.sources import read_packets
from tests.support.packets import flatten, read_golden, read_hex

N_PACKETS = 36


def integers(columns: Columns, name: str) -> list[int]:
    values = columns[name]
    return [int.from_bytes(bytes(row), "big") for row in values] if values.ndim > 1 else values.tolist()


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "mission database"])
def test_every_value_equals_the_golden_tree(real_data: Path, *, shipped: bool) -> None:
    """Every parameter in packet order and no other; every compressed one with its variance.

    Two types leave bytes that the database does not describe.
    """
    versions = (
        load_versions()
        if shipped
        else Versions.single(read_database(real_data / "idb" / "idb_v2.26.34_7dbe7b7d.sqlite"))
    )
    trailing, n_values = [], 0
    names = sorted(path.stem for path in (real_data / "telemetry" / "hex").glob("*.hex"))
    assert len(names) == N_PACKETS
    for name in names:
        golden = read_golden(real_data, name)
        block, _ = read_packets(read_hex(real_data, name), name, versions)
        assert block.spid.tolist() == [golden["spid"]]
        decoded, final = decode_all(block, versions, keep_trailing=True)
        columns = decoded[golden["spid"]]
        if final.status[0] != Status.OK:
            trailing.append((name, Status(int(final.status[0]))))
        expected = flatten(golden["tree"])
        assert {n: integers(columns, n) for n in columns if len(columns[n])} == expected, name
        decompressed = golden["decompressed"] or {}
        assert set(decompressed) == set(compressed_parameters(golden["spid"])), name
        for parameter, values in decompressed.items():
            pair = decompress_column(columns, parameter)
            assert pair is not None
            assert np.array_equal(np.ravel(values["value"]), pair[0]), (name, parameter)
            np.testing.assert_allclose(pair[1], np.ravel(values["variance"]), rtol=1e-12)
            n_values += pair[0].size
    assert trailing == [("21_6_43", Status.TRAILING), ("239_21", Status.TRAILING)]
    assert n_values > 18_000
