"""The reference page of the products, from their declarations: ``python -m stixlab.datasets.reference > docs/products.md``."""

from __future__ import annotations

import sys
from typing import Any

from stixlab.datasets.schema import describe_product, described_types
from stixlab.vocabulary import CONTEXT_TYPES, known_type

__all__ = ["reference_page"]

_HEAD = """# Products

Made from the declarations in `stixlab.datasets` by `python -m stixlab.datasets.reference > docs/products.md`; a test holds the two
together. The same as JSON: `/api/v1/schema` and `/api/v1/schema/TYPE` of a running installation.

`lab.open(TYPE, start, end)` gives an `xarray.Dataset` of these variables, of data requests also `lab.open(TYPE, request_id=...)`.
Every variable carries its unit and its meaning as attributes, and `to_netcdf(engine="h5netcdf")` keeps them. `time` is the middle of
a bin, UTC at the spacecraft; an uncertainty is one standard deviation. **Coordinates** are printed in bold; masks are integers, bit 0
for the first detector or pixel. A column of the FITS form has the name given last; `time` and `timedel` of that form are seconds.
"""


def reference_page() -> str:
    """The page, as Markdown."""
    types = described_types()
    lines = [_HEAD, "| type | what | packets (service, subservice, structure) |", "|---|---|---|"]
    for name in types:
        about = describe_product(name)
        packet = ", ".join(map(str, about["packet"])) if about["packet"] else "none"
        lines.append(f"| [`{name}`](#{name}) | {known_type(name).title} | {packet} |")
    shown: dict[str, str] = {}
    for name in types:
        lines += ["", *_section(name, shown)]
    return "\n".join(lines) + "\n"


def _section(name: str, shown: dict[str, str]) -> list[str]:
    about = describe_product(name)
    lines = [
        f"## {name}",
        "",
        f"{about['title']}." + (" No packets are its own." if name in CONTEXT_TYPES else ""),
    ]
    same = repr(about["fields"])
    if same in shown:
        return [*lines, "", f"The variables are those of [`{shown[same]}`](#{shown[same]})."]
    shown[same] = name
    lines += ["", "| variable | dims | type | unit | meaning | FITS column |", "|---|---|---|---|---|---|"]
    return lines + [_row(f) for f in about["fields"]]


def _row(field: dict[str, Any]) -> str:
    name = f"**`{field['name']}`**" if field["coordinate"] else f"`{field['name']}`"
    meaning = field["meaning"]
    if field["uncertainty"]:
        meaning += "; uncertainty in " + ", ".join(f"`{n}`" for n in field["uncertainty"])
    if field["flags"]:
        meaning += ": " + ", ".join(f"{v} {m}" for v, m in field["flags"].items())
    column = f"`{field['fits_column']}`" if field["fits_column"] else ""
    cells = (name, ", ".join(field["dims"]), field["dtype"], field["units"] or "", meaning, column)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(reference_page())
