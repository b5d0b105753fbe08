"""Install PDSes of other makes and ages from npm, each once per lock file: for `make peers-pds`.

Both bring a program of their own that is compiled or unpacked; nothing else of theirs runs here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.installed import main, run
from tests.npm import NODE, build_sqlite, ensure_packages, environment

HERE = Path(__file__).parent
RIG = "rig.ts"
PROJECT = ("astro.config.mjs", "wrangler.jsonc", RIG)


def ensure_older() -> Path:
    """Return the directory with `node_modules` of an older reference PDS. Raises InstallError."""
    return ensure_packages("older", HERE / "older", build=build_sqlite)


def ensure_alteran() -> Path:
    """Return the directory of a project that was built, as its README says. Raises InstallError."""
    files = ("package.json", "package-lock.json", *PROJECT)
    options = ("--legacy-peer-deps",)
    return ensure_packages(
        "alteran", HERE / "alteran", files=files, options=options, build=build_alteran
    )


def build_alteran(directory: Path) -> None:
    pages = directory / "src" / "pages"
    pages.mkdir(parents=True)
    (directory / RIG).rename(pages / RIG)
    run(
        "building it",
        [str(NODE), "node_modules/astro/bin/astro.mjs", "build"],
        directory,
        "Its log is above.",
        {**environment(), **QUIET},
    )


QUIET = {"ASTRO_TELEMETRY_DISABLED": "1", "WRANGLER_SEND_METRICS": "false", "CI": "1"}


def ensure_installed() -> Path:
    """Install both. Raises InstallError."""
    ensure_older()
    return ensure_alteran().parent


if __name__ == "__main__":
    sys.exit(main(ensure_installed))
