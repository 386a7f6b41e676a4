"""Users of a database server that is ours alone: who they are and what they may do."""

from __future__ import annotations

from collections.abc import Mapping

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from stixlab.catalog.connect import DATABASE, catalog_error
from stixlab.catalog.documents import Document

__all__ = ["KEEPER", "ROLES", "ensure_keeper", "ensure_users"]

KEEPER = "keeper"
"""The user that looks after the others; nothing else is done with it."""

ROLES: Mapping[str, str] = {"public": "read", "team": "read", "operator": "dbOwner"}
"""Role of each user on the database `DATABASE`, and none on any other."""

_TIMEOUT_MS = 10_000


def ensure_keeper(uri: str, password: str) -> None:
    """Make the keeper, or give it this password, on a server that asks nobody who they are.

    Raises
    ------
    CatalogError
        If the server does not answer or refuses.
    """
    _ensure(uri, "admin", {KEEPER: ("root", "admin", password)})


def ensure_users(uri: str, passwords: Mapping[str, str]) -> None:
    """Make the users of `ROLES` with these passwords, and delete every other user.

    Parameters
    ----------
    uri
        With the keeper's login.
    passwords
        By user.

    Raises
    ------
    CatalogError
        If the server does not answer or refuses.
    """
    _ensure(uri, DATABASE, {name: (role, DATABASE, passwords[name]) for name, role in ROLES.items()})
    _ensure(uri, "admin", {KEEPER: ("root", "admin", passwords[KEEPER])})


def _ensure(uri: str, database_name: str, wanted: Mapping[str, tuple[str, str, str]]) -> None:
    """Make the users of one database exactly those that are wanted."""
    client: MongoClient[Document] = MongoClient(uri, serverSelectionTimeoutMS=_TIMEOUT_MS)
    database = client[database_name]
    try:
        there = {user["user"] for user in database.command("usersInfo")["users"]}
        for name, (role, where, password) in wanted.items():
            verb = "updateUser" if name in there else "createUser"
            database.command(verb, name, pwd=password, roles=[{"role": role, "db": where}])
        for stranger in there - set(wanted):
            database.command("dropUser", stranger)
    except PyMongoError as error:
        raise catalog_error(error, client, "set up users") from None
    finally:
        client.close()
