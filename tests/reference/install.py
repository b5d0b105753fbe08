"""Install the pinned reference PDS into the cache, once per lock file and Node version."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.installed import main
from tests.npm import build_sqlite, ensure_packages


def ensure_installed() -> Path:
    """Return the directory with a working `node_modules`, made first if need be (minutes, once).

    Raises:
        InstallError: Nothing usable was left behind; the next call starts from nothing.
    """
    return ensure_packages("reference", Path(__file__).parent, build=build_sqlite)


if __name__ == "__main__":
    sys.exit(main(ensure_installed))
