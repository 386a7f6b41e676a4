"""Commands called in this process, on a lab of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import click
from click.testing import CliRunner, Result

__all__ = ["invoke", "opening"]


def invoke(command: click.Command, *arguments: str, status: int = 0) -> Result:
    """What a command printed.

    Raises
    ------
    BaseException
        What the command raised, but for the end of the program.
    AssertionError
        If it ended with another status.
    """
    done = CliRunner().invoke(command, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.output
    return done


def opening(thing: Any) -> Callable[..., AbstractContextManager[Any]]:
    """A function that opens this, whatever the settings, in place of one of `stixlab.factory`."""

    @contextmanager
    def open_it(_settings: Any, **_options: Any) -> Iterator[Any]:
        yield thing

    return open_it
