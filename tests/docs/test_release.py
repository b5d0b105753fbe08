"""The release workflow: what its first job refuses, and in which order the jobs run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from syncd import __version__

from .markdown import ROOT, read

JOBS = YAML(typ="safe").load(read(".github/workflows/release.yml"))["jobs"]
HOME = "https://git.example.com/someone/syncd"


@pytest.mark.parametrize(
    ("home", "tag", "code"),
    [("", f"v{__version__}", 1), (HOME, "v0", 1), (HOME, f"v{__version__}", 0)],
)
def test_a_release_needs_an_address_and_the_tag_of_its_version(
    home: str, tag: str, code: int, tmp_path: Path
) -> None:
    (gate,) = [step["run"] for step in JOBS["gate"]["steps"] if "run" in step]
    project = read("pyproject.toml")
    assert 'home = ""' in project
    (tmp_path / "pyproject.toml").write_text(project.replace('home = ""', f'home = "{home}"'))
    (tmp_path / "syncd").mkdir()
    (tmp_path / "syncd/__init__.py").write_text((ROOT / "syncd/__init__.py").read_text())
    environment = {"GITHUB_REF_NAME": tag, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-eu", "-c", gate], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert done.returncode == code, done.stderr


def test_each_job_waits_for_the_one_that_may_refuse() -> None:
    assert JOBS["build"]["needs"] == "gate"
    assert JOBS["publish"]["needs"] == "build"
    assert "id-token" not in JOBS["gate"]["permissions"]
