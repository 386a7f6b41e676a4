"""Pages of the apps: HTML from templates, shown by a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["AppPage", "render"]


@dataclass(frozen=True)
class AppPage:
    """What an app shows, and how its request ended."""

    html: str
    status: int = 200
    """HTTP status of the answer."""

    def _repr_html_(self) -> str:
        return f'<div class="app" data-status="{self.status}">\n{self.html}\n</div>'


@cache
def _templates() -> Environment:
    folder = Path(__file__).with_name("templates")
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """HTML of a template of this package; every value is escaped unless the template says it is HTML."""
    return _templates().get_template(template).render(**values)
