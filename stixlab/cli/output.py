"""How commands speak: data to stdout as a table or as JSON lines, everything else to stderr."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

__all__ = ["as_text", "fail", "json_option", "print_json", "print_rows", "progress_bar", "say"]


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")(function)


def say(text: str) -> None:
    """A line for the person in front of the terminal; never mixed with data."""
    click.echo(text, err=True)


def fail(text: str) -> NoReturn:
    """End with status 1 and the reason."""
    say(f"stixlab: {text}")
    sys.exit(1)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def print_json(item: Mapping[str, Any]) -> None:
    """One object on one line; only what JSON knows (no NaN, no Infinity)."""
    click.echo(json.dumps(item, default=_plain, allow_nan=False))


def as_text(value: Any) -> str:
    """A value as it stands in a table."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={as_text(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(as_text, value))
    return str(value)


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool = False, as_csv: bool = False
) -> None:
    """Rows as JSON lines (whole), as CSV or as a table (the columns named)."""
    if as_json:
        for row in rows:
            print_json(row)
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(
            [as_text(row.get(c)) if row.get(c) is not None else "" for c in columns] for row in rows
        )
    else:
        texts = [[as_text(row.get(c)) for c in columns] for row in rows]
        widths = [
            max(len(c), *(len(t[i]) for t in texts)) if texts else len(c) for i, c in enumerate(columns)
        ]
        for line in ([c.upper() for c in columns], *texts):
            click.echo("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip())


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for long work; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show
