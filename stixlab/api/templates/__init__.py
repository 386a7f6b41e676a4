"""Pages of the site as templates."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stixlab import __version__

__all__ = ["render"]


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = __version__
    return environment


def render(template: str, **values: Any) -> str:
    """HTML of a template of this folder; every value is escaped."""
    return _templates().get_template(template).render(**values)
