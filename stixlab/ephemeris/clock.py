"""The on-board clock: from the SCLK kernel of the user and behind its end from the table shipped, or from that alone.

The kernel is read here as text (NAIF, SCLK Required Reading, type 1), so that converting
times needs no SPICE library.
"""

from __future__ import annotations

import csv
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path

import numpy as np

from stixlab.errors import TimeError
from stixlab.timing import FINE_PER_SECOND, ClockTable
from stixlab.timing.scet import ClockPart

__all__ = ["KERNEL_REACH_TICKS", "find_kernels", "join_clocks", "load_clock", "read_sclk"]

_ID = 144
"""NAIF identifier of the spacecraft, without its sign, as the kernel uses it."""
_KERNEL_ACCURACY_S = 0.001
_TABLE_ACCURACY_S = 0.5
"""Between published pairs the drift of the clock changes that much at most, see clock.csv."""
KERNEL_REACH_TICKS = 10 * 86_400 * FINE_PER_SECOND
"""A clock kernel is made every few days; its last rate holds for some more, 1/65536 s."""
_NS = 1_000_000_000
_DATA = re.compile(r"\\begindata(.*?)(?=\\begintext|\Z)", re.DOTALL)
_ASSIGNMENT = re.compile(r"([A-Za-z0-9_]+)\s*\+?=\s*(\((?:[^()']|'[^']*')*\)|'[^']*'|\S+)")
_TEXT = re.compile(r"'([^']*)'")


