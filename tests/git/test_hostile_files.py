"""Files that an attacker commits, in what a pull request shows and a runner's log takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.terminal import Terminal, open_terminal

NAMES = (
    *("##[add-mask]x", "::error::x", "a|b`c`|d", "<script>alert(1)<", "a\nb\n::error::c"),
    *("@someone", "%0A::error::x", "\x1b[31m", "\u202eabc", "x" * 200),
)
EVIL = "|`<script>::set-output name=a::b\n::error::x @me ##[set-output name=a]b " + "y" * 200_000
POSTS: dict[str, dict[str, object]] = {
    "3jzfcijpj2z2a": {"text": EVIL, "createdAt": EVIL, "langs": [EVIL], "reply": EVIL, EVIL: 1},
    "3jzfcijpj2z2b": {"$type": EVIL, "text": EVIL},
    "3jzfcijpj2z2c": {"text": {"$type": "blob", "$file": "##[error]x|`\n::error::y"}},
    "3jzfcijpj2z2d": {"embed": {"$type": "##[error]x"}, "text": "##[error]x"},
}
COMMAND = re.compile(r"\s*::|.*##(vso)?\[")
OURS = re.compile(
    r"::(error|notice|warning) (file=[^,:]+,)?(line=\d+,)?(col=\d+,)?title=syncd(%3A \w+)?::"
)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as found:
        yield found


def commit(terminal: Terminal) -> Path:
    """A clone of a repository of such files."""
    notes, posts = (terminal.home / "site" / c for c in ("com.example.note", "app.bsky.feed.post"))
    for directory in (notes, posts):
        directory.mkdir(parents=True)
    for name in NAMES:
        (notes / f"{name}.json").write_text('{"text": "hi"}', encoding="utf-8")
    (notes / "big.json").write_text(json.dumps({EVIL[:1000]: EVIL}), encoding="utf-8")
    (notes / "broken.json").write_text("::error::x ##[error]y", encoding="utf-8")
    for rkey, fields in POSTS.items():
        text = json.dumps({"$type": "app.bsky.feed.post", **fields})
        (posts / f"{rkey}.json").write_text(text, encoding="utf-8")
    settings = f'[mirror]\ndid = "{terminal.login.did}"\nmode = "publish"\n'
    (terminal.home / "site" / "syncd.toml").write_text(settings, encoding="utf-8")
    terminal.ok(
        "cd site",
        "git init --quiet --initial-branch main",
        "git add --all",
        "git commit --quiet --message Hostile",
        "git clone --quiet --bare . ../site.git",
        "git clone --quiet ../site.git ../job",
    )
    return terminal.home / "job"


def files_of(home: Path) -> dict[Path, tuple[int, bytes]]:
    files = (file for file in home.rglob("*") if file.is_file())
    return {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def test_no_file_puts_a_command_or_markup_into_what_a_runner_shows(terminal: Terminal) -> None:
    job = commit(terminal)
    before, rev = files_of(terminal.home), terminal.host.repo(terminal.login.did).head
    runner = f"export GITHUB_ACTIONS=true SYNCD_PLC_URL={terminal.url}"
    shown = {}
    for how in ("", "--json", "--format=markdown", "--format=github"):
        ran = terminal.run(runner, f"syncd sync --dry-run {how}", at=job)
        assert (ran.code, len(ran.out) < 60_000) == (3, True)
        shown[how] = ran.out.splitlines()
    for how in ("", "--json", "--format=markdown"):
        assert [line for line in shown[how] if COMMAND.match(line)] == []
    assert [line for line in shown["--format=github"] if not OURS.match(line)] == []
    rows = [line for line in shown["--format=markdown"] if line.startswith("| ")][1:]
    assert len(rows) == len(NAMES) + len(POSTS) + 2
    for row in rows:
        assert re.fullmatch(r"\| \w+ \| `[^`]+` \| `[^`]+` \|", row)
    # A dry run leaves no trace: neither here, nor at the PDS.
    assert files_of(terminal.home) == before
    assert terminal.host.repo(terminal.login.did).head == rev
    ran = terminal.run(
        f'{runner} SYNCD_PASSWORD="$(cat {terminal.home}/app-password)"', "syncd sync", at=job
    )
    assert (ran.code, "pushed    com.example.note/big" in ran.out) == (3, True)
    assert [line for line in ran.out.splitlines() if COMMAND.match(line)] == []
