"""The clock of the kernels and the clock shipped."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from stixlab.ephemeris import load_clock
from stixlab.ephemeris.clock import join_clocks, read_sclk
from stixlab.errors import TimeError
from stixlab.timing import ClockTable, parse_scet, parse_utc

LAST_ROW = 42865920752296 // 65536
REACH = 42865920752296 + 10 * 86_400 * 65536
"""Ticks of ten days behind the last row of the kernel."""
KERNEL = "solo_ANC_soc-sclk_20200922_V01.tsc"


def test_utc_is_that_of_spice(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a microsecond, within the kernel and behind its end; the house asks for a millisecond."""
    import spiceypy

    clock = read_sclk(real_data / "spice" / KERNEL)
    random = np.random.default_rng(1)
    coarse = np.concatenate(
        [random.integers(635_000_000, LAST_ROW, 200), random.integers(LAST_ROW, 800_000_000, 100)]
    )
    fine = random.integers(0, 65536, len(coarse))
    monkeypatch.chdir(real_data)
    try:
        for name in ("naif0012.tls", "solo_ANC_soc-sclk_20200922_V01.tsc"):
            spiceypy.furnsh(f"spice/{name}")
        times = [
            spiceypy.et2utc(spiceypy.scs2e(-144, f"{c}:{f}"), "ISOC", 9)
            for c, f in zip(coarse, fine, strict=True)
        ]
    finally:
        spiceypy.kclear()
    error = clock.to_utc(coarse, fine) - np.array(times, dtype="datetime64[ns]")
    assert np.abs(error).max() <= np.timedelta64(1000, "ns")
    back = clock.to_scet(np.array(times, dtype="datetime64[ns]"))
    assert np.array_equal(back[0], coarse)
    assert np.array_equal(back[1], fine)


def test_the_clock_shipped_is_the_kernel_up_to_january_2021(real_data: Path) -> None:
    """So that the packets of the shared data get the same times with and without kernels."""
    kernel, shipped = read_sclk(real_data / "spice" / KERNEL), load_clock()
    coarse = np.arange(0, 664_240_000, 99_991)
    assert np.abs(kernel.to_utc(coarse) - shipped.to_utc(coarse)).max() <= np.timedelta64(1, "us")
    assert kernel.source == KERNEL
    assert shipped.source == "clock table of stixlab"
    assert shipped.accuracy_s > kernel.accuracy_s > 0


def test_behind_a_kernel_that_ended_long_ago_the_table_shipped_holds(real_data: Path) -> None:
    """The kernel of 2020-09 alone is 5.7 s off in 2022-11: a time just before midnight came out as 23:59:54."""
    clock, shipped = load_clock(real_data / "spice" / "stix_min.tm"), load_clock()
    kernel = read_sclk(real_data / "spice" / KERNEL)
    ticks = int(721_439_853.39 * 65536)
    utc = clock.ticks_to_utc(np.array([ticks]))[0]
    assert abs(utc - np.datetime64("2022-11-10T23:59:59.9996")) < np.timedelta64(1, "ms")
    alone = kernel.ticks_to_utc(np.array([ticks]))[0]
    assert abs(alone - np.datetime64("2022-11-10T23:59:54.256")) < np.timedelta64(1, "ms")
    before, behind = np.arange(REACH - 10**9, REACH, 9_999_991), np.arange(REACH, 1 << 46, 9_999_999_991)
    assert (clock.ticks_to_utc(before) == kernel.ticks_to_utc(before)).all()
    assert np.abs(clock.ticks_to_utc(behind) - shipped.ticks_to_utc(behind)).max() <= np.timedelta64(2, "ns")
    for some in (before, behind):
        coarse, fine = clock.to_scet(clock.ticks_to_utc(some))
        assert np.abs(coarse.astype(np.int64) * 65536 + fine - some).max() <= 1


