"""The process of the embedded database server: found, started, stopped.

The program (SecantusDB, GPL-2) speaks the wire protocol of MongoDB. It is a process of its own and is
never imported. Who may use it and when it ends is decided in `stixlab.services.database`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from stixlab.catalog.workers import process_is, process_start
from stixlab.errors import ServiceError
from stixlab.services.credentials import write_private
from stixlab.services.logs import last_lines, open_log
from stixlab.services.parts import MARK

__all__ = [
    "CACHE_SIZE",
    "Places",
    "Server",
    "accepts",
    "choose_port",
    "find_strays",
    "listens",
    "program",
    "read_note",
    "server_command",
    "start_server",
    "stop_server",
    "wait_until_it_listens",
    "write_note",
]

CACHE_SIZE = "128M"
"""Cache of the storage engine. Ten thousand documents with their indexes take about 15 MB."""

_HOST = "127.0.0.1"
_START_S = 30.0
_STOP_S = 8.0
_REPEAT_S = 0.3
_POLL_S = 0.01
_PORT_TRIES = 4
_KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    MARK,
)


@dataclass(frozen=True)
class Places:
    """Where the embedded database of a home keeps what."""

    home: Path

    @property
    def data(self) -> Path:
        """Folder of the storage engine."""
        return self.home / "mongo"

    @property
    def credentials(self) -> Path:
        """Logins, for the owner alone."""
        return self.home / "mongo-users.json"

    @property
    def ready(self) -> Path:
        """Says that the users of the data are those of the credentials."""
        return self.home / "mongo-ready.json"

    @property
    def note(self) -> Path:
        """The server that runs, or the last one that did: its port is used again."""
        return self.home / "run" / "database.json"

    @property
    def lock(self) -> Path:
        """Held while a server is looked for, started or stopped."""
        return self.home / "run" / "database.lock"

    @property
    def clients(self) -> Path:
        """Held, shared, by each process that uses the server."""
        return self.home / "run" / "database.clients"

    @property
    def options(self) -> Path:
        """Option file of the server; empty, so that it looks for none elsewhere."""
        return self.home / "run" / "database.toml"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.home / "log" / "database.log"


@dataclass(frozen=True)
class Server:
    """A server process."""

    pid: int
    start: str
    """From `stixlab.catalog.workers.process_start`."""
    port: int
    auth: bool = True
    """Whether it asks who one is."""
    supervised: bool = False
    """Whether it is a part of `stixlab up`."""

    def lives(self) -> bool:
        """Whether that very process runs."""
        with suppress(ChildProcessError):  # collects it if it is our child and has ended
            os.waitpid(self.pid, os.WNOHANG)
        return process_is(self.pid, self.start)


def read_note(places: Places) -> Server | None:
    """The server noted last, whether it lives or not; None if there is no legible note."""
    try:
        return Server(**json.loads(places.note.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_note(places: Places, server: Server) -> None:
    """Note a server, for other processes to find."""
    write_private(places.note, json.dumps(asdict(server)))


def accepts(port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((_HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def choose_port(preferred: int = 0) -> int:
    """A free port, the preferred one if it is."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((_HOST, port))
                return int(probe.getsockname()[1])
    raise ServiceError(f"embedded database: no free port on {_HOST}; end some programs that listen there")


def program() -> str:
    """The server's program.

    Raises
    ------
    ServiceError
        If it is not installed.
    """
    beside = Path(sys.executable).with_name("secantusd-py")
    found = str(beside) if beside.exists() else shutil.which("secantusd-py")
    if not found:
        raise ServiceError(
            "embedded database: its program secantusd-py is not installed; set STIXLAB_MONGO_URI to a MongoDB server "
            "(6 or newer), or give `pip install 'stixlab[embedded]'`"
        )
    return found


def server_command(places: Places, port: int, *, auth: bool) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of a server."""
    write_private(places.options, "")
    command = [program(), "--config", str(places.options), "--host", _HOST, "--port", str(port)]
    command += ["--storage-path", str(places.data), "--cache-size", CACHE_SIZE, "--log-level", "WARNING"]
    command += ["--standalone", "--sync-on-commit", *(["--auth"] if auth else [])]
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # Two arenas are plenty for its threads, and save some tens of megabytes.
    return command, kept | {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}


def start_server(places: Places, *, auth: bool) -> Server:
    """Start a server that outlives this process, and wait until it listens.

    Raises
    ------
    ServiceError
        If it does not come up; the message holds the end of its log.
    """
    last = read_note(places)
    port = last.port if last else 0
    for _ in range(_PORT_TRIES):
        port = choose_port(port)
        server = _spawn(places, port, auth=auth)
        write_note(places, server)
        if wait_until_it_listens(server):
            return server
        tail = last_lines(places.log)
        stop_server(server)
        if "Address already in use" not in tail:
            break
        port = 0
    full = " its disk is full;" if "No space left" in tail else ""
    raise ServiceError(
        f"embedded database: did not come up within {_START_S:.0f} s on {_HOST}:{port}, data in {places.data};{full} "
        f"its log {places.log} ends:\n{tail}"
    )


def _spawn(places: Places, port: int, *, auth: bool) -> Server:
    command, environment = server_command(places, port, auth=auth)
    log = open_log(places.log)
    try:
        pid = os.posix_spawn(
            command[0],
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,  # a Ctrl-C in this terminal is not meant for it
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
            setsigmask=[],
        )
    except OSError as error:
        raise ServiceError(
            f"embedded database: {command[0]} cannot be started: {error.strerror or error}"
        ) from error
    finally:
        os.close(log)
    return Server(pid, process_start(pid), port, auth)


def wait_until_it_listens(server: Server) -> bool:
    """Whether a server that was started accepts connections, now or soon; False when it ends before."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.lives():
        if listens(server):
            return True
        time.sleep(_POLL_S)
    return False


def listens(server: Server) -> bool:
    """Whether its port accepts connections and is its own, not that of another program."""
    if not accepts(server.port):
        return False
    try:
        open_ports = psutil.Process(server.pid).net_connections("tcp")
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == server.port for c in open_ports)


def stop_server(server: Server) -> None:
    """End a server; when it returns the process is gone.

    What was acknowledged is on the disk, so a server that does not end when asked to is killed without loss.
    """
    asked = due = time.monotonic()
    with suppress(ProcessLookupError):
        while server.lives() and time.monotonic() < asked + 2 * _STOP_S:
            # It waits in accept(2) and sees a request only when somebody connects, or after 2 s. While it
            # still accepts it has not begun to stop: a request in its first instants may pass it by.
            accepting = accepts(server.port)
            if time.monotonic() > asked + _STOP_S:
                os.kill(server.pid, signal.SIGKILL)
            elif time.monotonic() >= due and (accepting or due == asked):
                os.kill(server.pid, signal.SIGTERM)
                due = time.monotonic() + _REPEAT_S
            time.sleep(_POLL_S)


def find_strays(places: Places) -> list[Server]:
    """Servers on the data of this home, found by their command lines.

    One stays unnoted when its starter was killed between starting it and noting it.
    """
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        with suppress(ValueError, IndexError):
            if words[words.index("--storage-path") + 1] == str(places.data):
                port = int(words[words.index("--port") + 1])
                server = Server(process.pid, process_start(process.pid), port, "--auth" in words)
                found += [server] if server.start else []
    return found
