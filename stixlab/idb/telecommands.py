"""Definitions of telecommands, read from a mission database: none are shipped.

Telemetry is defined in `stixlab.idb.definitions`. Commands are wanted seldom and by those who hold a
database; without one, what the reports of the control system say of their parameters has to do.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from stixlab.errors import FormatError
from stixlab.files import TEMPORARY
from stixlab.idb.versions import Era

__all__ = [
    "Command",
    "CommandDefinitions",
    "CommandField",
    "CommandParameter",
    "import_commands",
    "in_force_first",
    "load_commands",
    "read_commands",
]

_TABLES = "telecommands.json"
"""File of the commands in a folder of our own tables."""
_CLOCK_ZERO = datetime(2000, 1, 1, tzinfo=UTC)
"""UTC at which the on-board clock would have begun to count."""
_SIGNED, _OCTETS, _CHARACTERS = 4, 7, 8
"""Parameter type codes (PTC) of ECSS-E-70-41A that are no unsigned numbers."""


@dataclass(frozen=True, slots=True)
class CommandParameter:
    """One parameter of commands."""

    name: str
    kind: str
    """``unsigned``, ``signed`` or ``octets``."""
    words: str
    """Name of the table of words for its values; empty if it has none."""
    title: str
    unit: str


@dataclass(frozen=True, slots=True)
class CommandField:
    """One parameter, or a fixed area, at its place in a command; fields follow each other without gaps."""

    parameter: str
    """Empty for a fixed area."""
    width_bits: int
    group_size: int
    """How many of the following fields repeat as often as this one says; 0 if it is no counter."""
    value: int
    """What a fixed area holds; 0 for a parameter."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what stands between its header and its checksum."""

    name: str
    service: int
    subtype: int
    apid: int
    acknowledge: int
    """Which of its verification reports are asked for: bit 0 acceptance, bit 3 completion."""
    title: str
    fields: tuple[CommandField, ...]


@dataclass(frozen=True, eq=False)
class CommandDefinitions:
    """All commands of one version of the flight database."""

    version: str
    commands: Mapping[str, Command]
    """By name."""
    parameters: Mapping[str, CommandParameter]
    words: Mapping[str, Mapping[int, str]]
    """By table: word of each raw value."""

    @cached_property
    def kinds(self) -> Mapping[tuple[int, int], tuple[Command, ...]]:
        """Commands of each service and subtype, in the order of their names."""
        kinds: dict[tuple[int, int], list[Command]] = defaultdict(list)
        for command in sorted(self.commands.values(), key=lambda c: c.name):
            kinds[command.service, command.subtype].append(command)
        return {kind: tuple(commands) for kind, commands in kinds.items()}


def load_commands(folder: Path | None = None, imported: Path | None = None) -> tuple[CommandDefinitions, ...]:
    """Commands of every mission database at hand, oldest version first; none if there is no database.

    Parameters
    ----------
    folder
        Holds mission databases (SQLite), or folders of tables in our own form (setting ``STIXLAB_IDB``);
        comes first.
    imported
        Folder of what `stixlab.idb.import_database` made.

    Raises
    ------
    FormatError
        If a database is damaged.
    """
    found: dict[str, CommandDefinitions] = {}
    for place in (imported, folder):
        for path in _places(place) if place is not None and place.is_dir() else []:
            definitions = _read(path, path.stat().st_mtime_ns)
            found[definitions.version] = definitions
    return tuple(found[v] for v in sorted(found, key=_order))


def in_force_first(
    definitions: Sequence[CommandDefinitions], time: datetime | None, eras: Sequence[Era]
) -> list[CommandDefinitions]:
    """The same versions: the one in force at a time first (or the next older one), then from new to old.

    Parameters
    ----------
    definitions
        Oldest first, as `load_commands` gives them.
    time
        UTC; None if it is not known.
    eras
        From `stixlab.idb.load_versions`.
    """
    newest_first = list(reversed(definitions))
    if time is None:
        return newest_first
    # the on-board clock differs from UTC by less than the hours for which a command is prepared
    scet = (time - _CLOCK_ZERO).total_seconds()
    version = next((e.idb_version for e in reversed(eras) if e.start_scet <= scet), "")
    usable = [d for d in newest_first if _order(d.version) <= _order(version)]
    best = usable[0] if usable else newest_first[-1] if newest_first else None
    return [d for d in newest_first if d is best] + [d for d in newest_first if d is not best]


def _places(folder: Path) -> list[Path]:
    """Databases and tables in a folder and in the folders in it."""
    databases = [p for p in sorted(folder.iterdir()) if p.suffix in {".sqlite", ".sqlite3", ".db"}]
    tables = [p for p in sorted(folder.glob(f"*/{_TABLES}")) if not p.parent.name.startswith(TEMPORARY)]
    return [*tables, *folder.glob(_TABLES), *databases]


@lru_cache(maxsize=16)
def _read(path: Path, _changed_ns: int) -> CommandDefinitions:
    return _read_tables(path) if path.name == _TABLES else read_commands(path)