def _assignments(path: Path) -> dict[str, str]:
    """Variables of a text kernel, values as they stand; ``+=`` adds to what was there."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise TimeError(
            f"kernel {path}: expected a readable file; found {error}; correct STIXLAB_SPICE"
        ) from error
    found: dict[str, str] = {}
    for block in _DATA.findall(text):
        for match in _ASSIGNMENT.finditer(block):
            name, value = match.groups()
            added = "+=" in match.group(0).split(value, maxsplit=1)[0]
            found[name] = f"{found.get(name, '')} {value}" if added else value
    return found


def read_sclk(path: Path) -> ClockTable:
    """Clock of an SCLK text kernel (type 1, two fields, terrestrial time).

    Raises
    ------
    TimeError
        If it is no such kernel, or not one of Solar Orbiter.
    """
    values = _assignments(path)

    def number(name: str) -> list[str]:
        if name not in values:
            raise TimeError(
                f"SCLK kernel {path}: expected {name}; found none; is it the clock kernel of Solar Orbiter (-{_ID})?"
            )
        return values[name].strip("()").replace(",", " ").split()

    system, fields, moduli = (
        number(f"SCLK01_{name}_{_ID}") for name in ("TIME_SYSTEM", "N_FIELDS", "MODULI")
    )
    if (system, fields, moduli) != (["2"], ["2"], ["4294967296", "65536"]):
        raise TimeError(
            f"SCLK kernel {path}: expected terrestrial time (2), 2 fields, moduli 4294967296 65536; found {system}, "
            f"{fields}, {moduli}"
        )
    numbers = number(f"SCLK01_COEFFICIENTS_{_ID}")
    try:
        rows = np.array([Decimal(n.upper().replace("D", "E")) for n in numbers], dtype=object).reshape(-1, 3)
        ticks = np.array([int(t) for t in rows[:, 0]], dtype=np.int64)
        tt_ns = np.array([int((t * _NS).to_integral_value()) for t in rows[:, 1]], dtype=np.int64)
    except (InvalidOperation, ValueError) as error:
        raise TimeError(
            f"SCLK kernel {path}: expected rows of three numbers; found {len(numbers)} values"
        ) from error
    return ClockTable(
        ticks=ticks,
        tt_ns=tt_ns,
        rate=rows[:, 2].astype(np.float64),
        source=path.name,
        accuracy_s=_KERNEL_ACCURACY_S,
    )


def find_kernels(spice: Path) -> list[Path]:
    """Kernels that a meta-kernel names, or that lie in a folder (its sub-folders too).

    Relative paths of a meta-kernel are tried from its folder and from the folder above.

    Raises
    ------
    TimeError
        If there is neither a file nor a folder of that name.
    """
    if spice.is_dir():
        return sorted(p for p in spice.rglob("*") if p.is_file())
    if not spice.is_file():
        raise TimeError(
            f"kernels: expected a meta-kernel or a folder at {spice}; found nothing; correct STIXLAB_SPICE"
        )
    values = _assignments(spice)
    folders = _TEXT.findall(values.get("PATH_VALUES", ""))
    symbols = _TEXT.findall(values.get("PATH_SYMBOLS", ""))
    kernels = []
    for text in _TEXT.findall(values.get("KERNELS_TO_LOAD", "")):
        name = text
        for symbol, folder in zip(symbols, folders, strict=False):
            name = name.replace(f"${symbol}", folder)
        tried = [base / name for base in (spice.parent, spice.parent.parent)]
        kernels.append(next((p for p in tried if p.is_file()), tried[0]))
    return kernels


@lru_cache(maxsize=8)
def load_clock(spice: Path | None = None) -> ClockTable:
    """Clock in use, read once.

    Parameters
    ----------
    spice
        A meta-kernel or a folder of kernels; of several SCLK kernels the last by name is taken, and behind its end
        the table shipped: see `join_clocks`. None for the table shipped.

    Raises
    ------
    TimeError
        If no SCLK kernel of Solar Orbiter is there.
    """
    if spice is None:
        return _shipped_clock()
    clocks = sorted((p for p in find_kernels(spice) if p.suffix.lower() == ".tsc"), key=lambda p: p.name)
    if not clocks and spice.suffix.lower() == ".tsc":
        clocks = [spice]
    if not clocks:
        raise TimeError(
            f"clock: expected an SCLK kernel (*.tsc) in {spice}; found none; add one, or leave STIXLAB_SPICE empty for "
            "the table shipped"
        )
    return join_clocks(read_sclk(clocks[-1]), load_clock())


def join_clocks(kernel: ClockTable, pairs: ClockTable) -> ClockTable:
    """Clock of a kernel for the time it was made for and ten days more, then of pairs of on-board time and UTC.

    Parameters
    ----------
    kernel
    pairs
        Straight pieces between pairs.

    Returns
    -------
    ClockTable
        The kernel alone if there are no pairs behind its reach: then nothing knows better how it goes on.
    """
    end = int(kernel.ticks[-1]) + KERNEL_REACH_TICKS
    later = np.flatnonzero(pairs.ticks > end)
    if not later.size:
        return kernel
    day = str(kernel.ticks_to_utc(np.array([end]))[0].astype("datetime64[D]"))
    first = np.array([end], dtype=np.int64)
    return ClockTable(
        ticks=np.concatenate([kernel.ticks, first, pairs.ticks[later]]),
        tt_ns=np.concatenate([kernel.tt_ns, pairs.ticks_to_tt(first), pairs.tt_ns[later]]),
        rate=np.concatenate([kernel.rate, pairs.rate[max(later[0] - 1, 0) : later[0]], pairs.rate[later]]),
        source=f"{kernel.source} to {day}; then {pairs.source}",
        accuracy_s=max(kernel.accuracy_s, pairs.accuracy_s),
        parts=(ClockPart(0, kernel), ClockPart(end, pairs)),
    )


def _shipped_clock() -> ClockTable:
    path = Path(__file__).parent / "data" / "clock.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return ClockTable(
        ticks=np.array([int(r["ticks"]) for r in rows], dtype=np.int64),
        tt_ns=np.array([int(r["tt_ns"]) for r in rows], dtype=np.int64),
        rate=np.array([float(r["rate"]) for r in rows], dtype=np.float64),
        source="clock table of stixlab",
        accuracy_s=_TABLE_ACCURACY_S,
    )
