"""The embedded database of a home: one server, found by all processes, ended by the last of them.

Its data lie under ``home/mongo``. Three users with random passwords stand for the three kinds of access;
strangers are refused, and that readers cannot write is seen to by the server. Each process that uses the
server holds a shared lock on one file; the one that leaves last ends the server. The server of `stixlab up`
holds that lock itself and so is ended by nobody but `stixlab up`.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

from stixlab.catalog.connect import DATABASE, connect_database
from stixlab.catalog.users import KEEPER, ROLES, ensure_keeper, ensure_users
from stixlab.catalog.workers import process_start
from stixlab.errors import ServiceError, SettingsError, StixlabError
from stixlab.services.credentials import Credentials, read_or_make_credentials, write_private
from stixlab.services.database_server import (
    Places,
    Server,
    choose_port,
    find_strays,
    listens,
    read_note,
    server_command,
    start_server,
    stop_server,
    wait_until_it_listens,
    write_note,
)
from stixlab.services.locks import FileLock, exclusive, write_problem
from stixlab.services.parts import Part
from stixlab.settings import Settings

__all__ = ["DatabaseHandle", "EmbeddedDatabase", "database_part", "open_database", "serve"]

log = logging.getLogger(__name__)

_LOCK_S = 90.0
_CLOSE_S = 15.0
_CHECK_MS = 10_000


class DatabaseHandle:
    """Where the database is. To be closed; closing a server of one's own choice does nothing.

    Parameters
    ----------
    uri
        URI for a kind of access.
    address
        ``host:port`` or a URI without its login; for people.
    embedded
        Whether it is the embedded server.
    """

    def __init__(
        self, uri: Callable[[str], str], address: str, *, embedded: bool, close: Callable[[], None]
    ) -> None:
        self._uri = uri
        self._close = close
        self.address = address
        self.embedded = embedded

    def __repr__(self) -> str:
        return f"DatabaseHandle({self.address!r}, embedded={self.embedded})"

    def uri(self, access: str) -> str:
        """URI with the login of ``public``, ``team`` or ``operator``; holds a password."""
        return self._uri(access)

    def close(self) -> None:
        """Let go; the last process that used the embedded server ends it."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_database(settings: Settings) -> DatabaseHandle:
    """The database of the settings, its embedded server started if need be.

    Raises
    ------
    ServiceError
        If the embedded server is not installed, cannot start or write.
    """
    written = settings.mongo_uri.get_secret_value()
    read_only = settings.mongo_read_uri.get_secret_value()
    if written or read_only:
        address = (
            (written or read_only)
            .rpartition("@")[2]
            .removeprefix("mongodb://")
            .removeprefix("mongodb+srv://")
        )

        def uri(access: str) -> str:
            found = written if access == "operator" else read_only
            if not found:
                name = "STIXLAB_MONGO_URI" if access == "operator" else "STIXLAB_MONGO_READ_URI"
                raise SettingsError(
                    f"database at {address}: expected {name} for {access} access; it is not set; give the URI of a user with "
                    f"the role {'readWrite' if access == 'operator' else 'read'} on the database"
                )
            return found

        return DatabaseHandle(uri, address, embedded=False, close=lambda: None)
    database = EmbeddedDatabase(settings.home)
    port = database.ensure()
    return DatabaseHandle(database.uri, f"127.0.0.1:{port}", embedded=True, close=database.close)


