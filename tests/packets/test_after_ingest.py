"""Packets found again after a real ingest."""

import numpy as np
import pytest

from stixlab.errors import AccessError
from stixlab.settings import Settings
from stixlab.telemetry.frames import PacketBlock
from stixlab.telemetry.writers import write_binary, write_edds_xml
from tests.support.chain import new_chain
from tests.support.packets import LIGHT_CURVE, MAXI, MINI, housekeeping, light_curves

T0 = 664_000_000


@pytest.fixture
def chain(tmp_path):
    chain = new_chain(tmp_path / "home")
    blocks = [light_curves(4, start=T0), housekeeping(MAXI, 6, start=T0), housekeeping(MINI, 5, start=T0 + 7)]
    write_binary(PacketBlock.concatenate(blocks), tmp_path / "all.bin")
    write_edds_xml(blocks[0], tmp_path / "light.xml")
    report = chain.ingest(tmp_path / "all.bin", tmp_path / "light.xml")
    assert not report.failed
    return chain


def test_every_packet_is_found_and_is_what_was_sent(chain):
    found = chain.lab.packets()
    assert (found.total, found.missing) == (19, ())
    sent = light_curves(4, start=T0)
    for row in chain.lab.packets(spid=LIGHT_CURVE, file="light", newest_first=False).rows():
        tree = chain.lab.packet(row["id"])
        assert tree.content == sent.packet(int(np.flatnonzero(sent.scet_coarse == row["scet_coarse"])[0]))
        assert tree.problem == ""


def test_every_packet_is_found_by_its_own_time(chain):
    for row in list(chain.lab.packets(distinct=True).rows()):
        second = f"{row['scet_coarse']}:00000", f"{row['scet_coarse'] + 1}:00000"
        assert row["id"] in chain.lab.packets(start=second[0], end=second[1], distinct=True).ids


def test_copies_of_two_files_are_one_if_asked(chain):
    assert chain.lab.packets(spid=LIGHT_CURVE).total == 8
    assert chain.lab.packets(spid=LIGHT_CURVE, distinct=True).total == 4


def test_a_process_of_the_public_may_not_search(chain):
    from dataclasses import replace

    lab = replace(chain.lab, settings=Settings(home=chain.home, access="public"))
    identity = chain.lab.packets(limit=1).ids[0]
    with pytest.raises(AccessError, match="for the team"):
        lab.packets()
    with pytest.raises(AccessError, match="for the team"):
        lab.packet(identity)
