"""docs/git.md and examples/git, run as they stand."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.config import SETTINGS
from syncd.git.indexlock import LOCK_SECONDS
from syncd.git.repository import STALE_SECONDS
from syncd.sandbox import Refuse
from tests.docs.markdown import ROOT, console_lines, read
from tests.rigs.terminal import HANDLE, Terminal, open_terminal
from tests.test_examples import run

DOCUMENT = read("docs/git.md")
EXAMPLES = ROOT / "examples" / "git"
NOTE = "com.example.note/hello"
LOGIN = "com.atproto.server.createSession"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as found:
        yield found


def test_every_command_of_the_page_works_in_order(terminal: Terminal) -> None:
    terminal.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE}")
    folder = terminal.home / HANDLE
    (folder / "com.example.note").mkdir()
    for text in ("older", "newer"):
        (folder / f"{NOTE}.json").write_text(f'{{"text": "{text}"}}', encoding="utf-8")
        terminal.ok("syncd sync", at=folder)
    lines = console_lines(DOCUMENT)
    assert [line for line in lines if "…" in line] == [f"syncd restore {NOTE} --cid …kzzvfu"]
    found = terminal.ok(f"syncd log {NOTE}", at=folder)
    ending = re.findall(r"…(\w{10})", found)[0]
    out = terminal.ok(*(line.replace("…kzzvfu", ending) for line in lines))
    assert "committed " in out
    for trailer in ("Atproto-Repo", "Atproto-Rev", "Atproto-Commit", "Atproto-Tree"):
        assert f"{trailer}: " in out
        assert f"{trailer}: " in DOCUMENT
    assert re.search(r"-P -m syncd git show$", out, re.MULTILINE)
    assert "committed to git" in out
    assert f"restored {NOTE}" in out
    assert "is now a mirror of did:plc:" in out
    assert "\nnothing to do; head" in out
    assert out.endswith("::notice title=syncd::nothing to do\n")


def test_the_numbers_and_settings_of_the_page_are_those_of_the_code() -> None:
    assert STALE_SECONDS == 120
    assert "older than two minutes" in DOCUMENT
    names = {setting.name for setting in SETTINGS}
    assert set(re.findall(r"`(\[\w+\] \w+)`", DOCUMENT)) <= names
    assert LOCK_SECONDS > 0


def test_the_example_publishes_a_pull_request_from_fresh_clones(tmp_path: Path) -> None:
    ran = run("bash", EXAMPLES / "publish.sh", home=tmp_path)
    assert ran.code == 0, ran.err
    first, preview, second, third, refs = ran.out.split("\n$ ")[1:]
    assert "2 pushed; " in first
    assert "| deletion | `com.example.page/news` | `deleted in git` |" in preview
    assert "2 pushed, 1 deleted; " in second
    assert third.endswith("nothing to do\n")
    found = {row.split("\t")[1]: row.split("\t")[0] for row in refs.splitlines()[1:]}
    assert found["refs/syncd/published"] == found["refs/heads/main"]
    assert not list((tmp_path / "tmp").iterdir())


def script_of(workflow: str) -> list[str]:
    """The shell lines of a workflow, but those that fetch an image's packages."""
    text = (EXAMPLES / workflow).read_text(encoding="utf-8")
    if workflow == "gitlab.yml":
        lines = re.findall(r"^    - (.*)$", text.rpartition("  script:\n")[2], re.MULTILINE)
    else:
        lines = text.rpartition("run: |\n")[2].partition("      #")[0].splitlines()
    skipped = ("pip ", "apt-get ", "python3 -m venv", "git remote set-url")
    return [line.strip() for line in lines if not line.strip().startswith(skipped)]


@pytest.mark.parametrize("workflow", ["github.yml", "forgejo.yml", "gitlab.yml"])
def test_a_workflow_fails_in_its_first_step_until_it_says_where_syncd_comes_from(
    workflow: str,
) -> None:
    """A name of a package index would be anybody's who registers it, and gets the password."""
    rows = _rows(workflow)
    named = {row.split("#")[0].strip() for row in rows if "SYNCD_SOURCE:" in row}
    assert named == {'SYNCD_SOURCE: ""'}
    steps = [row.removeprefix("    - ").strip() for row in rows if row.strip()]
    shell = [row for row in steps if "SYNCD_SOURCE" in row or row.startswith(("pip", "syncd"))]
    (check,) = {row for row in shell if row.startswith("case ")}
    begin = "script:" if workflow == "gitlab.yml" else "steps:"
    begins = [number for number, row in enumerate(steps) if row == begin]
    checks = [number for number, row in enumerate(steps) if row == check]
    assert len(begins) == len(checks) == 2
    assert all(at - start in (1, 3) for start, at in zip(begins, checks, strict=True))
    for source, code in (("", 1), ("syncd", 1), ("syncd[keyring]", 1), ("git+https://h/o/s", 0)):
        done = subprocess.run(["sh", "-c", check], env={"SYNCD_SOURCE": source}, check=False)
        assert done.returncode == code
    assert {row for row in shell if row.startswith("pip")} == {'pip install "$SYNCD_SOURCE"'}


def test_nothing_installs_syncd_by_a_name_that_nobody_has_registered() -> None:
    pages = [ROOT / "README.md"]
    for directory in ("docs", "examples", "systemd", "syncd"):
        pages += [path for path in (ROOT / directory).rglob("*") if path.is_file()]
    named = re.compile(r"""(pip|pipx|uv|uvx|uv tool)\s+(install|run)?\s*['"]?syncd\b""")
    texts = {page: page.read_bytes().decode("utf-8", "replace") for page in pages}
    assert [str(page) for page, text in texts.items() if named.search(text)] == []


