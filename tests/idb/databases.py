"""A small mission database, with the slips that real copies have."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_TABLES = {
    "PIC": "PIC_TYPE PIC_STYPE PIC_PI1_OFF PIC_PI1_WID",
    "PID": "PID_TYPE PID_STYPE PID_PI1_VAL PID_SPID PID_APID PID_TPSD PID_DESCR",
    "PLF": "PLF_SPID PLF_OFFBY PLF_OFFBI PLF_NAME",
    "VPD": "VPD_TPSD VPD_POS VPD_NAME VPD_OFFSET VPD_GRPSIZE",
    "PCF": "PCF_NAME PCF_WIDTH PCF_PTC PCF_UNIT PCF_CURTX PCF_DESCR",
    "CAP": "CAP_NUMBR CAP_XVALS CAP_YVALS",
    "MCF": "MCF_IDENT MCF_POL1 MCF_POL2 MCF_POL3 MCF_POL4 MCF_POL5",
    "TXP": "TXP_NUMBR TXP_FROM TXP_TO TXP_ALTXT",
    "IDB": "version",
}
"""Tables and their columns, all without a type: copies hold numbers as text and as numbers."""

ROWS: dict[str, list[tuple[object, ...]]] = {
    "PIC": [(21, 6, 16, "8"), (21, 6, "-1", 0), (3, 25, 16, 8), (17, 2, -1, 0), (1, 8, 20, 16)],
    "PID": [
        (21, 6, 41, 54124, 1500, 54124, "Calibration words of theirs"),
        (3, 25, 1, 54101, 1444, -1, "Housekeeping words of theirs"),
        (17, 2, 0, 54330, 1447, -1, "Answer words of theirs"),
        (1, 8, 48455, 54345, 1441, -1, None),
        (21, 6, 77, 60000, 1468, 60000, "A kind that\n# only they have"),
    ],
    "PLF": [
        (54101, 16, 0, "NIXD0168"),
        (54101, 16, 6, "XSTATE"),
        (54101, 17, 0, "XSECONDS"),
        (54345, 16, 0, "NIX00002"),
        (54345, 18, 0, "NIX00001"),
        (54345, 20, 0, "NIX00003"),
    ],
    "VPD": [
        (54124, "1", "NIX00120", "0", "0"),
        (54124, "10", "NIX00158", None, None),
        (54124, "9", "NIX00146", "0", "1"),
        (54124, "2", "NIX00123", "0", "0"),
        (60000, 1, "XWIDTHLESS", 0, 0),
    ],
    "PCF": [
        ("NIX00120", "8", "2", None, None, "Theirs"),
        ("NIX00146", 16, 3, None, None, "Theirs"),
        ("NIX00158", 8, 3, None, None, "Theirs"),
        ("NIX00123", None, 3, "S", "CIX1", "Theirs"),
        ("NIXD0168", 3, 2, None, None, "Theirs"),
        ("NIX00001", 16, 3, None, None, "Theirs"),
        ("NIX00002", 16, 3, None, None, "Theirs"),
        ("NIX00003", 16, 3, None, None, "Theirs"),
        ("ZZPAD024", None, 3, None, None, "Theirs"),
        ("XSTATE", 2, 2, None, "CIXT1", "Only theirs"),
        ("XSECONDS", 8, 4, "S", "CIXP1", "Only theirs"),
        ("XWIDTHLESS", None, 3, None, None, "Only theirs"),
        ("XVOLT", 8, 3, "V", None, None),
    ],
    "CAP": [("CIXP1", "100", "10"), ("CIXP1", "9", "1"), ("CIXP1", "20", "2")],
    "MCF": [("CIX1", "0", "0.1", None, None, None)],
    "TXP": [("CIXT1", "10", "255", "Many"), ("CIXT1", "2", "9", "Some"), ("CIXT1", "0", "1", "Few")],
}


def make_database(path: Path, version: str | None = "2.26.36") -> Path:
    """Write the database; None for one without the table that names the version."""
    with closing(sqlite3.connect(path)) as database:
        for table, columns in _TABLES.items():
            if table == "IDB" and version is None:
                continue
            names = columns.split()
            database.execute(f"CREATE TABLE {table} ({', '.join(names)})")
            rows = [(version,)] if table == "IDB" else ROWS[table]
            marks = ", ".join("?" * len(names))
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        database.commit()
    return path
