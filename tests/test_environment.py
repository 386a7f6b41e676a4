"""The three lists of packages say the same: pyproject.toml, environment.yml, constraints.txt."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"dask-core": "dask", "matplotlib-base": "matplotlib"}
CONDA_ONLY = {"python", "pip", "configurable-http-proxy", "mongodb", "nodejs"}
"""What is no Python package: the proxy comes by npm otherwise, and the database is the embedded one."""


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements() -> dict[str, SpecifierSet]:
    return {canonicalize_name(r.name): r.specifier for r in map(Requirement, project()["dependencies"])}


def conda() -> dict[str, SpecifierSet]:
    rows = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    names = {}
    for row in rows:
        for text in row["pip"] if isinstance(row, dict) else [row]:
            if text.startswith("-e"):
                continue
            name, limits = re.fullmatch(r"([\w.-]+) *(.*)", text).groups()
            names[canonicalize_name(CONDA_NAMES.get(name, name))] = SpecifierSet(limits)
    return names


def test_conda_gets_the_same_packages_at_the_same_limits():
    found = {n: s for n, s in conda().items() if n not in CONDA_ONLY}
    extras = {canonicalize_name("spiceypy")}
    assert {n: s for n, s in found.items() if n not in extras} == requirements()


def test_conda_has_a_real_database_and_not_the_embedded_one():
    assert "mongodb" in conda()
    assert "secantusdb" not in conda()


def test_the_oldest_python_is_the_same():
    assert str(conda()["python"]) == project()["requires-python"]


def test_every_package_is_locked_to_one_version_that_is_allowed():
    locked = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        requirement = Requirement(line)
        assert [s.operator for s in requirement.specifier] == ["=="], line
        locked[canonicalize_name(requirement.name)] = next(iter(requirement.specifier)).version
    wanted = requirements()
    for extra in project()["optional-dependencies"].values():
        wanted |= {canonicalize_name(r.name): r.specifier for r in map(Requirement, extra)}
    assert {n for n in wanted if n not in locked} == set()
    assert {n: locked[n] for n, s in wanted.items() if not s.contains(locked[n])} == {}


def test_no_lock_file_names_an_address():
    for name in ("constraints.txt", "hub_config/npm-shrinkwrap.json"):
        assert "://" not in (ROOT / name).read_text(), name
