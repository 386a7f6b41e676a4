"""Named patches: what was different in a version, and what is wrong in databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stixlab.errors import FormatError
from stixlab.idb import Definitions, Field, Parameter, load_definitions, load_versions
from stixlab.idb.patches import Change, Patch, apply_patches, shipped_patches, version_numbers


def test_versions_are_compared_as_numbers() -> None:
    """Not as texts, by which 2.26.4 would come after 2.26.35."""
    assert version_numbers("2.26.4") < version_numbers("2.26.35")
    assert version_numbers("2.26.35_alpha.x") == (2, 26, 35, 0)
    patch = Patch("p", is_correction=True, first="2.26.9", last="2.26.34", why="", changes=())
    assert [patch.concerns(v) for v in ("2.26.8", "2.26.9", "2.26.34", "2.26.35")] == [
        False,
        True,
        True,
        False,
    ]


def test_every_patch_says_why_and_changes_something() -> None:
    """A list for people."""
    patches = shipped_patches()
    assert len({p.name for p in patches}) == len(patches)
    for patch in patches:
        assert patch.why.endswith(".")
        assert patch.changes
        assert patch.name.replace("-", "").isalnum()


def test_the_differences_between_the_eras_are_those_known() -> None:
    """The flare flag before software 179, the 24 bits and what replaced NIX00441 from 181 on."""
    versions = load_versions()
    old, middle, new = versions[0], versions[4], versions[5]
    assert [old.version, middle.version, new.version] == ["2.26.33", "2.26.34", "2.26.35"]
    differ = {s for s in middle.structures if middle.structures[s] != old.structures[s]}
    assert differ == {54122}
    names = [[f.parameter for f in d.structures[54122]] for d in (old, middle)]
    assert names[0] == [n for n in names[1] if n != "NIXD0449"]
    differ = {s for s in middle.structures if middle.structures[s] != new.structures[s]}
    relative = {54111, 54112, 54113, 54142, 54115, 54116, 54117, 54143}
    assert differ == relative | {54246}
    for spid in relative:
        before = [f.parameter for f in middle.structures[spid]]
        after = [f.parameter for f in new.structures[spid]]
        assert after == ["NIX00404" if n == "NIX00441" else n for n in before]
    assert [d.parameters["NIX00404"].width_bits for d in (old, middle, new)] == [16, 16, 24]
    assert [f.parameter for f in new.structures[54246]][2:4] == ["NIXD0500", "NIXD0359"]
    assert new.parameters["NIXD0500"].width_bits + new.parameters["NIXD0359"].width_bits == 6


def places(fields: tuple[Field, ...], parameters: dict[str, Parameter]) -> dict[str, int]:
    """Bit at which each field begins, every group taken once."""
    found, end = {}, 0
    for field in fields:
        found[field.parameter] = end + field.gap_bits
        end += field.gap_bits + parameters[field.parameter].width_bits
    return found


NARROW = ("A", "B", "C", "D", "E")


@given(
    st.lists(st.tuples(st.integers(1, 16), st.integers(-8, 8)), min_size=5, max_size=5),
    st.integers(1, 3),
    st.integers(0, 3),
)
def test_what_follows_a_removed_field_stays_where_it_is(
    sizes: list[tuple[int, int]], removed: int, group: int
) -> None:
    """And the counters around it count one field less."""
    parameters = {
        name: Parameter(name, width, signed=False, unit="", curve="", title=name)
        for name, (width, _) in zip(NARROW, sizes, strict=True)
    }
    fields = tuple(
        Field(name, gap, group if name == "A" else 0) for name, (_, gap) in zip(NARROW, sizes, strict=True)
    )
    before = definitions_of(fields, parameters)
    name = NARROW[removed]
    patch = Patch("p", True, "", "", "", (Change("structures", "1", name, ""),))
    after = apply_patches(before, [patch]).structures[1]
    kept = places(fields, parameters)
    del kept[name]
    assert places(after, parameters) == kept
    assert after[0].group_size == group - (removed <= group)
    assert before.structures[1] == fields


def definitions_of(fields: tuple[Field, ...], parameters: dict[str, Parameter]) -> Definitions:
    """One structure."""
    return replace(load_definitions(), version="2.26.34", structures={1: fields}, parameters=parameters)


def test_patches_applied_twice_are_applied_once() -> None:
    """An imported database may have had its corrections, or be newer than the difference."""
    for definitions in load_versions().distinct:
        again = apply_patches(definitions, shipped_patches())
        assert again.structures == definitions.structures
        assert again.parameters == definitions.parameters


def test_a_counter_is_replaced_by_one_field_only() -> None:
    """Otherwise nobody knew which of them counts."""
    base = load_definitions()
    patch = Patch("p", True, "", "", "", (Change("structures", "54118", "NIX00270", "NIX00001 NIX00002"),))
    with pytest.raises(FormatError, match="counts repeats"):
        apply_patches(base, [patch])
    patch = Patch("p", True, "", "", "", (Change("weather", "", "", ""),))
    with pytest.raises(FormatError, match="weather"):
        apply_patches(base, [patch])
