"""The same packets give the same data, however they are divided over files and whatever comes first."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.writers import write_binary
from tests.support.chain import Chain, new_chain
from tests.support.examples import examples
from tests.support.packets import MINI, housekeeping, light_curves

MIDNIGHT = 664_416_030
"""On-board seconds half a minute before a UTC day begins: packets of two days."""


def damaged(block: PacketBlock, index: int, at: int) -> PacketBlock:
    """A packet with another byte somewhere in it."""
    one = block.select([index])
    data = one.data.copy()
    data[at] ^= 0x15
    return PacketBlock(**{**one.__dict__, "data": data})


@pytest.fixture(scope="module")
def packets() -> PacketBlock:
    """Light curves and reports about midnight; some come twice, some damaged, one shorter than its other copy."""
    light = light_curves(6, n_bins=8, start=MIDNIGHT - 96)
    short = light_curves(
        1, n_bins=5, scet_coarse=light.scet_coarse[2:3], sequence_count=[2], start=MIDNIGHT - 32
    )
    reports = [housekeeping(n=4, start=MIDNIGHT - 128), housekeeping(MINI, 2, start=MIDNIGHT - 100)]
    return PacketBlock.concatenate(
        [light, *reports, light.select([1, 4]), short, damaged(light, 3, 60), damaged(light, 5, 40)]
    )


def taken(home: Path, parts: list[PacketBlock], *, together: bool) -> Chain:
    chain = new_chain(home)
    paths = []
    for number, part in enumerate(parts):
        paths.append(home / f"{number:03}.bin")
        write_binary(part, paths[-1])
    for call in [paths] if together else [[path] for path in paths]:
        report = chain.ingestor.ingest(call)
        assert not report.failed, report
    return chain


@pytest.fixture(scope="module")
def whole(tmp_path_factory, packets) -> dict[str, str]:
    contents = taken(tmp_path_factory.mktemp("whole"), [packets], together=True).contents()
    assert len(contents) >= 4
    return contents


@pytest.mark.slow
@settings(
    max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_order_and_any_division_give_the_same_data(packets, whole, data) -> None:
    """Split at any packet borders, files taken one by one or together, in any order."""
    n = len(packets)
    order = np.array(data.draw(st.permutations(range(n))))
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=4)))
    parts = [packets.select(piece) for piece in np.split(order, cuts)]
    together = data.draw(st.booleans())
    with tempfile.TemporaryDirectory() as folder:
        assert taken(Path(folder), parts, together=together).contents() == whole


@pytest.mark.slow
def test_several_processes_give_the_same_data(tmp_path, packets, whole) -> None:
    """Files and days divided over processes, as with more than one large file."""
    chain = new_chain(tmp_path)
    for number in range(3):
        write_binary(packets.select(slice(number, None, 3)), tmp_path / f"{number}.bin")
    (tmp_path / "rubbish.bin").write_bytes(b"no telemetry")
    ingestor = replace(chain.ingestor, processes=2)
    report = ingestor.ingest(sorted(tmp_path.glob("*.bin")))
    assert [f.status for f in report.files] == ["new", "new", "new", "failed"]
    assert chain.contents() == whole
