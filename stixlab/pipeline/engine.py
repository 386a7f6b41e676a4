"""Papermill in a thread of its own: kernel on unix sockets, its own environment, watched, can be stopped.

Importing this module imports papermill, which takes seconds: `stixlab.pipeline.runner.prepare` does it early.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import zmq
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.utils import ensure_event_loop
from papermill import execute_notebook
from papermill.engines import NBClientEngine, papermill_engines

from stixlab.pipeline.forked import WarmKernel
from stixlab.pipeline.kernel import KernelSetup
from stixlab.pipeline.limits import Watch, end_processes, socket_folder
from stixlab.pipeline.notebook_client import CellClock, CellExitedError, NotebookClient, QuietLog

__all__ = ["CellClock", "CellExitedError", "KernelSeat", "StixlabEngine", "run_papermill"]

log = logging.getLogger(__name__)

_ENGINE = "stixlab"
_START_S = 120
_END_S = 15
"""What papermill gets to notice that its kernel is gone."""
_LOOK_S = 0.1
_POLL_S = 0.002
"""So often a kernel that was killed is looked for."""
_ANSWER_S = 0.5
_OUTPUT_S = 30
"""What the output of a cell that has ended gets to arrive."""
_SAID_BYTES = 256 * 1024


class KernelSeat:
    """The place of one kernel: its sockets, its process, what it writes past its capture of output.

    Parameters
    ----------
    setup
        What the kernel is told first.
    environment
        All its variables, those of `setup` among them.
    warm
        A kernel that is ready; None: a fresh one is started.
    """

    def __init__(
        self, setup: KernelSetup, environment: Mapping[str, str], warm: WarmKernel | None = None
    ) -> None:
        self.setup = setup
        self.environment = dict(environment)
        self.warm = warm
        self.process: Any = warm
        """The kernel's process, kept after its end."""
        self.said = ""
        """What the process wrote itself, known at its end: last words of a crash, output of its children."""
        self._sockets = warm.folder if warm else socket_folder()
        self._output = warm.output_file if warm else self._sockets / "output"

    @property
    def pid(self) -> int | None:
        """Process id of the kernel; None before there is one."""
        return None if self.process is None else int(self.process.pid)

    @property
    def exit_code(self) -> int | None:
        """How its process ended, as `subprocess` has it; None while it lives or before it does."""
        return None if self.process is None else self.process.poll()

    @property
    def ended_itself(self) -> bool:
        """Whether the process ended before it was killed at the end of its run."""
        return self.exit_code not in (None, -signal.SIGKILL)

    def manager(self) -> _Manager:
        """A manager whose kernel is, or will be, this one."""
        km = _Manager(transport="ipc", client_class=f"{__name__}._Client", log=QuietLog(log, {}))
        if self.warm is not None:
            km.load_connection_file(str(self.warm.connection_file))
        else:
            setup_file = self._sockets / "setup.json"
            setup_file.write_text(self.setup.as_line(), encoding="utf-8")
            km.ip = str(self._sockets / "k")
            km.connection_file = str(self._sockets / "kernel.json")
            km.argv = [
                sys.executable,
                "-P",
                "-m",
                "stixlab.pipeline.kernel",
                "{connection_file}",
                str(setup_file),
            ]
        km.provisioner = _Provisioner(kernel_id="", kernel_spec=km.kernel_spec, parent=km)
        km.provisioner.seat = self
        if self.warm is not None:
            km.provisioner.process = self.process
            km.provisioner.pid = km.provisioner.pgid = self.warm.pid
            self.warm.start(self.setup)
        return km

    def launch(self, start: Callable[..., Any], cmd: list[str], **how: Any) -> Any:
        """Have a fresh kernel started with its output kept."""
        with self._output.open("wb") as output:
            return start(cmd, **how, stdout=output, stderr=output)

    def clear(self) -> None:
        """End whatever is left of the kernel and what it started, and remove its files."""
        end_processes(self.pid, Path(self.setup.folder))
        with suppress(OSError), self._output.open("rb") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - _SAID_BYTES, 0))
            self.said = stream.read().decode(errors="replace")
        shutil.rmtree(self._sockets, ignore_errors=True)


