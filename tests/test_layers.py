"""Who may import whom: the order of layers of `docs/architecture.md`, held by reading the imports."""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    ("errors", "vocabulary", "settings", "compiled"),
    ("model", "timing", "files", "fits_files"),
    ("instrument", "idb", "ephemeris"),
    ("telemetry",),
    ("engineering",),
    ("datasets",),
    ("products",),
    ("analysis", "catalog", "archive"),
    ("plots", "pipeline", "packets", "simulation", "monitoring", "operations"),
    ("ingest",),
    ("client",),
    ("api", "dashboards", "hub", "services"),
    ("factory",),
    ("bench", "platform", "doctor"),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
SAME_LINE = {("vocabulary", "errors"), ("settings", "errors")}
"""Within the first line the two that raise errors may name them."""

HOME_OF = {
    "pymongo": {"catalog", "services"},
    "papermill": {"pipeline"},
    "fastapi": {"api"},
    "ipywidgets": {"dashboards"},
    "spiceypy": {"ephemeris"},
    "jupyterhub": {"hub"},
    "voila": {"hub"},
}
"""Libraries that only some packages may name."""


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write the whole name"
            names = (
                [f"{node.module}.{a.name}" for a in node.names] if node.module == "stixlab" else [node.module]
            )
            found += [(node.lineno, str(name)) for name in names]
    return found


def departures(path: Path) -> list[str]:
    here = path.relative_to(ROOT / "stixlab").parts[0].removesuffix(".py")
    wrong = []
    for line, name in imports(ast.parse(path.read_text())):
        package, _, rest = name.partition(".")
        there = rest.split(".")[0]
        where = f"{path.relative_to(ROOT)}:{line}: {here} -> {name}"
        if package == "stixlab" and there not in {here, "__version__"}:
            if there not in LEVEL:
                wrong.append(f"{where} (not a package of the list)")
            elif LEVEL[there] >= LEVEL[here] and (here, there) not in SAME_LINE:
                wrong.append(where)
        elif here not in HOME_OF.get(package, {here}):
            wrong.append(f"{where} (named only in {', '.join(sorted(HOME_OF[package]))})")
    return wrong


def test_packages_import_only_what_stands_above_them():
    modules = [
        p
        for p in (ROOT / "stixlab").rglob("*.py")
        if p != ROOT / "stixlab" / "__init__.py" and "share" not in p.parts
    ]
    assert len(modules) > 20
    assert [d for path in sorted(modules) for d in departures(path)] == []


def test_every_package_stands_in_the_list():
    names = {
        p.stem
        for p in (ROOT / "stixlab").iterdir()
        if (p.is_dir() or p.suffix == ".py") and not p.name.startswith("_")
    }
    assert names - set(LEVEL) - {"py", "share"} == set()


@pytest.mark.parametrize(
    "notebook",
    sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("pipelines/*.ipynb")]),
    ids=lambda p: p.name,
)
def test_notebooks_are_thin_and_name_no_database(notebook: Path):
    cells = json.loads(notebook.read_text())["cells"]
    for number, cell in enumerate(cells):
        if cell["cell_type"] != "code":
            continue
        where = f"{notebook.name}, cell {number}"
        assert cell["outputs"] == [], f"{where}: outputs are stored"
        assert cell["execution_count"] is None, f"{where}: an execution count is stored"
        source = "".join(cell["source"])
        assert len(source.splitlines()) <= 25, f"{where}: logic belongs in stixlab"
        tree = ast.parse(source)
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef | ast.For | ast.While)], (
            f"{where}: logic belongs in stixlab"
        )
        for _, name in imports(tree):
            assert name.split(".")[0] not in {"pymongo", "papermill"}, f"{where}: imports {name}"
            assert not any(part.startswith("_") for part in name.split(".")), f"{where}: private name {name}"


def test_importing_the_root_does_nothing():
    """The root offers its names lazily; nothing heavy and no settings are touched by importing it."""
    import subprocess
    import sys

    code = "import sys, stixlab; print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy','xarray','pymongo','pydantic','astropy'}))"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
