"""Ingests that kill themselves at the n-th call that changes something.

A process of its own: it imports everything once, then forks a child for each job it reads (one JSON object a line). The
child counts the calls that change the archive (audit events) and the commands that change the database (before they are sent and
after they were answered), and kills itself with SIGKILL at the one asked for. Answers are JSON lines, too.
"""

import errno
import json
import os
import signal
import sys
from pathlib import Path

from pymongo import monitoring

CHANGING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
WRITING = {"insert", "update", "delete", "findAndModify", "bulkWrite", "createIndexes"}


def writes(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


class Killer:
    """Counts, and kills at the right count; or lets the disk be full from the n-th file on, or kills the database."""

    def __init__(self, home: str, kill_at: int, log: int, mode: str) -> None:
        self.home, self.kill_at, self.log, self.mode = home, kill_at, log, mode
        self.count = self.opened = 0
        self.armed = True

    def step(self, what: str) -> None:
        if self.mode == "full" or (self.mode.startswith("away") and not what.startswith(("before", "after"))):
            return
        self.count += 1
        if self.count == self.kill_at:
            if self.mode.startswith("away"):
                os.kill(int(self.mode.split()[1]), signal.SIGKILL)
                return
            os.write(self.log, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event: str, arguments: tuple) -> None:
        if not self.armed:
            return
        if event in CHANGING:
            self.step(f"{event} {arguments[0]}")
        elif event == "open" and writes(arguments[2]) and str(arguments[0]).startswith(self.home):
            self.step(f"open {arguments[0]}")
            self.opened += 1
            if self.mode == "full" and self.opened >= self.kill_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Commands(monitoring.CommandListener):
    """Calls the killer around every command that writes."""

    killer: Killer | None = None

    def started(self, event):
        if self.killer and event.command_name in WRITING:
            self.killer.step(f"before {event.command_name}")

    def succeeded(self, event):
        if self.killer and event.command_name in WRITING:
            self.killer.step(f"after {event.command_name}")

    def failed(self, event):
        pass


def child(job: dict, log: int, commands: Commands) -> None:
    from stixlab import factory
    from stixlab.settings import read_settings

    settings = read_settings(
        home=Path(job["home"]), mongo_uri=job["uri"], access="operator", spice=None, idb=None
    )
    with factory.open_ingestor(settings, pipelines=False) as make:
        ingestor = make()
        killer = Killer(job["home"], job["kill_at"], log, job["mode"])
        commands.killer = killer
        sys.addaudithook(killer.audit)
        report = ingestor.ingest([Path(p) for p in job["files"]])
        killer.armed, commands.killer = False, None
    os.write(
        log,
        json.dumps({"count": killer.count, "failed": report.failed, "problems": report.problems}).encode(),
    )


def main() -> None:
    import astropy.io.fits
    import xarray
    import zarr

    import stixlab.factory
    import stixlab.ingest
    import stixlab.products.formats.fits
    import stixlab.products.formats.zarr
    import stixlab.products.level1

    assert all((astropy.io.fits, xarray, zarr, stixlab.factory, stixlab.ingest))
    commands = Commands()
    monitoring.register(commands)
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        reading, log = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(job, log, commands)
            except BaseException as error:
                os.write(log, f"{type(error).__name__}: {error}".encode())
                os._exit(1)
            os._exit(0)
        os.close(log)
        with os.fdopen(reading, "rb") as answer:
            said = answer.read().decode()
        _, status = os.waitpid(pid, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps({"killed": killed, "status": status, "said": said}), flush=True)


if __name__ == "__main__":
    main()
