"""A connection to a MongoDB server, and what its errors mean for people."""

from __future__ import annotations

import re
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from stixlab.catalog.documents import Document
from stixlab.errors import AccessError, CatalogError, SettingsError, StixlabError

__all__ = ["DATABASE", "catalog_error", "connect_database", "mask_uri"]

DATABASE = "stixlab"
"""Name of the database if the URI names none."""

_SELECTION_MS = 5_000
"""How long a server may be away (a restart of the embedded one takes about 1 s) before it is an error."""
_CONNECT_MS = 5_000
_ANSWER_MS = 60_000
_UNAUTHORIZED, _BAD_LOGIN = 13, 18


def mask_uri(uri: str) -> str:
    """A URI, or a text with URIs in it, without the names and passwords."""
    return re.sub(r"(mongodb(?:\+srv)?://)[^/@\s]*@", r"\1***@", uri)


def connect_database(uri: str, *, selection_ms: int = _SELECTION_MS) -> Database[Document]:
    """The database a URI names, after a first answer from its server.

    Parameters
    ----------
    uri
        ``mongodb://user:password@host:port/database``; without a database: ``stixlab``.
    selection_ms
        How long to wait for a server, milliseconds.

    Raises
    ------
    SettingsError
        If the URI cannot be read.
    CatalogError
        If nothing answers or the login is refused; the message has the address, never the password.
    """
    try:
        client: MongoClient[Document] = MongoClient(
            uri,
            tz_aware=True,
            appname="stixlab",
            serverSelectionTimeoutMS=selection_ms,
            connectTimeoutMS=min(selection_ms, _CONNECT_MS),
            socketTimeoutMS=_ANSWER_MS,
            maxPoolSize=8,
        )
    except (PyMongoError, ValueError, TypeError) as error:
        raise SettingsError(
            f"database URI: expected mongodb://user:password@host:port/database; found {mask_uri(uri)}: {mask_uri(str(error))}"
        ) from None
    try:
        try:
            database = client.get_default_database(DATABASE)
        except ConfigurationError:
            database = client[DATABASE]
        database.command("ping")
        database["meta"].find_one({"_id": "indexes"})
    except PyMongoError as error:
        told = catalog_error(error, client, "connect")
        client.close()
        raise told from None
    return database


def catalog_error(error: PyMongoError, client: MongoClient[Any], tried: str) -> StixlabError:
    """What a pymongo error means: who was asked, what was tried, what to do.

    Returns
    -------
    AccessError
        If the database user may not do it.
    CatalogError
        For everything else.
    """
    where = _address(client)
    facts = mask_uri(str(error)).split(", full error", maxsplit=1)[0].split(", Timeout:", maxsplit=1)[0]
    code = error.code if isinstance(error, OperationFailure) else None
    if code == _UNAUTHORIZED:
        return AccessError(
            f"database at {where}: this user may not {tried}: {facts}; an operator's process may",
            address=where,
        )
    if code == _BAD_LOGIN or "authentication failed" in facts.lower():
        return CatalogError(
            f"database at {where}: refuses the login ({tried}); check the user and password in STIXLAB_MONGO_URI, "
            "or `stixlab doctor` for the embedded server",
            address=where,
        )
    if "no space" in facts.lower():
        return CatalogError(
            f"database at {where}: its disk is full ({tried}): {facts}; free some and try again",
            address=where,
        )
    if isinstance(error, OperationFailure):
        return CatalogError(f"database at {where}: {tried} failed: {facts}", address=where)
    return CatalogError(
        f"database at {where}: no answer ({tried}): {facts}; is it running? "
        "`stixlab status` shows the embedded server, STIXLAB_MONGO_URI names any other",
        address=where,
    )


def _address(client: MongoClient[Any]) -> str:
    seeds = client.topology_description.server_descriptions()
    return ",".join(f"{host}:{port}" for host, port in sorted((h, p or 27017) for h, p in seeds))
