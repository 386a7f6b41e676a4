"""A log for machines: one JSON object a line."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

from stixlab.catalog.connect import mask_uri

__all__ = ["JsonLines", "log_as_json"]

_USUAL = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Time, level, event and the facts that were given with it; logins in addresses are masked."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "part": record.name,
            "pid": os.getpid(),
        }
        line |= {k: v for k, v in record.__dict__.items() if k not in _USUAL and k not in line}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return mask_uri(json.dumps(line, default=str, ensure_ascii=False))


def log_as_json() -> None:
    """Let this process tell on stderr what happens, in place of lines for people."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("stixlab").setLevel(logging.INFO)
