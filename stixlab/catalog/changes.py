"""What changes in the document of a run when something becomes of it."""

from __future__ import annotations

from datetime import datetime

from stixlab.catalog.documents import Document, truncate
from stixlab.model.run import RunStatus

__all__ = ["FREED", "ask_again", "asked_again", "cancelled", "worn_out"]

_OF_ITSELF = ("product", "schedule")

FREED: Document = {
    "status": RunStatus.QUEUED.value,
    "worker": "",
    "lease_until": None,
    "started": None,
    "cells_done": 0,
    "cells": 0,
}
"""Fields of a run that goes back into the queue."""


def ask_again(known: Document, trigger: str) -> bool:
    """Whether a run that is known is to be queued anew by this trigger: what a person stopped no trigger starts."""
    if known["status"] == RunStatus.CANCELLED.value:
        return trigger not in _OF_ITSELF
    return bool(known["status"] == RunStatus.FAILED.value)


def asked_again(known: Document) -> Document:
    """Fields of a run that was done with, as it is queued again; why it failed is kept."""
    failures = [*known.get("failures", ()), *([known["error"]] if known.get("error") else [])]
    return {
        "status": RunStatus.QUEUED.value,
        "attempts": 0,
        "failures": failures,
        "error": "",
        "cancel_asked": "",
        "worker": "",
        "started": None,
        "finished": None,
        "not_before": None,
        "lease_until": None,
        "cells_done": 0,
        "cells": 0,
        "notebook": "",
        "log": "",
    }


def cancelled(by: str, now: datetime) -> Document:
    """Fields of a run that somebody stopped."""
    told = {"error": f"cancelled by {by}", "finished": truncate(now)}
    return {"status": RunStatus.CANCELLED.value, "lease_until": None, **told}


def worn_out(held: Document, failures: list[str], now: datetime) -> Document:
    """Fields of a run that has taken too many workers down."""
    why = (
        f"begun {held['attempts']} times without an end: the last worker in turn, {held['worker']}, died or fell silent; "
        "look for too little memory, then `stixlab retry`"
    )
    return {
        "status": RunStatus.FAILED.value,
        "error": why,
        "finished": truncate(now),
        "lease_until": None,
        "failures": failures,
    }