def import_commands(database: Path, folder: Path) -> None:
    """Write the commands of a mission database to a folder of our own tables, for `load_commands`.

    Nothing is written of a database without telecommands.

    Raises
    ------
    FormatError
        As `read_commands`.
    """
    definitions = read_commands(database)
    if not definitions.commands:
        return
    content = {
        "version": definitions.version,
        "commands": [asdict(c) for c in definitions.commands.values()],
        "parameters": [asdict(p) for p in definitions.parameters.values()],
        "words": {
            table: [[n, word] for n, word in words.items()] for table, words in definitions.words.items()
        },
    }
    (folder / _TABLES).write_text(json.dumps(content, indent=1), encoding="utf-8")


def _read_tables(path: Path) -> CommandDefinitions:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        commands = [
            Command(**{**each, "fields": tuple(CommandField(**f) for f in each["fields"])})
            for each in content["commands"]
        ]
        parameters = [CommandParameter(**each) for each in content["parameters"]]
        words = {table: dict(map(tuple, pairs)) for table, pairs in content["words"].items()}
        return CommandDefinitions(
            content["version"], {c.name: c for c in commands}, {p.name: p for p in parameters}, words
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FormatError(
            f"definitions of telecommands {path}: expected what `stixlab idb import` wrote; found {error!r}; "
            "import the database again",
            path=path,
        ) from error


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in version.split(".") if n.isdigit())


def read_commands(path: Path) -> CommandDefinitions:
    """Commands of a mission database (SQLite, tables of SCOS-2000); none of a database without telecommands.

    Raises
    ------
    FormatError
        If the file is no such database, or a command in it cannot be laid out.
    """
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            return _definitions(path, database)
    except sqlite3.Error as error:
        raise FormatError(
            f"mission database {path}: expected the tables of SCOS-2000 with telecommands (CCF, CDF, CPC, PAS); "
            f"found: {error}",
            path=path,
        ) from error
    except (ValueError, TypeError, IndexError) as error:
        raise FormatError(
            f"mission database {path}: expected numbers where numbers belong; found {error}", path=path
        ) from error


def _definitions(path: Path, database: sqlite3.Connection) -> CommandDefinitions:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return database.execute(query).fetchall()

    version = str(rows("SELECT version FROM IDB")[0][0])
    if not rows("SELECT 1 FROM sqlite_master WHERE name = 'CCF'"):
        return CommandDefinitions(version, {}, {}, {})
    words: dict[str, dict[int, str]] = defaultdict(dict)
    for table, word, value in rows("SELECT PAS_NUMBR, PAS_ALTXT, PAS_ALVAL FROM PAS"):
        words[table][int(value)] = str(word)
    parameters = {
        name: CommandParameter(name, _kind(int(ptc)), table or "", title or "", unit or "")
        for name, ptc, table, title, unit in rows(
            "SELECT CPC_PNAME, CPC_PTC, CPC_PAFREF, CPC_DESCR, CPC_UNIT FROM CPC"
        )
    }
    fields: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows(
        "SELECT CDF_CNAME, CDF_BIT, CDF_ELLEN, CDF_GRPSIZE, CDF_PNAME, CDF_VALUE, CDF_ELTYPE FROM CDF "
        "ORDER BY CDF_CNAME, CAST(CDF_BIT AS INTEGER), rowid"
    ):
        fields[row[0]].append(row[1:])
    commands = {
        name: Command(
            name,
            int(service),
            int(subtype),
            int(apid or 0),
            int(acknowledge or 0),
            title or "",
            _fields(f"mission database {path}, command {name}", fields[name], parameters),
        )
        for name, service, subtype, apid, acknowledge, title in rows(
            "SELECT CCF_CNAME, CCF_TYPE, CCF_STYPE, CCF_APID, CCF_ACK, CCF_DESCR FROM CCF "
            "WHERE CCF_TYPE IS NOT NULL AND CCF_STYPE IS NOT NULL"
        )
    }
    return CommandDefinitions(version, commands, parameters, dict(words))


def _kind(ptc: int) -> str:
    return "signed" if ptc == _SIGNED else "octets" if ptc in {_OCTETS, _CHARACTERS} else "unsigned"


def _fields(
    where: str, rows: Sequence[tuple[Any, ...]], parameters: Mapping[str, CommandParameter]
) -> tuple[CommandField, ...]:
    """Fields of a command, checked: each begins where the one before ends, counting groups once."""
    fields: list[CommandField] = []
    end = 0
    ends_of_groups: list[int] = []
    for number, (bit, width, group, name, value, kind) in enumerate(rows):
        if int(bit) != end or int(width) < 1:
            raise FormatError(f"{where}: expected a field at bit {end}; found one of {width} bits at {bit}")
        end += int(width)
        size = int(group or 0)
        ends_of_groups = [e for e in ends_of_groups if e > number]
        if size and number + 1 + size > min([len(rows), *ends_of_groups]):
            raise FormatError(
                f"{where}: its group {name} should end within what is around it; it ends behind it"
            )
        ends_of_groups += [number + 1 + size] if size else []
        if kind == "A":
            # fixed areas are written in hexadecimal digits (SCOS-2000 database import ICD)
            fields.append(CommandField("", int(width), 0, int(value or "0", 16)))
        elif name in parameters:
            fields.append(CommandField(name, int(width), size, 0))
        else:
            raise FormatError(f"{where}: parameter {name} is not defined")
    return tuple(fields)
