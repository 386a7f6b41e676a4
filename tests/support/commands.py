"""Definitions of commands that exist in no database, small enough to be read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

COMMANDS = [
    ("ZTX00001", 200, 1, "No parameters"),
    ("ZTX00002", 200, 2, "One of each kind"),
    ("ZTX00003", 200, 3, "Groups within groups"),
    ("ZTX00401", 200, 4, "First of two"),
    ("ZTX00402", 200, 4, "Second of two"),
]
FIELDS = [
    ("ZTX00002", "E", 3, 0, 0, "PTX00001", None),
    ("ZTX00002", "A", 5, 3, 0, None, "1F"),
    ("ZTX00002", "E", 8, 8, 0, "PTX00002", None),
    ("ZTX00002", "E", 24, 16, 0, "PTX00003", None),
    ("ZTX00002", "E", 48, 40, 0, "PTX00004", None),
    ("ZTX00003", "E", 8, 0, 3, "PTX00005", None),
    ("ZTX00003", "E", 4, 8, 0, "PTX00006", None),
    ("ZTX00003", "E", 4, 12, 1, "PTX00007", None),
    ("ZTX00003", "E", 16, 16, 0, "PTX00008", None),
    ("ZTX00003", "E", 8, 32, 0, "PTX00009", None),
    ("ZTX00401", "A", 8, 0, 0, None, "1"),
    ("ZTX00401", "E", 8, 8, 0, "PTX00005", None),
    ("ZTX00402", "A", 8, 0, 0, None, "B"),
    ("ZTX00402", "E", 8, 8, 0, "PTX00009", None),
]
PARAMETERS = [
    ("PTX00001", 2, 3, "CTX1", "A word"),
    ("PTX00002", 4, 4, None, "A signed number"),
    ("PTX00003", 7, 3, None, "Octets"),
    ("PTX00004", 9, 17, None, "A time"),
    ("PTX00005", 3, 4, None, "How many pairs"),
    ("PTX00006", 3, 0, None, "Left of a pair"),
    ("PTX00007", 3, 0, None, "How many in a pair"),
    ("PTX00008", 3, 12, None, "In a pair"),
    ("PTX00009", 3, 4, None, "Behind all"),
]
WORDS = [("CTX1", "Off", "0"), ("CTX1", "On", "1"), ("CTX1", "Perhaps", "7")]


def write_database(path: Path, *, version: str = "2.26.99", fields: list[tuple] = FIELDS) -> Path:
    """A database with nothing but commands, its numbers as texts as in the real ones."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE IDB (version)")
        db.execute("CREATE TABLE CCF (CCF_CNAME, CCF_TYPE, CCF_STYPE, CCF_DESCR, CCF_APID, CCF_ACK)")
        db.execute(
            "CREATE TABLE CDF (CDF_CNAME, CDF_ELTYPE, CDF_ELLEN, CDF_BIT, CDF_GRPSIZE, CDF_PNAME, CDF_VALUE)"
        )
        db.execute("CREATE TABLE CPC (CPC_PNAME, CPC_PTC, CPC_PFC, CPC_PAFREF, CPC_DESCR, CPC_UNIT)")
        db.execute("CREATE TABLE PAS (PAS_NUMBR, PAS_ALTXT, PAS_ALVAL)")
        db.execute("INSERT INTO IDB VALUES (?)", (version,))
        db.executemany("INSERT INTO CCF VALUES (?, ?, ?, ?, '1452', '9')", COMMANDS)
        db.executemany("INSERT INTO CDF VALUES (?, ?, ?, ?, ?, ?, ?)", reversed(fields))
        db.executemany("INSERT INTO CPC VALUES (?, ?, ?, ?, ?, NULL)", PARAMETERS)
        db.executemany("INSERT INTO PAS VALUES (?, ?, ?)", WORDS)
    return path
