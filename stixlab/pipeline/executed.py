"""The executed notebook: checked cell by cell, and kept with where it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stixlab.errors import PipelineError
from stixlab.files import new_file
from stixlab.pipeline.redaction import Redaction

__all__ = ["cell_lines", "cell_number", "check_cells", "exit_problem", "keep_notebook", "read_cells"]


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Cells of a notebook file.

    Raises
    ------
    OSError, ValueError, KeyError
        If it cannot be read or is none; a device or a pipe in its place is not read, it may never end.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no regular file at {path.name}")
    cells: list[dict[str, Any]] = json.loads(path.read_bytes())["cells"]
    return cells


def _is_injected(cell: dict[str, Any]) -> bool:
    tags = cell["metadata"].get("tags", [])
    return "injected-parameters" in tags or "papermill-error-cell-tag" in tags


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _is_stopped(cell: dict[str, Any]) -> bool:
    """Whether a code cell was begun but has no execution count: the kernel never answered."""
    return bool(_source(cell).strip()) and cell.get("execution_count") is None


def check_cells(name: str, asked: list[dict[str, Any]], executed: Path) -> None:
    """Refuse an execution that papermill takes for a success but that did not run every cell to its end.

    Parameters
    ----------
    name
        File name of the pipeline, for messages.
    asked
        Its cells, read before the execution.
    executed
        What papermill wrote.

    Raises
    ------
    PipelineError
        Naming the cell.
    """
    try:
        cells = read_cells(executed)
    except (OSError, ValueError, KeyError) as error:
        raise PipelineError(
            f"{name}: its executed form cannot be read: {error}; it was cut short, ask for the run again",
            recoverable=True,
        ) from error
    own = [c for c in cells if not _is_injected(c)]
    if len(own) != len(asked):
        raise PipelineError(
            f"{name}: expected {len(asked)} executed cells; found {len(own)}", recoverable=False
        )
    pairs = list(enumerate(zip(own, asked, strict=True), start=1))
    changed = [n for n, (cell, before) in pairs if _source(cell) != _source(before)]
    if changed:
        raise PipelineError(
            f"{name}, cell {changed[0]}: another code was executed than stands in the notebook",
            cell=changed[0],
            recoverable=False,
        )
    for number, (cell, _) in pairs:
        if problem := _problem(cell):
            raise PipelineError(f"{name}, cell {number}: {problem}", cell=number, recoverable=False)


def exit_problem(found: str) -> str:
    """What to tell about a cell that ends the notebook.

    Parameters
    ----------
    found
        How it does that.
    """
    return f"it ended the notebook ({found}); a pipeline runs to its last cell: remove the exit"


def _problem(cell: dict[str, Any]) -> str:
    if cell["cell_type"] != "code" or not _source(cell).strip():
        return ""
    if errors := [o for o in cell["outputs"] if o["output_type"] == "error"]:
        said = f"{errors[0]['ename']}: {' '.join(errors[0]['evalue'].split())}"
        return exit_problem(said) if errors[0]["ename"] == "SystemExit" else said
    papermill = cell["metadata"].get("papermill", {})
    if papermill.get("status") != "completed" or papermill.get("exception") or _is_stopped(cell):
        return f"expected to be completed; found {papermill.get('status', 'no status')}"
    return ""


def cell_number(asked: list[dict[str, Any]], begun: int, source: str | None) -> int:
    """Number of the cell that failed: the last one begun, unless another one has the code that failed.

    Parameters
    ----------
    asked
        Cells of the notebook.
    begun
        Number of the last cell that was begun, from 1.
    source
        Code that failed; None: not known.
    """
    if source is None or (0 < begun <= len(asked) and _source(asked[begun - 1]) == source):
        return begun
    return next((n for n, cell in enumerate(asked, start=1) if _source(cell) == source), begun)


def keep_notebook(executed: Path, target: Path, provenance: dict[str, Any], redact: Redaction) -> None:
    """Store the executed notebook with its provenance; paths of this machine and secrets are left out.

    Parameters
    ----------
    executed
        What papermill wrote.
    target
        Where to keep it; whole or absent.
    provenance
        Put into its metadata as ``stixlab``.
    redact
        Takes the secrets out.

    Raises
    ------
    ArchiveError
        If the disk is full or the folder is not writable.
    OSError, ValueError, KeyError
        If papermill left no whole notebook.
    """
    read_cells(executed)
    document = json.loads(executed.read_bytes())
    papermill = document["metadata"].get("papermill", {})
    for name in ("input_path", "output_path", "environment_variables"):
        papermill.pop(name, None)
    document["metadata"]["stixlab"] = provenance
    with new_file(target) as temporary:
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        temporary.write_text(redact(text), encoding="utf-8")


def cell_lines(executed: Path) -> list[str]:
    """Times and printed output of the cells, for the log of a run; what cannot be read is left out."""
    try:
        cells = read_cells(executed)
    except (OSError, ValueError, KeyError):
        return ["no executed notebook"]
    lines, number = [], 0
    for cell in cells:
        injected = _is_injected(cell)
        number += not injected
        if cell["cell_type"] != "code":
            continue
        papermill = cell["metadata"].get("papermill", {})
        name = "cell of parameters set" if injected else f"cell {number}"
        took = papermill.get("duration")
        lines.append(
            f"{papermill.get('start_time') or '-':32}  {name}: {papermill.get('status')}"
            + ("" if took is None else f", {took:.3f} s")
        )
        for output in cell["outputs"]:
            lines += [f"    {line}" for line in _printed(output).splitlines()]
    return lines


def _printed(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return "".join(output["text"])
    if output["output_type"] == "error":
        return "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}"
    return ""
