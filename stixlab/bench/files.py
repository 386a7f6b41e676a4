"""Memory and time of reading whole telemetry files, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stixlab.bench.measurement import Measurement
from stixlab.bench.samples import housekeeping, light_curves, pixel_data
from stixlab.idb import load_versions

__all__ = ["measure", "measure_large", "write_file"]

MEGABYTE = 1_000_000
GOAL_MB = 600.0
"""Largest memory of a process that reads and decodes a file of any size, 1 GB included."""
_NAME = "files"
_PIECE_S = 100_000_000
_SCET_BYTES = 4
_READER = """
import json, resource, sys, time
from pathlib import Path
from stixlab.idb import load_versions
from stixlab.telemetry.decode import decode_all
from stixlab.telemetry.report import DecodeReport
from stixlab.telemetry.sources import iter_packets

versions = load_versions()
seconds = []
for path in map(Path, sys.argv[1:]):
    began, n_packets, n_decoded = time.perf_counter(), 0, 0
    for block in iter_packets(path, path.name, versions, DecodeReport(name=path.name)):
        decoded, _ = decode_all(block, versions)
        n_packets += len(block)
        n_decoded += sum(map(len, decoded.values()))
        del decoded, block
    seconds.append(time.perf_counter() - began)
status = Path("/proc/self/status")
if status.exists():  # what getrusage says begins with the memory of the parent
    peak = next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"start": seconds[0], "seconds": seconds[-1], "peak_bytes": peak, "packets": n_packets, "decoded": n_decoded}))
"""


def write_file(path: Path, size_bytes: int) -> int:
    """Telemetry of about that size: light curves, pixel data and housekeeping, no packet twice.

    Returns
    -------
    int
        Number of packets.
    """
    versions = load_versions()
    parts = [light_curves(600, versions), pixel_data(600, versions), housekeeping(2000, versions)]
    data = np.concatenate([part.data for part in parts])
    starts = np.cumsum([0, *(len(part.data) for part in parts[:-1])])
    offsets = np.concatenate([part.offsets[:-1] + start for part, start in zip(parts, starts, strict=True)])
    place = offsets[:, None] + 10 + np.arange(_SCET_BYTES)
    coarse = data[place].view(">u4").ravel().astype(np.int64)
    n_pieces = max(round(size_bytes / len(data)), 1)
    step = _PIECE_S // n_pieces
    with path.open("wb") as file:
        for number in range(n_pieces):
            data[place] = (coarse + number * step).astype(">u4")[:, None].view(np.uint8)
            file.write(data.tobytes())
    return n_pieces * len(offsets)


def measure() -> Iterator[Measurement]:
    """10 and 100 MB: memory, and time for a megabyte."""
    yield from _measure((10, 100))


def measure_large() -> Iterator[Measurement]:
    """1 GB; takes some gigabytes of disk and a minute."""
    yield from _measure((1000,))


def _measure(sizes_mb: tuple[int, ...]) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder) / "warm.bin"
        write_file(warm, MEGABYTE)
        _read(warm, warm)  # compiled code is in the cache from here on
        for size in sizes_mb:
            path = Path(folder) / f"{size}.bin"
            n_packets = write_file(path, size * MEGABYTE)
            found = _read(warm, path)
            if found["packets"] != n_packets or found["decoded"] != n_packets:
                raise RuntimeError(
                    f"bench files: {n_packets} packets written, {found['decoded']:.0f} decoded"
                )
            megabytes = path.stat().st_size / MEGABYTE
            path.unlink()
            yield Measurement(
                _NAME, f"{size} MB file: memory of the process", found["peak_bytes"] / MEGABYTE, "MB", GOAL_MB,
                smaller_is_better=True,
            )  # fmt: skip
            yield Measurement(
                _NAME, f"{size} MB file: read and decoded", megabytes / found["seconds"], "MB/s"
            )
            yield Measurement(_NAME, f"{size} MB file: time", found["seconds"], "s")
    yield Measurement(_NAME, "of the process before that: 1 MB, compiled code loaded", found["start"], "s")


def _read(first: Path, path: Path) -> dict[str, float]:
    """Figures of a process that reads two files: with the first one compiled code is loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _READER, str(first), str(path)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