def test_a_joined_clock_says_which_part_holds_and_how_accurate_it_is(real_data: Path) -> None:
    """Behind the last row of a kernel its rate is no longer known: 0.17 s after the ten days."""
    clock, shipped = load_clock(real_data / "spice" / "stix_min.tm"), load_clock()
    assert clock.source == f"{KERNEL} to 2020-10-02; then {shipped.source}"
    assert clock.accuracy_s == shipped.accuracy_s
    last, end = LAST_ROW * 65536, int(shipped.ticks[-1])
    asked = np.array([last - 10**9, REACH - 65536, REACH, end, end + 65536 * 10_000_000])
    assert np.allclose(clock.accuracy_at(asked), [0.001, 0.1738, 0.5, 0.5, 2.5], atol=1e-4)
    assert clock.source_at(asked[:2]) == KERNEL
    assert clock.source_at(asked[2:]) == shipped.source
    assert clock.source_at(asked) == f"{KERNEL}, {shipped.source}"
    assert shipped.source_at(asked) == shipped.source
    assert np.allclose(shipped.accuracy_at(asked), [0.5, 0.5, 0.5, 0.5, 2.5])


def test_a_kernel_that_reaches_as_far_as_the_table_stands_alone() -> None:
    shipped = load_clock()
    kernel = ClockTable(
        shipped.ticks[-2:], shipped.tt_ns[-2:], shipped.rate[-2:], source="new.tsc", accuracy_s=0.001
    )
    assert join_clocks(kernel, shipped) is kernel
    assert kernel.accuracy_at(shipped.ticks[-1:])[0] == 0.001


@pytest.mark.parametrize(
    ("utc", "scet"),
    [
        ("2021-06-06T23:59:58.914", "676339129:45616"),
        ("2022-07-23T18:25:11.213", "711915781:17201"),
        ("2022-11-11T12:12:12.377", "721483785.7000077"),
        ("2024-03-08T20:32:35.235", "763244934.3000076"),
        ("2025-03-03T23:05:12.072", "794358034"),
    ],
)
def test_the_clock_shipped_follows_published_products(utc: str, scet: str) -> None:
    """Ends (DATE-END, OBT_END) of products of which only the begin is in the table, to 30 ms."""
    error = load_clock().to_utc(*parse_scet(scet)) - parse_utc(utc)
    assert abs(error) < np.timedelta64(30, "ms")


def test_a_folder_of_kernels_gives_the_newest(real_data: Path, tmp_path: Path) -> None:
    """By name; a folder within a folder counts; a kernel can be named itself."""
    kernel = real_data / "spice" / "solo_ANC_soc-sclk_20200922_V01.tsc"
    (tmp_path / "sclk").mkdir()
    for name in ("solo_ANC_soc-sclk_20200922_V01.tsc", "solo_ANC_soc-sclk_20210101_V01.tsc"):
        shutil.copy(kernel, tmp_path / "sclk" / name)
    assert load_clock(tmp_path).source.startswith("solo_ANC_soc-sclk_20210101_V01.tsc to ")
    assert load_clock(kernel).source.startswith(kernel.name)


def test_what_is_no_clock_is_refused(tmp_path: Path) -> None:
    """Nothing there, nothing in it, the kernel of something else."""
    with pytest.raises(TimeError, match="found nothing"):
        load_clock(tmp_path / "absent.tm")
    with pytest.raises(TimeError, match="expected an SCLK kernel"):
        load_clock(tmp_path)
    (tmp_path / "other.tsc").write_text("\\begindata\nSCLK_DATA_TYPE_82 = ( 1 )\n\\begintext\n")
    with pytest.raises(TimeError, match="SCLK01_TIME_SYSTEM_144"):
        load_clock(tmp_path / "other.tsc")
    (tmp_path / "meta.tm").write_text("\\begindata\nKERNELS_TO_LOAD = ( 'gone.tsc' )\n")
    with pytest.raises(TimeError, match=r"gone\.tsc"):
        load_clock(tmp_path / "meta.tm")
