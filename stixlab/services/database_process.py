"""Program that becomes the embedded database: ``python -m stixlab.services.database_process HOME``."""

from __future__ import annotations

import sys
from pathlib import Path

from stixlab.errors import ConflictError, ServiceError
from stixlab.services.database import serve

__all__ = ["main"]


def main() -> int:
    """Become the server; come back only if that fails."""
    try:
        serve(Path(sys.argv[1]))
    except (ServiceError, ConflictError) as error:
        sys.stderr.write(f"{error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
