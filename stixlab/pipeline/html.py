"""An executed notebook as a page for reading: text, code, outputs; nothing in it is executed by a browser."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from stixlab.errors import NotInCatalogError, PipelineError
from stixlab.model.run import Run
from stixlab.pipeline.redaction import Redaction

__all__ = ["NOTEBOOK_POLICY", "notebook_html"]

NOTEBOOK_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Content-Security-Policy of whoever serves the page. The notebook is shown, never run again: no script, nothing from elsewhere, an origin of its own."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_TAGS = frozenset(
    {"a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h1", "h2", "h3",
     "h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "span", "strong", "sub", "summary", "sup", "table", "tbody",
     "td", "tfoot", "th", "thead", "tr", "ul"}
)  # fmt: skip
"""Elements of HTML that are kept."""
_FOLDED = "xr-text-repr-fallback"
"""Mark of xarray's HTML, which without its styles is pages long; its text says the same."""
_MOST_OUTPUT = 200_000
"""Characters of printed text shown of one output; the notebook itself has the rest."""
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem; color: #1b1b1f; background: #fff }}
pre {{ overflow-x: auto; margin: 0; padding: .6rem .8rem; font: 13px/1.45 ui-monospace, monospace }}
.code {{ background: #f4f5f7; border-left: 3px solid #8aa0c0 }}
.out {{ border-left: 3px solid transparent; overflow-x: auto; margin: .4rem 0 }}
.err {{ border-left-color: #b3261e; background: #fdf1f0 }}
.cell {{ margin: 1rem 0 }}
.note {{ color: #5b6068; font-size: .85rem }}
.raw {{ border: 1px solid #d9dce2 }}
table {{ border-collapse: collapse; font-size: .9rem }} td, th {{ border: 1px solid #d9dce2; padding: .15rem .5rem; text-align: right }}
img {{ max-width: 100%; height: auto }}
.about th, .about td {{ text-align: left; vertical-align: top }} .about td, details code {{ overflow-wrap: anywhere }}
details {{ margin: .5rem 0; font-size: .9rem }}
@media (prefers-color-scheme: dark) {{
body {{ color: #e4e4e8; background: #17181b }} .code {{ background: #22242a }} .err {{ background: #3a1f1d }} img {{ background: #fff }}
}}
{style}
</style>
</head>
<body>
<h1>{title}</h1>
{about}
{cells}
</body>
</html>
"""


def notebook_html(path: Path, run: Run | None = None) -> str:
    """An executed notebook as one page, without anything that a browser would execute or fetch.

    Parameters
    ----------
    path
        The notebook that a run has kept, of a good or of a failed one.
    run
        Its record, which knows attempts and status; without it the notebook tells what it knows.

    Returns
    -------
    str
        HTML. Text of the author and HTML of outputs are reduced to harmless elements; of an output that has an
        image the image is shown, as PNG or JPEG; scripts, widgets and SVG are left out and named.

    Raises
    ------
    NotInCatalogError
        If there is no such file.
    PipelineError
        If it is no notebook.
    """
    try:
        document = json.loads(path.read_bytes())
        cells, about = document["cells"], document["metadata"].get("stixlab", {})
        parts = [_cell(cell) for cell in cells]
    except FileNotFoundError:
        raise NotInCatalogError(f"{path.name}: expected the notebook of a run; found no file") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PipelineError(
            f"{path.name}: expected an executed notebook; {type(error).__name__}: {error}", path=path
        ) from error
    title = str(about.get("title") or path.stem)
    page = _PAGE.format(
        title=escape(title), about=_about(about, run), cells="\n".join(parts), style=_code_style()
    )
    return Redaction()(page)


def _about(said: dict[str, Any], run: Run | None) -> str:
    """Where the notebook comes from, and what became of its run."""
    facts = dict(said)
    if run is not None:
        facts |= {
            "status": str(run.status),
            "attempts": _attempts(run),
            "error": run.error or said.get("error"),
        }
    elif facts.get("finished"):
        facts["status"] = "failed" if facts.get("error") else "succeeded"
    facts |= {name: _moment(facts.get(name)) for name in ("started", "finished")}
    rows = [
        f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(_text(facts[name]))}</td></tr>"
        for name in (
            "status",
            "run_id",
            "parameters",
            "started",
            "finished",
            "attempts",
            "machine",
            "trigger",
        )
        if facts.get(name)
    ]
    table = f'<table class="about">{"".join(rows)}</table>' if rows else ""
    lists = _folded("inputs", facts.get("inputs")) + _folded("versions", facts.get("versions"))
    error = (
        f'<div class="out err"><pre>{escape(str(facts["error"]))}</pre></div>' if facts.get("error") else ""
    )
    return table + lists + error


def _attempts(run: Run) -> str:
    tried = (f"attempt {n}: {why}" for n, why in enumerate(run.failures, start=1))
    return "; ".join([str(run.attempts), *tried]) if run.attempts else ""


def _moment(value: Any) -> str:
    """A time in whole seconds; as it stands if it is none."""
    try:
        return f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (TypeError, ValueError):
        return _text(value) if value else ""


def _folded(name: str, named: Any) -> str:
    """Names and what belongs to each, to be opened by who asks; empty if there are none."""
    if not isinstance(named, dict) or not named:
        return ""
    rows = "".join(
        f"<li><code>{escape(str(k))} {escape(_text(v))}</code></li>" for k, v in sorted(named.items())
    )
    return f"<details><summary>{len(named)} {name}</summary><ul>{rows}</ul></details>"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} = {v}" for k, v in value.items())
    return "".join(value) if isinstance(value, list) else str(value)


def _cell(cell: dict[str, Any]) -> str:
    source = _text(cell["source"])
    if cell["cell_type"] == "markdown":
        return f'<div class="cell">{_markdown(source)}</div>'
    if cell["cell_type"] != "code":
        return f'<div class="cell raw"><pre>{escape(source)}</pre></div>'
    if not source.strip():
        return ""
    took = cell["metadata"].get("papermill", {}).get("duration")
    note = f'<div class="note">{took:.2f} s</div>' if isinstance(took, float) else ""
    outputs = "\n".join(_output(o) for o in cell.get("outputs", ()))
    return f'<div class="cell"><div class="code">{_code(source)}</div>{note}{outputs}</div>'


def _output(output: dict[str, Any]) -> str:
    kind = output["output_type"]
    if kind == "stream":
        return _pre(_text(output["text"]))
    if kind == "error":
        text = "\n".join(output.get("traceback") or [f"{output['ename']}: {output['evalue']}"])
        return _pre(text, "out err")
    data = output.get("data", {})
    for form in ("image/png", "image/jpeg"):
        if form in data:
            code = re.sub(r"[^A-Za-z0-9+/=]", "", _text(data[form]))
            alt = escape(_text(data.get("text/plain", "figure")))
            return f'<div class="out"><img src="data:{form};base64,{code}" alt="{alt}"></div>'
    for form, show in (("text/html", _harmless), ("text/markdown", _markdown)):
        if form in data and not ("text/plain" in data and _FOLDED in _text(data[form])):
            return f'<div class="out">{show(_text(data[form]))}</div>'
    if "text/plain" in data:
        return _pre(_text(data["text/plain"]))
    return f'<div class="note">not shown here: {escape(", ".join(data) or kind)}</div>'


def _pre(text: str, kind: str = "out") -> str:
    text = _ANSI.sub("", text)
    more = f"\n... {len(text) - _MOST_OUTPUT} characters more" if len(text) > _MOST_OUTPUT else ""
    return f'<div class="{kind}"><pre>{escape(text[:_MOST_OUTPUT] + more)}</pre></div>'


def _markdown(text: str) -> str:
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    return _harmless(markdown2html_mistune(text))


def _harmless(html: str) -> str:
    """HTML with text, tables and the like only."""
    import bleach  # type: ignore[import-untyped]

    # The content of these says nothing to a reader; bleach alone would keep it as text.
    html = re.sub(r"(?is)<(script|style|svg|template)\b.*?(</\1\s*>|\Z)", "", html)
    clean: str = bleach.clean(
        html,
        tags=_TAGS,
        attributes={
            "a": ["href", "title"],
            "td": ["colspan", "rowspan"],
            "th": ["colspan", "rowspan", "scope"],
        },
        protocols={"http", "https", "mailto"},
        strip=True,
    )
    return clean


def _code(source: str) -> str:
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

    return str(highlight(source, PythonLexer(), HtmlFormatter(cssclass="highlight")))


def _code_style() -> str:
    from pygments.formatters import HtmlFormatter

    return str(HtmlFormatter(style="friendly").get_style_defs(".highlight"))
