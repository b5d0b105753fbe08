"""What a command that only looks imports: each module that it does without is time for everybody.

Names and no times, so that no load of the machine can fail it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from syncd.atproto.syntax import Did
from syncd.folder.root import initialise
from syncd.state import create_state

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
SCRIPT = (
    "import sys; from syncd.cli import cli\n"
    "try: code = cli(sys.argv[1:], standalone_mode=False)\n"
    "except Exception as error: code = repr(error)\n"
    "print(repr(code), *sys.modules)"
)
HELP = frozenset({"syncd.cli", "syncd.errors", "syncd.trouble", "syncd.values", "syncd.waiting"})
"""The parts that `--help` may load."""
TAB = frozenset(
    {"syncd.__main__", "syncd.prepared", "syncd.prepared.known", "syncd.prepared.offer"}
    | {"syncd.prepared.pages", "syncd.prepared.tab", "syncd.prepared.typed", "syncd.folder"}
    | {"syncd.folder.top", "syncd.folder.top.nearest", "syncd.state", "syncd.state.peek"}
)
"""The modules of syncd that every Tab may load. One that offers some kind of name may load more."""
NAMES = frozenset({"syncd.atproto", "syncd.atproto.nsid"})
"""What tells whether a directory is a collection."""
TABS: dict[str, frozenset[str]] = {
    "syncd stat": frozenset(),
    "syncd log com": frozenset(),
    "syncd resolve com": frozenset(),
    "syncd diff --js": frozenset(),
    "syncd sync --format git": frozenset(),
    "syncd blob get com": frozenset(),
    "syncd blob ls --j": frozenset(),
    "syncd help tut": frozenset(),
    "syncd new com": NAMES,
    "syncd publish com": frozenset(),
    "syncd lexicon show app": NAMES
    | {"syncd.lexicons", "syncd.lexicons.bundle", "syncd.values", "syncd.values.classes"}
    | {"syncd.atproto.syntax", "syncd.errors"},
    "syncd logout did": frozenset(
        {"syncd.errors", "syncd.private", "syncd.private.directory", "syncd.trouble"}
    ),
}
"""What is typed -> the modules that its Tab may load beside TAB."""
NEVER_BY_STATUS = frozenset(
    {"syncd.atproto.lexicon.document", "syncd.atproto.lexicon.catalog", "syncd.atproto.xrpc"}
    | {"syncd.atproto.lexicon.checks", "syncd.cycle.lexicons.library"}
    | {"syncd.forms.markdown_form", "syncd.forms.frontmatter", "syncd.forms.by_line"}
    | {"syncd.mirror.every", "syncd.prepared.offer", "syncd.pds", "syncd.identity"}
    | {"syncd.merge", "asyncio", "cryptography", "difflib", "email", "httpx", "pathspec", "regex"}
    | {"rich", "ruamel"}
)
"""What `status` has no use for in a mirror without a daemon."""


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror in which nothing has happened yet."""
    root = tmp_path / "mirror"
    (root / "com.example.note").mkdir(parents=True)
    initialise(root, "m")
    (root / "syncd.toml").write_text(f'[mirror]\ndid = "{DID}"\n', encoding="utf-8")
    create_state(root / ".syncd" / "state.db", did=DID, marker="m").close()
    return root


def loaded_by(place: Path, *words: str) -> tuple[str, frozenset[str]]:
    """Run a command in a process of its own; return how it ended and what it had imported."""
    environ = {"HOME": str(place), "PATH": "", "XDG_STATE_HOME": str(place / "state")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=place,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    code, *names = done.stdout.splitlines()[-1].split(" ")
    return code, frozenset(names) - {"httpx._main"}  # kept out, by an entry that says so


def loaded_by_tab(place: Path, typed: str) -> frozenset[str]:
    """Press Tab after `typed` in a process of its own; return what that had imported."""
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    return loaded(place, (), _SYNCD_COMPLETE="bash_complete", **words)


def loaded(place: Path, words: Sequence[str], **more: str) -> frozenset[str]:
    """Run `syncd` in a process of its own; return what that had imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "syncd", *words],
        cwd=place,
        env={"HOME": str(place), "PATH": "", **more},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.rsplit("|", 1) for line in done.stderr.splitlines() if "|" in line)
    return frozenset(line[-1].strip() for line in lines)


def below(names: frozenset[str], parts: frozenset[str]) -> set[str]:
    """Return those of `names` that are one of `parts` or in one."""
    return {name for name in names if any(f"{name}.".startswith(f"{part}.") for part in parts)}


def test_help_loads_neither_the_folder_nor_the_state_nor_what_tab_offers(tmp_path: Path) -> None:
    code, names = loaded_by(tmp_path, "--help")
    ours = {name for name in names if name.startswith("syncd.")}
    assert code == "0"
    assert ours - below(names, HELP) == set()
    assert not below(names, NEVER_BY_STATUS)


@pytest.mark.parametrize("typed", TABS)
def test_tab_loads_no_command_and_no_more_than_the_names_that_it_offers(
    mirror: Path, typed: str
) -> None:
    names = loaded_by_tab(mirror, typed)
    ours = {name for name in names if name.partition(".")[0] == "syncd"}
    assert "syncd.prepared.known" in ours
    assert ours - TAB - TABS[typed] == {"syncd"}
    assert not below(names, frozenset({"click", "rich", "asyncio", "difflib", "httpx"}))


@pytest.mark.parametrize("typed", ["--help", "sync --help", "lexicon check -h", "help status"])
def test_the_help_of_a_command_loads_neither_the_command_nor_click(
    tmp_path: Path, typed: str
) -> None:
    names = loaded(tmp_path, typed.split())
    ours = {name for name in names if name.partition(".")[0] == "syncd"}
    assert ours == {"syncd", "syncd.prepared", "syncd.prepared.help"}
    assert "click" not in names


def test_status_loads_nothing_that_it_does_not_show(mirror: Path) -> None:
    code, names = loaded_by(mirror, "status")
    assert code == "0"
    assert "syncd.mirror.standing" in names
    assert below(names, NEVER_BY_STATUS) == set()


def test_status_loads_what_markdown_needs_where_a_setting_asks_for_it(mirror: Path) -> None:
    with (mirror / "syncd.toml").open("a", encoding="utf-8") as settings:
        settings.write('[files]\nmarkdown = { "com.example.note" = "text" }\n')
    _, names = loaded_by(mirror, "status")
    assert "syncd.forms.markdown_form" in names


def test_sync_loads_neither_a_curve_nor_what_publishes_a_branch(tmp_path: Path) -> None:
    code = "import sys, syncd.cli.commands.sync; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    parts = frozenset({"cryptography", "multiformats", "syncd.mirror.branch.publication"})
    assert below(frozenset(done.stdout.split()), parts) == set()
