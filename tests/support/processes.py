"""Waiting for processes, always with an end."""

import time
from collections.abc import Callable
from typing import Any

import psutil


def wait_for(question: Callable[[], Any], what: str, timeout_s: float = 15.0) -> Any:
    """The first answer that is true."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {timeout_s} s")


def living(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
