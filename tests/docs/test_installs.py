"""The ways to install a wheel: pip with hashes, pipx and uv; and what a package says of itself."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from release.metadata import addresses, outside
from tests.docs.test_packaging import EXTRAS, PROJECT, built, pins
from tests.ran import output_of

from .markdown import ROOT, read

TOOLS = ROOT / ".venv-release/bin"
"""The environment that `make packages` makes of release/tools.txt."""
HOME = "https://git.example.com/someone/syncd"
TWO_SENTENCES = "Save a file in any editor and it is\na commit; a like from your phone is a file."


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


def tool(name: str) -> Path:
    """Return a program of TOOLS; fail with the command that makes them where they are missing."""
    if not (TOOLS / name).exists():
        pytest.fail(f"{name} is not installed: run `make .venv-release/.made` first")
    return TOOLS / name


def ran(*command: str | Path, at: Path, **more: str) -> str:
    kept = ("PATH", "PIP_CERT", "PIP_DEFAULT_TIMEOUT", "SSL_CERT_FILE")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return output_of(command, {**environment, "HOME": str(at), **more}, at=at)


def test_the_locked_versions_are_the_pinned_ones() -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", read("release/locked.txt"), re.MULTILINE))
    assert locked
    pinned = {name: str(version) for name, version in pins("constraints.txt").items()}
    here = {name: version for name, version in locked.items() if name in pinned}
    assert here == {name: pinned[name] for name in here}


def test_each_locked_file_has_a_hash() -> None:
    text = re.sub(r"^#.*\n", "", read("release/locked.txt"), flags=re.MULTILINE)
    parts = re.split(r"(?<!\\)\n", text.strip())
    assert [part for part in parts if "--hash=sha256:" not in part] == []


def test_without_an_address_the_readme_names_no_file_of_the_repository() -> None:
    shown = outside(read("README.md"), "", "v1")
    assert TWO_SENTENCES in shown
    prose = re.sub(r"^```.*?^```$", "", shown, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"\]\((?!https?:|#)|<(?:img|picture|source)|!\[", prose) == []


def test_with_an_address_each_picture_and_link_is_absolute_and_leads_to_a_file() -> None:
    shown = outside(read("README.md"), HOME, "v1")
    pictures = re.findall(rf"!\[[^]]*\]\({HOME}/raw/v1/([^)]+)\)", shown)
    links = re.findall(rf"\]\({HOME}/blob/v1/([^)#]+)", shown)
    assert len(pictures) >= 4
    assert links
    assert [path for path in (*pictures, *links) if not (ROOT / path).exists()] == []
    assert re.findall(r"\]\((?!https?:|#)|<(?:img|picture|source)", shown) == []


def test_the_address_of_the_project_stands_in_one_place() -> None:
    home = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]["home"]
    assert all(url.startswith(home) for url in addresses(home).values())
    assert "urls" not in PROJECT["project"]
    assert addresses("") == {}


@pytest.mark.packages
def test_twine_finds_no_fault_in_wheel_and_sdist(wheel: Path, tmp_path: Path) -> None:
    sdist = built("sdist", tmp_path)
    said = ran(tool("twine"), "check", "--strict", wheel, sdist, at=tmp_path, NO_COLOR="1")
    assert said.count("PASSED") == 2


@pytest.mark.packages
def test_pip_installs_it_with_a_hash_for_each_file_and_the_demo_runs(
    wheel: Path, tmp_path: Path
) -> None:
    ran(sys.executable, "-m", "venv", tmp_path / "env", at=tmp_path)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(f"{read('release/locked.txt')}\n{wheel} --hash=sha256:{sha256}\n")
    pip = (tmp_path / "env/bin/pip", "install", "-q", "--only-binary", ":all:", "--require-hashes")
    ran(*pip, "-r", wanted, at=tmp_path)
    assert "3 records agree" in ran(tmp_path / "env/bin/syncd", "demo", "--once", at=tmp_path)


@pytest.mark.packages
def test_pip_refuses_a_wheel_with_another_hash(wheel: Path, tmp_path: Path) -> None:
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(f"{wheel} --hash=sha256:{'0' * 64}\n")
    pip = (sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--require-hashes")
    done = subprocess.run([*pip, "-r", wanted], capture_output=True, text=True, check=False)
    assert done.returncode != 0


@pytest.mark.packages
@pytest.mark.parametrize("program", ["pipx", "uv"])
def test_a_tool_installer_installs_the_wheel_and_the_demo_runs(
    program: str, wheel: Path, tmp_path: Path
) -> None:
    assert EXTRAS["sandbox"]
    with_sandbox = f"syncd[sandbox] @ {wheel.as_uri()}"
    environment = {
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_DEFAULT_PYTHON": sys.executable,
        "UV_TOOL_DIR": str(tmp_path / "uv"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_PYTHON": sys.executable,
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
    }
    install = ("install",) if program == "pipx" else ("tool", "install")
    ran(tool(program), *install, with_sandbox, at=tmp_path, **environment)
    assert "3 records agree" in ran(tmp_path / "bin/syncd", "demo", "--once", at=tmp_path)