CLONES = {
    "github.yml": "git clone --quiet --filter=blob:none",
    "forgejo.yml": "git clone --quiet --depth=1",
    "gitlab.yml": "git clone --quiet",
}
"""What a workflow is run from: a blobless clone, a shallow one, and a full one."""


@pytest.mark.parametrize("workflow", CLONES)
def test_a_workflow_s_script_publishes_and_does_nothing_the_second_time(
    workflow: str, terminal: Terminal
) -> None:
    home, did = terminal.home, terminal.login.did
    terminal.ok(
        "git init --quiet --initial-branch main site",
        "cd site",
        f'printf \'[mirror]\\ndid = "{did}"\\nmode = "publish"\\n\' >syncd.toml',
        "mkdir com.example.note",
        f'echo \'{{"text": "hi"}}\' >{NOTE}.json',
        "git add --all",
        "git commit --quiet --message 'A note'",
        "git clone --quiet --bare . ../site.git",
        "git -C ../site.git config uploadpack.allowFilter true",
    )
    lines = script_of(workflow)
    assert [line for line in lines if line.startswith("syncd")] == ["syncd sync || code=$?"]
    plc = f"export SYNCD_PLC_URL={terminal.url}"
    preview = "git clone --quiet site.git preview", "cd preview", plc, *preview_of(workflow)
    summary = home / "summary"
    summary.touch()
    shown = terminal.ok(f"export GITHUB_STEP_SUMMARY={summary}", *preview)
    assert "| creation | `com.example.note/hello` |" in shown + summary.read_text(encoding="utf-8")
    assert not (home / "preview" / ".syncd").exists()
    detached = ["git checkout --quiet --detach"] if workflow == "gitlab.yml" else []
    outs = []
    for name in ("first", "second", "third"):
        if name == "third":
            # A session is in the cache by now: this job needs no login.
            terminal.host.faults.add(Refuse(429, "RateLimitExceeded", "no login"), LOGIN, times=9)
            terminal.ok("git clone --quiet site.git edits", *edit_and_push(home / "edits"))
        outs.append(
            terminal.ok(
                f"{CLONES[workflow]} file://{home}/site.git {name}",
                f"cd {name}",
                plc,
                f"export SESSION={home}/cache XDG_STATE_HOME={home}/state-of-{name}",
                *detached,
                "export SYNCD_SOURCE=git+https://example.com/syncd",
                f'export SYNCD_PASSWORD="$(cat {home}/app-password)" CI_COMMIT_BRANCH=main',
                *lines,
            )
        )
    assert "1 pushed" in outs[0]
    assert outs[1].rstrip().splitlines()[-1] == "nothing to do"
    assert "1 pushed" in outs[2]
    assert did.encode() not in (home / "cache").read_bytes()
    assert set(terminal.host.repo(did).state.records) == {NOTE}
    subjects = terminal.ok("git -C site.git log --format=%s main").splitlines()
    assert subjects == ["An edit", "A note"]
    refs = terminal.ok("git -C site.git rev-parse main refs/syncd/published").split()
    assert len(set(refs)) == 1


def preview_of(workflow: str) -> list[str]:
    """The lines of the job of a pull request that run syncd, and what they end with."""
    rows = [row.strip().removeprefix("- ") for row in _rows(workflow)]
    preview = rows[: rows.index("publish:")]
    return [row for row in preview if row.startswith(("syncd sync --dry-run", "code=", "exit "))]


@pytest.mark.parametrize("workflow", CLONES)
def test_a_preview_of_what_cannot_be_published_is_shown_whole_and_fails(
    workflow: str, terminal: Terminal
) -> None:
    settings = f'[mirror]\ndid = "{terminal.login.did}"\nmode = "publish"\n'
    (terminal.home / "settings").write_text(settings, encoding="utf-8")
    ran = terminal.run(
        "git init --quiet --initial-branch main site",
        "cd site",
        "cp ../settings syncd.toml",
        "mkdir com.example.note",
        f"echo '{{' >{NOTE}.json",
        "git add --all",
        "git commit --quiet --message 'No record'",
        "git clone --quiet --bare . ../site.git",
        f"git clone --quiet file://{terminal.home}/site.git ../preview",
        "cd ../preview",
        f"export SYNCD_PLC_URL={terminal.url} GITHUB_STEP_SUMMARY={terminal.home}/summary",
        *preview_of(workflow),
    )
    summary = terminal.home / "summary"
    shown = ran.out + (summary.read_text(encoding="utf-8") if summary.exists() else "")
    assert (ran.code, f"| problem | `{NOTE}` |" in shown) == (3, True)
    assert (f"::error file={NOTE}.json,line=2," in shown) == (workflow == "github.yml")


def edit_and_push(clone: Path) -> tuple[str, ...]:
    """Edit the record as a colleague does who has only git."""
    return (
        f"cd {clone}",
        "git switch --quiet main",
        f'echo \'{{"text": "ho"}}\' >{NOTE}.json',
        "git commit --quiet --all --message 'An edit'",
        "git push --quiet origin main",
    )


def _rows(workflow: str) -> list[str]:
    return (EXAMPLES / workflow).read_text(encoding="utf-8").splitlines()
