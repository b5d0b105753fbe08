"""What is installed: the wheel's content, the pins, and syncd without its extras."""

from __future__ import annotations

import re
import shutil
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


def built(kind: str, directory: Path, source: Path = ROOT, umask: int = 0o022) -> Path:
    """Build the wheel or the sdist of a checkout."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(directory)]
    subprocess.run(build, cwd=source, check=True, capture_output=True, umask=umask)
    (package,) = directory.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return package


@pytest.mark.packages
def test_the_wheel_holds_syncd_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(built("wheel", tmp_path)) as archive:
        names = set(archive.namelist())
        (entry,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "syncd = syncd.__main__:main" in archive.read(entry).decode()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "syncd").rglob("*.py")}
    units = {f"syncd/units/{path.name}" for path in (ROOT / "systemd").iterdir()}
    pages = {f"syncd/pages/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    pages.add("syncd/pages/SECURITY.md")
    inside = {name for name in names if ".dist-info/" not in name}
    prepared = {"syncd/prepared/commands.json", "syncd/prepared/help.json"}
    schemas = {"syncd/cli/schemas/v1.json", *prepared}
    lexicons = {"syncd/lexicons/bundle.json", "syncd/lexicons/LICENSE-atproto.txt"}
    assert inside == {*modules, *units, *pages, *lexicons, *schemas, "syncd/py.typed"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.packages
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_package_has_the_same_bytes_wherever_and_whenever_it_is_built(
    kind: str, tmp_path: Path
) -> None:
    """Another directory, other times of the files, and another umask make no difference."""
    copy = tmp_path / "elsewhere"
    leave_out = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "build")
    shutil.copytree(ROOT, copy, ignore=leave_out, copy_function=shutil.copy)
    packages = [
        built(kind, tmp_path / f"built-{umask}", source, umask)
        for source, umask in ((ROOT, 0o022), (copy, 0o077))
    ]
    assert packages[0].name == packages[1].name
    assert packages[0].read_bytes() == packages[1].read_bytes()


@pytest.mark.packages
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_package_can_be_installed_and_run_away_from_the_checkout(
    kind: str, tmp_path: Path
) -> None:
    package = built(kind, tmp_path)
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


def test_the_newest_version_of_the_changelog_is_this_one_and_begins_with_what_to_do() -> None:
    (newest, first), *_ = re.findall(
        r"^## (\S+) - .*\n\n### (.*)$", read("CHANGELOG.md"), re.MULTILINE
    )
    assert (newest, first) == (__version__, "Before you upgrade")
