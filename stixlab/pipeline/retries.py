"""What is tried again, when, and how often."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from stixlab.errors import CatalogError
from stixlab.model.run import Run
from stixlab.pipeline.spec import PipelineSpec

__all__ = ["AWAY_S", "PAUSES", "ask_patiently", "is_recoverable", "pause_before_next"]

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

AWAY_S = 600.0
"""So long a worker waits for a database that is away, with the result of a run in hand."""
PAUSES = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
"""Before the second attempt, the third, ...; the last one holds for all that follow."""
_LONGEST_S = 5.0
_LOOK_S = 0.1


def ask_patiently(
    question: Callable[[], Answer], *, stop: Callable[[], bool] = lambda: False, limit_s: float = AWAY_S
) -> Answer:
    """Answer of the database; one that is away is asked again after growing pauses.

    Parameters
    ----------
    question
        Safe to ask twice.
    stop
        Asked while waiting; true ends the wait.
    limit_s
        So long.

    Raises
    ------
    CatalogError
        If the database is still away at the end.
    """

    def is_over(state: RetryCallState) -> bool:
        return stop() or stop_after_delay(limit_s)(state)

    def sleep(seconds: float) -> None:
        until = time.monotonic() + seconds
        while not stop() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))

    def told(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("waiting for the database", extra={"tries": state.attempt_number, "reason": str(error)})

    asking = Retrying(
        retry=retry_if_exception_type(CatalogError),
        wait=wait_random_exponential(multiplier=0.2, max=_LONGEST_S),
        stop=is_over,
        sleep=sleep,
        before_sleep=told,
        reraise=True,
    )
    return asking(question)


def is_recoverable(error: BaseException) -> bool:
    """Whether the same run may succeed later, as it is.

    An error that has an attribute ``recoverable`` says so itself. Without one: a database that is away may
    come back; what a notebook raised comes again.
    """
    return bool(getattr(error, "recoverable", isinstance(error, CatalogError)))


def pause_before_next(run: Run, spec: PipelineSpec) -> timedelta | None:
    """Pause before another attempt at a run that failed of something that passes; None if there is to be none.

    Parameters
    ----------
    run
        As it was claimed: its attempts count the one that failed.
    spec
        Says how many retries there are.
    """
    if run.attempts > spec.retries:
        return None
    return PAUSES[min(max(run.attempts, 1), len(PAUSES)) - 1]