class _Client(AsyncKernelClient):  # type: ignore[misc]
    """Ready as soon as the kernel's answer and its echo on the output channel are there; no fixed waits."""

    def connect_iopub(self, identity: bytes | None = None) -> Any:
        """The channel of the output, with room for all of it: beyond a thousand messages the rest would be dropped unseen.

        `stixlab.pipeline.limits.Watch` limits what a cell may write.
        """
        self.context.setsockopt(zmq.RCVHWM, 0)  # of sockets made from now on
        return super().connect_iopub(identity)

    async def wait_for_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  (the library's name)
        until = time.monotonic() + (timeout or _START_S)
        while not await self._answers(self.kernel_info()):
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > until:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")

    async def _answers(self, message: str) -> bool:
        try:
            while True:
                reply = await self.shell_channel.get_msg(timeout=_ANSWER_S)
                if reply["parent_header"].get("msg_id") == message:
                    self._handle_kernel_info_reply(reply)
                    break
            while True:
                echo = await self.iopub_channel.get_msg(timeout=_ANSWER_S)
                if (
                    echo["parent_header"].get("msg_id") == message
                    and echo["content"].get("execution_state") == "idle"
                ):
                    return True
        except Empty:
            return False


class _Manager(AsyncKernelManager):  # type: ignore[misc]
    """Starts the kernel it is told to, whatever kernels are installed for the account."""

    argv: list[str]

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = getattr(self, "argv", [sys.executable])
        return KernelSpec(argv=argv, display_name="Python 3", language="python")

    async def _async_wait(self, pollinterval: float = _POLL_S) -> None:
        """Wait for the end of the process; the library looks ten times a second."""
        await super()._async_wait(min(pollinterval, _POLL_S))


class _Provisioner(LocalProvisioner):  # type: ignore[misc]
    """Keeps hold of the process and waits for its end without pauses that would be felt."""

    seat: KernelSeat

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        from jupyter_client.launcher import launch_kernel

        how = {k: v for k, v in kwargs.items() if k in ("env", "cwd")}
        self.process = self.seat.process = self.seat.launch(launch_kernel, cmd, **how)
        self.pid = self.pgid = self.process.pid
        return self.connection_info

    async def wait(self) -> int | None:
        while await self.poll() is None:  # noqa: ASYNC110  (a process sends no event)
            await asyncio.sleep(_POLL_S)
        code: int | None = await super().wait()
        return code


class StixlabEngine(NBClientEngine):  # type: ignore[misc]
    """Executes all cells of a notebook in one kernel that sees only the environment it is given."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        seat: KernelSeat,
        watch: Watch,
        clock: CellClock,
        **_others: Any,
    ) -> Any:
        """Execute the cells.

        Parameters
        ----------
        nb_man
            The notebook, as papermill hands it over.
        kernel_name
            Name of the Jupyter kernel; only noted.
        seat
            The kernel.
        watch
            Told how much a cell writes.
        clock
            Told what goes on.
        """
        clock.watch(nb_man)
        # Papermill would write the whole notebook twice for each cell; it writes it in any case at the end.
        nb_man.save = lambda **_: None
        try:
            return cls._execute(nb_man, kernel_name, seat, watch, clock)
        finally:
            del nb_man.save

    @staticmethod
    def _execute(nb_man: Any, kernel_name: str, seat: KernelSeat, watch: Watch, clock: CellClock) -> Any:
        client = NotebookClient(
            nb_man,
            km=seat.manager(),
            kernel_name=kernel_name,
            startup_timeout=_START_S,
            timeout=None,
            iopub_timeout=_OUTPUT_S,
            shutdown_kernel="immediate",
            raise_on_iopub_timeout=True,
            # A run in which a cell raises is red, whatever the tags of the cell: nothing is gained by going on.
            force_raise_errors=True,
            log=QuietLog(log, {}),
        )
        client.watch, client.clock = watch, clock
        client.on_cell_executed = client.check_exit
        return client.execute(env=seat.environment, cwd=seat.setup.folder, cleanup_kc=True)


papermill_engines.register(_ENGINE, StixlabEngine)


def run_papermill(
    source: Path,
    executed: Path,
    parameters: Mapping[str, Any],
    *,
    seat: KernelSeat,
    watch: Watch,
    clock: CellClock,
) -> None:
    """Have papermill execute a notebook, and wait for it.

    A thread of its own, so that it works within a running event loop, too (a notebook that runs a
    pipeline), and can be stopped.

    Parameters
    ----------
    source, executed
        Notebook files.
    parameters
        To be set.
    seat
        The kernel; it is ended here, with all that it started.
    watch
        Says when the kernel must end.
    clock
        Told what goes on.

    Raises
    ------
    Exception
        Whatever papermill raised; `TimeoutError` if it did not even notice the end of its kernel.
    """
    raised: list[BaseException] = []
    parts = {"seat": seat, "watch": watch, "clock": clock}

    def target() -> None:
        try:
            _execute_notebook(source, executed, parameters, **parts)
        except BaseException as error:  # noqa: BLE001  (handed to the waiting thread)
            raised.append(error)
        finally:
            ensure_event_loop().close()

    thread = threading.Thread(target=target, name=f"papermill-{source.stem}", daemon=True)
    thread.start()
    _see_end(thread, seat, watch)
    if raised:
        raise raised[0]
    if thread.is_alive():
        raise TimeoutError("papermill did not end with its kernel")


def _execute_notebook(source: Path, executed: Path, parameters: Mapping[str, Any], **parts: Any) -> None:
    execute_notebook(
        str(source),
        str(executed),
        parameters=dict(parameters),
        engine_name=_ENGINE,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        **parts,
    )


def _see_end(thread: threading.Thread, seat: KernelSeat, watch: Watch) -> None:
    """Wait for the end of papermill's thread, ending its kernel when it must end, and in any case then."""
    try:
        while thread.is_alive():
            thread.join(_LOOK_S)
            if thread.is_alive() and watch.look(seat.pid):
                end_processes(seat.pid)
                thread.join(_END_S)
                break
    finally:
        seat.clear()
        thread.join(_END_S)
