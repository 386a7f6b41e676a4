"""What can be told of the code cells of a pipeline without running them: that they are Python, and what they ask of their run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stixlab.errors import PipelineError
from stixlab.pipeline.cells import Cell, Place, did_you_mean
from stixlab.pipeline.declaration import FLARE_LIST

__all__ = ["Declared", "check_code"]

_PYTHON_MAGICS = ("capture", "prun", "time", "timeit")
"""Magics of IPython of which the rest of the line or cell is Python."""
_MAGIC_CALLS = ("run_cell_magic", "run_line_magic")


class Declared(NamedTuple):
    """What the rest of the notebook declares; None: it could not be read, and nothing is held against it."""

    name: str
    parameters: tuple[str, ...] | None
    needs: tuple[str, ...] | None
    makes: tuple[str, ...] | None
    delivers: tuple[str, ...] | None


@dataclass
class _Uses:
    """What the cells do with their run."""

    names: set[str] = field(default_factory=set)
    """Variables that hold it."""
    saved: set[str] = field(default_factory=set)
    """Names that are saved, as written."""
    opaque: bool = False
    """Whether it may be saved in a way that the text does not show."""


def check_code(cells: Sequence[Cell], place: Place, declared: Declared) -> list[PipelineError]:
    """Everything that is wrong with the code cells.

    Parameters
    ----------
    cells
        All of the notebook; that of the parameters is passed over.
    place
        Says where something is wrong.
    declared
        What the code is held against. Names that are no literals are not judged.

    Returns
    -------
    list of PipelineError
        Each with file, cell and field; empty if nothing is wrong.
    """
    wrong: list[PipelineError] = []
    trees: dict[int, list[ast.Module]] = {}
    unread = False
    for number, cell in enumerate(cells, start=1):
        if cell.kind != "code" or "parameters" in cell.tags:
            continue
        place.cell = number
        try:
            trees[number] = list(_trees(cell.source))
        except (SyntaxError, ValueError) as error:
            unread = True
            wrong.append(place.error("Python", f"cannot be read: {_words(error)}"))
    uses = _Uses(opaque=unread)
    starts = [(n, call) for n, call in _calls(trees) if _last_name(call.func) == "start_run"]
    for number, call in starts[:1]:
        place.cell = number
        wrong += [place.error("start_run", text) for text in _check_start(call, declared)]
    if not starts and not unread:
        place.cell = 0
        wrong.append(
            place.error(
                "start_run",
                f"expected a cell with run = stixlab.start_run({declared.name!r}, ...); found none",
            )
        )
    _find_uses(trees, uses)
    for number, call in _calls(trees):
        place.cell = number
        wrong += [place.error(*told) for told in _check_call(call, uses, declared)]
    if starts and declared.makes is not None and not uses.opaque:
        place.cell = 0
        wrong += [
            place.error("run.save", f"expected a cell that saves the declared result {name!r}; found none")
            for name in declared.makes
            if name not in uses.saved
        ]
    return wrong


def _trees(source: str) -> Iterator[ast.Module]:
    """Syntax trees of a cell: of its code, and of the code behind magics."""
    tree = _parse(source)
    yield tree
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        texts = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if _last_name(call.func) in _MAGIC_CALLS and texts and texts[0] in _PYTHON_MAGICS:
            try:
                yield from _trees(texts[-1])
            except (SyntaxError, ValueError):
                continue  # options stand before the code: it is judged when it runs


def _parse(source: str) -> ast.Module:
    """A cell as Python; with IPython's own syntax where it is none as it stands.

    Raises
    ------
    SyntaxError, ValueError
        If it is neither.
    """
    try:
        return _compile(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        changed = TransformerManager().transform_cell(source)
        if changed.strip() == source.strip():
            raise
        return _compile(changed)


def _compile(source: str) -> ast.Module:
    """Tree of a text that can be compiled as a cell, `await` outside of functions included."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree: ast.Module = compile(source, "cell", "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        compile(source, "cell", "exec", flags, dont_inherit=True)
    return tree


def _words(error: Exception) -> str:
    if not isinstance(error, SyntaxError) or error.lineno is None:
        return " ".join(str(error).split())
    text = f": {error.text.strip()!r}" if error.text and error.text.strip() else ""
    return f"line {error.lineno}, {error.msg}{text}"


