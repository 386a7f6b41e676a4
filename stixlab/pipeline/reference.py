"""The documentation page of a pipeline, written from its declaration."""

from __future__ import annotations

from collections.abc import Iterable

from stixlab.pipeline.declaration import MANUAL, ON_NEW_PRODUCT, Parameter, PipelineSpec
from stixlab.pipeline.dependencies import dependants_of

__all__ = ["BEGIN", "END", "reference_page", "reference_section", "with_reference"]

BEGIN = "<!-- generated from the declarations: begin -->"
END = "<!-- generated from the declarations: end -->"
"""Marks in a page of the documentation between which the section of all pipelines stands."""


def reference_page(spec: PipelineSpec, others: Iterable[PipelineSpec] = (), *, level: int = 1) -> str:
    """Page of one pipeline, Markdown.

    Parameters
    ----------
    spec
        The pipeline.
    others
        All pipelines, for those it follows and those that follow it.
    level
        Of the heading.
    """
    known = [s for s in others if s.name != spec.name]
    lines = [f"{'#' * level} {spec.name}: {spec.title}", "", spec.summary.strip(), ""]
    facts = [
        ("Needs", _code(spec.needs)),
        ("Makes", _code(spec.makes)),
        ("Makes where there are data", _code(spec.may_make)),
        ("Runs", _when(spec)),
        ("Follows", _code(_upstream(spec, known))),
        ("Is followed by", _code(s.name for s in dependants_of(known, spec.delivers))),
        ("Also delivered by", _rivals(spec, known)),
        ("Limits", _limits(spec)),
        ("Kernel", _kernel(spec)),
        ("Fatal warnings", _code(spec.fatal_warnings)),
        ("Authors", ", ".join(spec.authors)),
    ]
    lines += [f"- {name}: {text}" for name, text in facts if text]
    if spec.parameters:
        lines += ["", "| parameter | type | default | limits | what it is |", "|---|---|---|---|---|"]
        lines += [_row(p) for p in spec.parameters]
    lines += ["", f"    {_call(spec)}"]
    return "\n".join(lines) + "\n"


def reference_section(specs: Iterable[PipelineSpec]) -> str:
    """Pages of all pipelines, by name, one below the other."""
    known = sorted(specs, key=lambda s: s.name)
    return "\n".join(reference_page(s, known, level=3) for s in known)


def with_reference(page: str, specs: Iterable[PipelineSpec]) -> str:
    """A page of the documentation with its section of all pipelines written anew.

    Raises
    ------
    ValueError
        If the page lacks the marks `BEGIN` and `END`.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"page: expected the marks {BEGIN!r} and {END!r}; found none")
    return f"{before}{BEGIN}\n\n{reference_section(specs)}\n{END}{after}"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _upstream(spec: PipelineSpec, known: Iterable[PipelineSpec]) -> list[str]:
    return [s.name for s in known if dependants_of([spec], s.delivers)]


def _rivals(spec: PipelineSpec, known: Iterable[PipelineSpec]) -> str:
    """Pipelines that may deliver the same, and what."""
    found = {s.name: [name for name in spec.delivers if name in s.delivers] for s in known}
    every = len(spec.delivers)
    told = ", ".join(
        f"`{name}` ({_code(same) if len(same) < every else 'all of it'})"
        for name, same in found.items()
        if same
    )
    return f"{told}; of the same range the run that ends last stands" if told else ""


def _when(spec: PipelineSpec) -> str:
    if spec.schedule == MANUAL:
        return "when somebody asks"
    if spec.schedule == ON_NEW_PRODUCT:
        return "for each UTC day of which something it needs is new or changed, or when somebody asks"
    words = spec.schedule if spec.schedule.isalpha() else f"at `{spec.schedule}` (cron, UTC)"
    return f"{words}, over {spec.window}" if spec.window else words


def _kernel(spec: PipelineSpec) -> str:
    if spec.kernel == "fresh":
        return spec.kernel
    return (
        "warm, but a fresh one because of the fatal warnings"
        if spec.fatal_warnings
        else "warm: ready before the run"
    )


def _limits(spec: PipelineSpec) -> str:
    memory = "" if spec.memory_bytes is None else f", {spec.memory_bytes / 1e9:g} GB of memory"
    tried = (
        "not tried again" if not spec.retries else f"tried again {spec.retries} times if the failure can pass"
    )
    return f"{_duration(spec.timeout_s)}{memory}; {tried}"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def _row(p: Parameter) -> str:
    default = "must be given" if p.required else f"`{p.default!r}`"
    return f"| `{p.name}` | {p.type} | {default} | {_bounds(p)} | {p.help.replace('|', chr(92) + '|')} |"


def _bounds(p: Parameter) -> str:
    told = []
    if p.limits.get("format") == "time":
        told.append("UTC time")
    if "after" in p.limits:
        told.append(f"after `{p.limits['after']}`")
    if "minimum" in p.limits:
        told.append(f"at least {p.limits['minimum']}")
    if "maximum" in p.limits:
        told.append(f"at most {p.limits['maximum']}")
    if "enum" in p.limits:
        told.append("one of " + ", ".join(f"`{c!r}`" for c in p.limits["enum"]))
    return ", ".join(told)


def _call(spec: PipelineSpec) -> str:
    given = " ".join(f"-p {p.name}={p.default}" for p in spec.parameters if p.required)
    return f"stixlab run {spec.name} {given}".rstrip()
