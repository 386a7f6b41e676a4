"""Energy look-up tables and their index, as the configuration files of the instrument team write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NOMINAL = [
    *(4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 25, 28, 32, 36, 40, 45, 50, 56, 63, 70, 76),
    *(84, 100, 120, 150),
]


def elut_text(
    *, offset: float = 890.0, gain: float = 0.11, seed: int = 1, edges: list[float] | None = None
) -> str:
    """A table in the team's form: two lines of comment, a heading, a line a pixel."""
    rng = np.random.default_rng(seed)
    energies = NOMINAL if edges is None else edges
    lines = ["Based on run 1,,,", "Channel energy edges,,,"]
    heading = [f"ADC Edge {n} - {e:g} keV" for n, e in enumerate(energies)]
    lines.append(",".join(["Offset", "Gain keV/ADC", "Pixel", "Detector", *heading]))
    for detector in range(32):
        for pixel in range(12):
            o, g = offset + rng.normal(0, 3), gain * (1 + rng.normal(0, 0.01))
            adc = np.round(o + np.asarray(energies) / g).astype(int)
            lines.append(",".join([f"{o:.4f}", f"{g:.6f}", str(pixel), str(detector), *map(str, adc)]))
    return "\n".join(lines) + "\n"


def table_folder(folder: Path, spans: list[tuple[str, str, str]]) -> Path:
    """A folder of tables with an index of (start, end, date of the table)."""
    elut = folder / "elut"
    elut.mkdir(parents=True)
    lines = ["index, start_date, end_date, elut_file"]
    for number, (start, end, name) in enumerate(spans):
        lines.append(f"{number}, {start}, {end} , elut_table_{name}.csv")
        (elut / f"elut_table_{name}.csv").write_text(elut_text(seed=int(name)))
    (elut / "elut_index.csv").write_text("\n".join(lines))
    return folder
