"""How it stands with the files that arrive, as `stixlab status` tells it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from stixlab.settings import Settings

__all__ = ["arrivals_summary", "percentile", "print_arrivals"]

_RECENT = timedelta(days=1)


def percentile(values: list[float], share: float) -> float | None:
    """The smallest value that so large a share of them does not exceed; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def arrivals_summary(catalog: Any, settings: Settings) -> dict[str, Any]:
    """Folders that are watched, what waits, what was set aside, and how long files took on the last day.

    Raises
    ------
    CatalogError
        If the database does not answer.
    """
    from stixlab.ingest.watch_notes import read_notes

    recent = catalog.arrivals.find(start=datetime.now(UTC) - _RECENT)
    seconds = [a.seconds for a in recent if a.seconds is not None and a.status == "taken"]
    last = next((a for a in recent if a.status == "taken"), None)
    aside = catalog.arrivals.find(status="set aside")
    return {
        "watched": [{k: v for k, v in note.items() if k != "start"} for note in read_notes(settings.home)],
        "set_aside": len(aside),
        "last_set_aside": {"path": aside[0].path, "reason": aside[0].reason} if aside else None,
        "taken_in_a_day": len(seconds),
        "p95_seconds": percentile(seconds, 0.95),
        "last_taken": {"path": last.path, "at": last.ingested, "seconds": last.seconds} if last else None,
    }


def print_arrivals(summary: dict[str, Any]) -> None:
    """The same in words."""
    for note in summary["watched"]:
        waiting = f", {note['waiting']} waiting since {note['oldest']}" if note["waiting"] else ""
        stands = f"AWAY: {note['away']}" if note["away"] else f"{note['files']} files{waiting}"
        click.echo(f"watching {note['folder']} (process {note['pid']}): {stands}")
        for path, reason in note["problems"].items():
            click.echo(f"  {path}: {reason}")
        if note["database"]:
            click.echo(f"  {note['database']}")
    if not summary["watched"]:
        click.echo("no folder is watched (`stixlab watch FOLDER`, or `stixlab up`, takes what arrives)")
    if summary["last_taken"]:
        last = summary["last_taken"]
        click.echo(
            f"arrivals: {summary['taken_in_a_day']} taken on the last day, 95 % of them within "
            f"{summary['p95_seconds']:.1f} s; the last was {last['path']}"
        )
    if summary["set_aside"]:
        aside = summary["last_set_aside"]
        click.echo(
            f"SET ASIDE: {summary['set_aside']} files (`stixlab arrivals --status 'set aside'`); "
            f"the last: {aside['path']}: {aside['reason']}"
        )
