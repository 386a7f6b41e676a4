"""Mutated and random bytes through reading and decoding: no crash, no hang, all bytes accounted for.

`STIXLAB_FUZZ_PACKETS` sets how many packets go through (a million in the long run; a few hundred by default).
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stixlab.errors import FormatError
from stixlab.idb import load_versions
from stixlab.telemetry.decode import decode_all
from stixlab.telemetry.frames import PacketBlock, Status
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.sources import iter_packets, read_packets
from stixlab.telemetry.writers import write_binary, write_edds_xml, write_hex, write_lb_fits, write_moc_ascii

N_PACKETS = int(os.environ.get("STIXLAB_FUZZ_PACKETS", "2000"))
TIME = np.datetime64("2021-01-17")
PACKETS_OF_A_FILE = 36
INTERESTING = np.frombuffer(b"\0\x01\x7f\x80\xff\x0d\x10\xdc\xa4 \n<>0dx", dtype=np.uint8)

WRITERS: dict[str, Callable[[PacketBlock, Path], None]] = {
    "binary": write_binary,
    "hex": write_hex,
    "xml": lambda block, path: write_edds_xml(block, path, TIME, TIME),
    "moc": lambda block, path: write_moc_ascii(block, path, TIME),
    "fits": write_lb_fits,
}


@pytest.fixture(scope="module")
def real_packets(real_data: Path) -> PacketBlock:
    """One packet of each type that is at hand."""
    content = "\n".join(path.read_text() for path in sorted((real_data / "telemetry" / "hex").glob("*.hex")))
    return read_packets(content.encode(), "all", load_versions())[0]


def mutate(content: bytes, random: np.random.Generator) -> bytes:
    """Bytes changed, runs taken out, put in, doubled and exchanged."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 30))):
        if not data:
            break
        at = int(random.integers(0, len(data)))
        length = int(random.integers(1, 1 << int(random.integers(1, 10))))
        match int(random.integers(0, 8)):
            case 0:
                data[at] ^= 1 << int(random.integers(0, 8))
            case 1:
                data[at] = int(random.choice(INTERESTING))
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = random.bytes(length)
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                other = int(random.integers(0, len(data)))
                data[at : at + length] = data[other : other + length]
            case 6:
                data[at : at + length] = bytes([int(random.choice(INTERESTING))]) * length
            case 7 if random.random() < 0.1:
                del data[at:]
    return bytes(data)


def check(content: bytes, random: np.random.Generator) -> int:
    """Read in chunks and decode; what must hold whatever the bytes are. The number of packets."""
    versions = load_versions()
    report = DecodeReport(name="fuzz")
    chunk = int(random.choice([500, 5000, 1 << 20]))
    n = 0
    try:
        for block in iter_packets(content, "fuzz", versions, report, chunk_bytes=chunk):
            assert (block.lengths >= 16).all()
            assert block.offsets[-1] - block.offsets[0] == block.lengths.sum() <= len(block.data)
            assert (np.diff(block.source_offset) >= 0).all()
            decoded, final = decode_all(block, versions)
            size = sum(column.nbytes for columns in decoded.values() for column in columns.values.values())
            assert size <= 64 * (int(block.lengths.sum()) + 1000)
            assert set(np.unique(final.status).tolist()) <= {int(status) for status in Status}
            n += len(block)
    except FormatError:
        return 0
    assert sum(report.bytes_by_use.values()) == report.size_bytes
    assert report.compressed_bytes or report.size_bytes == len(content)
    assert sum(report.packets.values()) == n
    return n


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_mutated_files(tmp_path: Path, real_packets: PacketBlock, kind: str) -> None:
    """Files of every kind with real packets of every type, damaged in many ways."""
    random = np.random.default_rng([3, *kind.encode()])
    n, n_files = 0, 0
    while n < N_PACKETS // len(WRITERS) and n_files < N_PACKETS:
        chosen = random.choice(len(real_packets), PACKETS_OF_A_FILE)
        WRITERS[kind](real_packets.select(chosen), tmp_path / "file")
        content = mutate((tmp_path / "file").read_bytes(), random)
        if random.random() < 0.1:
            content = (
                mutate(gzip.compress(content, 1), random)
                if random.random() < 0.5
                else gzip.compress(content, 1)
            )
        n += check(content, random)
        n_files += 1
    assert n >= N_PACKETS // len(WRITERS)


def test_mutated_packets_with_good_borders(real_packets: PacketBlock) -> None:
    """The application data changed, header and length kept: everything reaches the decoder."""
    random = np.random.default_rng(4)
    n = 0
    while n < N_PACKETS:
        block = real_packets.select(random.choice(len(real_packets), 200))
        data = block.data.copy()
        body = np.ones(len(data), dtype=bool)
        for k in range(17):
            body[block.offsets[:-1][block.lengths > k] + k] = False
        hit = np.flatnonzero(body & (random.random(len(data)) < random.choice([0.001, 0.01, 0.1])))
        data[hit] = random.choice(INTERESTING, len(hit))
        found = check(data.tobytes(), random)
        assert found >= 150  # bytes that look like a header may cut one, rarely
        n += found


def test_random_bytes(real_packets: PacketBlock) -> None:
    """Noise of every length, alone and between packets; noise that is rich in header bytes."""
    random = np.random.default_rng(5)
    for i in range(max(N_PACKETS // 20, 10)):
        noise = random.bytes(int(random.integers(0, 3000)))
        if i % 2:
            noise = random.choice(INTERESTING, len(noise)).tobytes()
        first = real_packets.packet(int(random.integers(0, len(real_packets))))
        check(noise, random)
        assert check(first + noise + first, random) >= 1


def test_a_stream_made_to_be_slow_is_not(real_packets: PacketBlock) -> None:
    """Headers of the longest packet at every place they fit: the work stays proportional to the size."""
    header = bytearray(real_packets.packet(0)[:16])
    header[4:6] = (4113 - 7).to_bytes(2, "big")
    counted = []
    for n in (500, 4000):
        content = bytes(header) * n
        report = DecodeReport(name="slow")
        blocks = list(iter_packets(content, "slow", load_versions(), report))
        counted.append(sum(len(block) for block in blocks))
        assert sum(report.bytes_by_use.values()) == len(content)
    assert counted[1] <= 10 * counted[0]
