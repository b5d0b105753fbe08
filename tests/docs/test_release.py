"""The release workflow: what its first job refuses, who may do what, and what is built last."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from syncd import __version__
from tests.docs.test_packaging import built
from tests.programs import OF_PACKAGES, missing

from .markdown import ROOT, read
from .test_readme import recipe

WORKFLOW = read(".github/workflows/release.yml")
JOBS = YAML(typ="safe").load(WORKFLOW)["jobs"]
HOME = "https://git.example.com/someone/syncd"
WRITES = ("contents", "packages", "id-token", "attestations")


def steps(job: str) -> list[str]:
    """Return what the job runs in a shell, step by step."""
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def shell(
    script: str, at: Path, *path: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a step as a runner does, with nothing in its environment but what is given."""
    where = ":".join([*map(str, path), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=at, env={"PATH": where, "HOME": str(at), **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("home", "tag", "code"),
    [("", f"v{__version__}", 1), (HOME, "v0", 1), (HOME, f"v{__version__}", 0)],
)
def test_a_release_needs_an_address_and_the_tag_of_its_version(
    home: str, tag: str, code: int, tmp_path: Path
) -> None:
    (gate,) = steps("gate")
    project = read("pyproject.toml")
    assert 'home = ""' in project
    (tmp_path / "pyproject.toml").write_text(project.replace('home = ""', f'home = "{home}"'))
    (tmp_path / "syncd").mkdir()
    (tmp_path / "syncd/__init__.py").write_text((ROOT / "syncd/__init__.py").read_text())
    done = shell(gate, tmp_path, Path(sys.executable).parent, GITHUB_REF_NAME=tag)
    assert done.returncode == code, done.stderr


def test_each_job_waits_for_the_one_that_may_refuse() -> None:
    names = list(JOBS)
    assert names == ["gate", "try", "build", "publish"]
    assert [JOBS[name]["needs"] for name in names[1:]] == names[:-1]


def test_only_the_jobs_that_attest_and_publish_may_write_anything() -> None:
    may = {
        name: sorted(what for what in WRITES if job["permissions"].get(what) == "write")
        for name, job in JOBS.items()
    }
    assert may == {
        "gate": [],
        "try": [],
        "build": ["attestations", "id-token"],
        "publish": ["id-token"],
    }


def test_each_action_is_one_commit_beside_which_its_version_is_written() -> None:
    used = {step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step}
    assert len({action.partition("@")[0] for action in used}) == len(used)
    written = re.findall(r"uses: (\S+@[0-9a-f]{40})  # v\d+\.\d+\.\d+$", WORKFLOW, re.MULTILINE)
    assert set(written) == used
    assert len(written) == WORKFLOW.count("uses: ")


def test_no_checkout_leaves_its_token_to_the_steps_after_it() -> None:
    checkouts = [
        step["with"]
        for job in JOBS.values()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert checkouts == [{"persist-credentials": False}] * 3


def test_the_packages_are_tried_as_root_on_a_debian_that_may_mount() -> None:
    """The runner itself is no Debian, and its user is not root."""
    assert JOBS["try"]["container"] == {"image": "debian:12", "options": "--privileged"}
    *_, last = steps("try")
    assert last == "make packages"
    assert any("-m tests.programs packages" in line for line in recipe("packages"))


def test_a_program_is_installed_for_what_runs_it() -> None:
    words = set(re.findall(r"[\w-]+", read("tests/docs/test_debian.py") + read("release/deb.py")))
    assert [name for name in OF_PACKAGES if name not in words] == []


@pytest.mark.packages
def test_apt_knows_each_package_that_a_job_installs() -> None:
    (line,) = [step for step in steps("try") if "apt-get" in step]
    named = line.partition("--no-install-recommends")[2].split()
    names = [*named, *OF_PACKAGES.values()]
    done = subprocess.run(
        ["apt-get", "install", "--simulate", "--no-install-recommends", *names],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert missing(OF_PACKAGES) == []


@pytest.mark.packages
def test_the_last_steps_build_the_packages_that_were_tried(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    skipped = shutil.ignore_patterns(".venv*", ".git", "*_cache", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, checkout, ignore=skipped)
    venv.create(tmp_path / "python", with_pip=True)
    for step in steps("build"):
        done = shell(step, checkout, tmp_path / "python/bin")
        assert done.returncode == 0, done.stderr
    made = {file.name: file.read_bytes() for file in (checkout / "dist").iterdir()}
    for kind in ("wheel", "sdist"):
        (tmp_path / kind).mkdir()
    tried = [built(kind, tmp_path / kind) for kind in ("wheel", "sdist")]
    assert made == {file.name: file.read_bytes() for file in tried}
