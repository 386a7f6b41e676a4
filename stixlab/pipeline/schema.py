"""The JSON Schema of a pipeline's parameters: forms, the HTTP service and the check of a run read it."""

from __future__ import annotations

from typing import Any

from stixlab.pipeline.declaration import PipelineSpec

__all__ = ["json_schema"]

_KINDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def json_schema(spec: PipelineSpec) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the parameters of a run.

    ``format: date-time`` is meant as everywhere in stixlab: a day is enough, the zone is UTC. ``after`` is
    a word of our own: the names of two parameters, of which the first is the later time.
    """
    properties: dict[str, Any] = {}
    for p in spec.parameters:
        entry: dict[str, Any] = {"type": _KINDS[p.type], "description": p.help}
        if not p.required:
            entry["default"] = p.default
        if p.limits.get("format") == "time":
            entry["format"] = "date-time"
        entry |= {k: v for k, v in p.limits.items() if k in ("minimum", "maximum", "enum")}
        properties[p.name] = entry
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.title,
        "description": spec.summary,
        "type": "object",
        "properties": properties,
        "required": [p.name for p in spec.parameters if p.required],
        "additionalProperties": False,
    }
    after = {p.name: p.limits["after"] for p in spec.parameters if "after" in p.limits}
    return schema | ({"after": after} if after else {})
