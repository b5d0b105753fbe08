"""What a command that only looks imports: each module that it does without is time for everybody.

Names and no times, so that no load of the machine can fail it.
"""

from __future__ import annotations

import subprocess
import sys
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
HELP = frozenset(
    {"syncd.atproto", "syncd.cli", "syncd.errors", "syncd.mirror.notices", "syncd.model"}
    | {"syncd.trouble", "syncd.typedjson", "syncd.values", "syncd.waiting"}
)
"""The parts that `--help` may load."""
NEVER_BY_STATUS = frozenset(
    {"syncd.atproto.lexicon.document", "syncd.atproto.lexicon.catalog", "syncd.atproto.xrpc"}
    | {"syncd.atproto.lexicon.checks", "syncd.cycle.lexicons.library"}
    | {"syncd.forms.markdown_form", "syncd.forms.frontmatter", "syncd.forms.by_line"}
    | {"syncd.mirror.every", "syncd.cli.arguments.offer", "syncd.pds", "syncd.identity"}
    | {"asyncio", "cryptography", "email", "httpx", "pathspec", "regex", "rich", "ruamel"}
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


def below(names: frozenset[str], parts: frozenset[str]) -> set[str]:
    """Return those of `names` that are one of `parts` or in one."""
    return {name for name in names if any(f"{name}.".startswith(f"{part}.") for part in parts)}


def test_help_loads_neither_the_folder_nor_the_state_nor_what_tab_offers(tmp_path: Path) -> None:
    code, names = loaded_by(tmp_path, "--help")
    ours = {name for name in names if name.startswith("syncd.")}
    assert code == "0"
    assert ours - below(names, HELP) - {"syncd.mirror"} == set()
    assert not below(names, NEVER_BY_STATUS)


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