def _calls(trees: dict[int, list[ast.Module]]) -> list[tuple[int, ast.Call]]:
    """All calls with the number of their cell, in the order of the text."""
    found = [(n, node) for n, own in trees.items() for t in own for node in ast.walk(t)]
    calls = [(n, node) for n, node in found if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda each: (each[0], each[1].lineno, each[1].col_offset))


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _check_start(call: ast.Call, declared: Declared) -> Iterator[str]:
    """The notebook must begin its run under its own name and parameters, or its results go nowhere."""
    first = call.args[0] if call.args else None
    if not isinstance(first, ast.Constant) or first.value != declared.name:
        yield f"expected the pipeline's name {declared.name!r} first; found {ast.unparse(call)}"
    given = [k.arg for k in call.keywords]
    if declared.parameters is None or None in given:
        return
    for name in given:
        if name is not None and name not in declared.parameters:
            near = did_you_mean(name, declared.parameters) or ";"
            yield f"{name}: no such parameter{near} the cell has {', '.join(declared.parameters) or 'none'}"
    if lacking := [name for name in declared.parameters if name not in given]:
        words = ", ".join(f"{name}={name}" for name in lacking)
        yield f"expected every parameter of the parameters cell; add {words}"


def _find_uses(trees: dict[int, list[ast.Module]], uses: _Uses) -> None:
    """Note what becomes of the run; a node is looked at after the one that it is part of."""
    nodes = [node for own in trees.values() for t in own for node in ast.walk(t)]
    uses.names |= {name for node in nodes for name in _run_variables(node)}
    seen: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Call):
            _note_call(node, uses)
            seen |= {id(node.func)} if _method(node, uses) else set()
        elif isinstance(node, ast.Attribute) and _is_run(node.value, uses):
            seen.add(id(node.value))
            uses.opaque |= id(node) not in seen and node.attr.startswith("save")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and _is_run(node, uses):
            uses.opaque |= id(node) not in seen  # handed on: what takes it may save


def _run_variables(node: ast.AST) -> list[str]:
    """Variables that are assigned a run."""
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) or not isinstance(
        node.value, ast.Call
    ):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    started = _last_name(node.value.func) == "start_run"
    return [t.id for t in targets if isinstance(t, ast.Name) and started]


def _note_call(call: ast.Call, uses: _Uses) -> None:
    method, name = _method(call, uses), _literal(call)
    if method == "save" and name is not None:
        uses.saved.add(name)
    elif method in ("save", "save_products"):
        uses.opaque = True
    elif _last_name(call.func) in (*_MAGIC_CALLS, "exec"):
        uses.opaque |= "save" in ast.unparse(call)


def _is_run(node: ast.AST, uses: _Uses) -> bool:
    return isinstance(node, ast.Name) and node.id in uses.names


def _method(call: ast.Call, uses: _Uses) -> str:
    """Name of the method of the run that is called; empty if it is none."""
    if isinstance(call.func, ast.Attribute) and _is_run(call.func.value, uses):
        return call.func.attr
    return ""


def _literal(call: ast.Call) -> str | None:
    """The first argument of a call, if it is a text as it stands."""
    named = [k.value for k in call.keywords if k.arg in ("name", "product_type")]
    first = (*call.args, *named)[:1]
    if first and isinstance(first[0], ast.Constant) and isinstance(first[0].value, str):
        return first[0].value
    return None


def _check_call(call: ast.Call, uses: _Uses, declared: Declared) -> Iterator[tuple[str, str]]:
    """Field and words of what is wrong with a call of the run."""
    method, name = _method(call, uses), _literal(call)
    if method == "flares":
        method, name = "fetch", FLARE_LIST
        written = "run.flares"
    else:
        written = f"run.{method}"
    known = {"fetch": declared.needs, "save": declared.delivers}.get(method)
    if known is None or name is None or name in known:
        return
    what = "needs" if method == "fetch" else "makes"
    near = did_you_mean(name, known) or ";"
    names = ", ".join(known) or "nothing"
    yield written, f"{name!r} is not declared{near} the first cell says that the notebook {what}: {names}"
