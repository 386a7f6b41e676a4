"""Why an execution failed, in one paragraph: the cell, the reason, what to do; and whether another try may help."""

from __future__ import annotations

import errno
import re
import signal
from dataclasses import dataclass

from stixlab.errors import ArchiveError
from stixlab.files import write_failed
from stixlab.pipeline.engine import CellClock, CellExitedError, KernelSeat
from stixlab.pipeline.executed import exit_problem
from stixlab.pipeline.limits import Watch, oom_kills, readable_bytes

__all__ = ["Reason", "plain", "reason_of"]

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PASSES = frozenset(
    {"CatalogError", "ServerSelectionTimeoutError", "AutoReconnect", "ConnectionRefusedError"}
)
"""Errors of a cell that say that a service was away."""
_FULL = re.compile(r"no space left|\[Errno (28|122)\]", re.IGNORECASE)
_WORDS = 400


@dataclass(frozen=True)
class Reason:
    """Why an execution failed."""

    text: str
    recoverable: bool = False


def plain(text: str) -> str:
    """A message on one line, without colours."""
    return " ".join(_ANSI.sub("", text).split())


def reason_of(
    error: BaseException, *, clock: CellClock, seat: KernelSeat, watch: Watch, oom_before: int
) -> Reason:
    """What to tell about an error of papermill.

    Parameters
    ----------
    error
        As papermill raised it.
    clock, seat, watch
        Of the execution, which has ended.
    oom_before
        `oom_kills` before it began.

    Raises
    ------
    ArchiveError
        If the executed notebook could not be written.
    """
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if watch.verdict:
        return Reason(watch.verdict)
    if isinstance(error, OSError) and error.errno in (
        errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.EIO,
    ):  # fmt: skip
        raise _not_written(seat, error) from error
    if isinstance(error, CellExitedError):
        return Reason(exit_problem(plain(error.found)))
    if isinstance(error, PapermillExecutionError):
        return _cell_raised(str(error.ename), plain(error.evalue), seat, watch)
    if isinstance(error, CellTimeoutError):
        return Reason(
            "it ended, but its output did not arrive: it was cut short; ask for the run again",
            recoverable=True,
        )
    began = seat.process is not None
    if isinstance(error, DeadKernelError) or seat.ended_itself or (began and not clock.number):
        return _kernel_died(clock, seat, oom_before)
    return Reason(f"could not be executed: {type(error).__name__}: {plain(str(error))}")


def _not_written(seat: KernelSeat, error: OSError) -> ArchiveError:
    from pathlib import Path

    return write_failed(Path(seat.setup.folder) / "executed notebook", error)


def _cell_raised(name: str, value: str, seat: KernelSeat, watch: Watch) -> Reason:
    """A cell that ended with an error."""
    said = f"{name}: {value}" if value else name
    if name in _PASSES:
        return Reason(f"{said}; a service was away, the run may be tried again", recoverable=True)
    if _FULL.search(value):
        return Reason(f"{said}; free some space, the run may be tried again", recoverable=True)
    if name == "MemoryError" or "_ArrayMemoryError" in name:
        limit = watch.limits.memory_bytes
        most = f"the limit of the run is {readable_bytes(limit)}" if limit else "the machine has no more"
        return Reason(f"out of memory: {said}; {most}; take less data at once (dask, a shorter range)")
    if name in {w.rpartition(".")[2] for w in seat.setup.fatal_warnings}:
        return Reason(
            f"{said}; this warning is declared fatal: mend its cause, or 'fatal_warnings' in the first cell"
        )
    return Reason(f"{said}; the executed notebook has the traceback")


def _kernel_died(clock: CellClock, seat: KernelSeat, oom_before: int) -> Reason:
    """A kernel that is gone without having been told to end."""
    code = seat.exit_code
    words = plain(seat.said)[-_WORDS:]
    last = f"; its last words: {words}" if words else ""
    if "fatal_warnings:" in seat.said:
        return Reason(plain(seat.said[seat.said.rindex("fatal_warnings:") :]))
    if code == -signal.SIGKILL:
        full = oom_kills() > oom_before
        who = (
            "by the machine, whose memory was full"
            if full
            else "(signal 9), by somebody or by a machine without memory"
        )
        return Reason(f"the kernel died: it was killed {who}; the run may be tried again", recoverable=True)
    if not clock.number:
        return Reason(
            f"the kernel died at its start (exit status {code}), before the first cell{last}; "
            "see `stixlab doctor`; the run may be tried again",
            recoverable=True,
        )
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return Reason(f"the kernel died: it crashed ({name}), compiled code of a library is to blame{last}")
    after = " after its last cell" if clock.done else ""
    return Reason(
        f"the kernel died{after}: the notebook ended it (exit status {code}), as exit() and os._exit do; "
        f"a pipeline runs to its last cell: remove the exit{last}"
    )
