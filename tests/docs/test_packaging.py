"""What is installed: the wheel's content, the pins, and syncd without its extras."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tomli
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from syncd import __version__

from .markdown import ROOT, read

PROJECT = tomli.loads(read("pyproject.toml"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
REQUIREMENTS = [
    Requirement(text)
    for text in (
        *PROJECT["build-system"]["requires"],
        *PROJECT["project"]["dependencies"],
        *(text for extra in EXTRAS.values() for text in extra),
    )
    if not text.startswith("syncd[")
]
CHECKERS = {"mypy", "ruff"}
"""Tools that `make lowest` does not run."""


def pins(name: str) -> dict[str, Version]:
    lines = [line for line in read(name).splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(line.split("==")[0]): Version(line.split("==")[1]) for line in lines}


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    assert pins("constraints.txt")[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_the_lowest_bound_is_the_one_that_is_tested(requirement: Requirement) -> None:
    if requirement.name in CHECKERS:
        return
    lowest = pins("constraints-lowest.txt")[canonicalize_name(requirement.name)]
    bounds = {spec.version for spec in requirement.specifier if spec.operator in (">=", "==")}
    assert bounds
    assert all(lowest.release[: len(Version(b).release)] == Version(b).release for b in bounds)


@pytest.mark.packages
def test_the_wheel_holds_syncd_and_nothing_else(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "syncd = syncd.cli:main" in archive.read(entry).decode()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "syncd").rglob("*.py")}
    units = {f"syncd/units/{path.name}" for path in (ROOT / "systemd").iterdir()}
    pages = {f"syncd/pages/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    pages.add("syncd/pages/SECURITY.md")
    inside = {name for name in names if ".dist-info/" not in name}
    schemas = {"syncd/cli/schemas/v1.json"}
    lexicons = {"syncd/lexicons/bundle.json", "syncd/lexicons/LICENSE-atproto.txt"}
    assert inside == {*modules, *units, *pages, *lexicons, *schemas, "syncd/py.typed"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.packages
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_package_can_be_installed_and_run_away_from_the_checkout(
    kind: str, tmp_path: Path
) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (package,) = (path for path in tmp_path.iterdir() if path.suffix in (".whl", ".gz"))
    place = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation"]
    subprocess.run([*pip, "--no-deps", "--target", str(place), str(package)], check=True)
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "import syncd.cli; print(syncd.__file__); syncd.cli.main()",
            "--help",
        ],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert Path(done.stdout.splitlines()[0]).is_relative_to(place), done
    assert "resolve" in done.stdout


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_without_the_extra_the_sandbox_says_so_in_one_sentence(
    command: str, tmp_path: Path
) -> None:
    start = (
        "import sys; sys.modules.update(starlette=None, uvicorn=None); "
        f"sys.argv = ['syncd', '{command}']; from syncd.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", start],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert re.fullmatch(
        r"syncd: [^\n]+\n  next: in a checkout of syncd: pip install [^\n]+\n", done.stderr
    )
    assert not done.stdout


def test_the_version_is_in_the_changelog() -> None:

    assert re.search(rf"^## \[?{re.escape(__version__)}\b", read("CHANGELOG.md"), re.MULTILINE)