class EmbeddedDatabase:
    """The embedded server of a home, as one of its users sees it.

    Parameters
    ----------
    home
        Folder of the installation.
    """

    def __init__(self, home: Path) -> None:
        self.places = Places(home)
        self._held: FileLock | None = None
        self._server: Server | None = None
        self._credentials: Credentials | None = None

    def ensure(self) -> int:
        """Find or start the server, and keep it from being ended until `close`.

        Returns
        -------
        int
            Its port on 127.0.0.1.

        Raises
        ------
        ServiceError
            If it is not installed, does not come up, or the home cannot be written.
        """
        if self._held is not None and self._server is not None and self._server.lives():
            return self._server.port
        held = self._held or FileLock(self.places.clients)
        try:
            with exclusive(self.places.lock, timeout_s=_LOCK_S, doing="starting or stopping the database"):
                # Taken alone only by those who hold the lock above, so this does not wait.
                held.acquire(shared=True, timeout_s=1.0)
                self._credentials = read_or_make_credentials(self.places.credentials)
                self._server = self._running(held) or _start(self.places, self._credentials)
        except BaseException:
            held.close()
            self._held = None
            raise
        if self._held is None:
            self._held = held
            atexit.register(self.close)
        return self._server.port

    def uri(self, access: str) -> str:
        """URI with the login of ``public``, ``team`` or ``operator``.

        Raises
        ------
        SettingsError
            If there is no such access.
        ServiceError
            Before `ensure`.
        """
        if access not in ROLES:
            raise SettingsError(f"access: expected one of {', '.join(ROLES)}; found {access!r}")
        if self._server is None or self._credentials is None:
            raise ServiceError("embedded database: has no address before it is started; call ensure() first")
        return self._credentials.uri(access, self._server.port, DATABASE)

    def close(self) -> None:
        """Let go of the server; it is ended if nobody else uses it. Also safe twice; never raises."""
        held, self._held = self._held, None
        if held is None:
            return
        atexit.unregister(self.close)
        try:
            with exclusive(self.places.lock, timeout_s=_CLOSE_S, doing="starting or stopping the database"):
                server = read_note(self.places)
                if held.acquire() and server is not None:
                    stop_server(server)
        except (StixlabError, OSError) as error:
            log.warning("embedded database not ended", extra={"error": str(error)})
        finally:
            held.close()

    def _running(self, held: FileLock) -> Server | None:
        server = read_note(self.places)
        if server is None or not server.lives() or not server.auth:
            return None
        if is_ready(self.places) and wait_until_it_listens(server):
            return server
        if held.acquire():  # nobody else uses it
            held.acquire(shared=True)
            return None
        raise ServiceError(
            f"embedded database: process {server.pid} does not answer on 127.0.0.1:{server.port} or has other users than "
            f"{self.places.credentials} says; end it (`stixlab down`, or kill {server.pid}), the next command starts it anew"
        )


def is_ready(places: Places) -> bool:
    """Whether the users within the data were made from the credentials that there are."""
    try:
        return bool(places.ready.read_text() == _readiness(places))
    except OSError:
        return False


def _readiness(places: Places) -> str:
    """What changes when the logins or the data are replaced."""
    folder = places.data.stat()
    logins = hashlib.sha256(places.credentials.read_bytes()).hexdigest()
    return json.dumps({"logins": logins, "data": [folder.st_dev, folder.st_ino], "roles": dict(ROLES)})


def _start(places: Places, credentials: Credentials) -> Server:
    """Start the server, its users made first if need be. The caller holds the lock."""
    ready = is_ready(places)
    for stray in find_strays(places):
        if ready and stray.auth and listens(stray):
            write_note(places, stray)
            return stray
        stop_server(stray)
    if not ready:
        return _start_anew(places, credentials)
    return start_server(places, auth=True)


def _start_anew(places: Places, credentials: Credentials) -> Server:
    """Make the users, through a server that asks nobody who they are, and start the one that does.

    Killed at any moment it can be done again: nothing counts as made until the note at the end says so.
    """
    try:
        places.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise write_problem(places.data, error) from error
    server = start_server(places, auth=False)
    try:
        ensure_keeper(
            f"mongodb://127.0.0.1:{server.port}/?directConnection=true", credentials.passwords[KEEPER]
        )
    finally:
        stop_server(server)
    server = start_server(places, auth=True)
    try:
        ensure_users(credentials.uri(KEEPER, server.port, "admin"), credentials.passwords)
        connect_database(
            credentials.uri("operator", server.port, DATABASE), selection_ms=_CHECK_MS
        ).client.close()
        write_private(places.ready, _readiness(places))
    except BaseException:
        stop_server(server)
        raise
    return server


def serve(home: Path) -> None:
    """Become the server of a home: this process is replaced by it.

    A server that another process had started is ended; its users find this one on the same port.

    Raises
    ------
    ServiceError
        If it is not installed or cannot start or write.
    """
    places = Places(home)
    held = FileLock(places.clients, inheritable=True)
    with exclusive(places.lock, timeout_s=_LOCK_S, doing="starting or stopping the database"):
        held.acquire(shared=True, timeout_s=1.0)
        credentials = read_or_make_credentials(places.credentials)
        last = read_note(places)
        if not is_ready(places):
            stop_server(_start(places, credentials))
        for other in [*([last] if last and last.lives() else []), *find_strays(places)]:
            stop_server(other)
        port = choose_port(last.port if last else 0)
        command, environment = server_command(places, port, auth=True)
        write_note(places, Server(os.getpid(), process_start(os.getpid()), port, supervised=True))
        # The lock on the start ends here, the one of the clients stays with the server.
        os.execve(command[0], command, environment)  # noqa: S606  (no shell is wanted)


def database_part(home: Path) -> Part:
    """The server as a part of `stixlab up`."""
    places = Places(home)

    def ready() -> bool:
        server = read_note(places)
        return server is not None and server.supervised and server.lives() and listens(server)

    command = (sys.executable, "-m", "stixlab.services.database_process", str(home))
    return Part(
        "database", command, env=dict(os.environ), ready=ready, ready_timeout_s=60.0, stop_timeout_s=8.0
    )
