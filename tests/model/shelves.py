"""The random schedules again, with people who use git beside syncd: stash, `apply -3`, rebase.

What git does to the files is an act of the person who called it. Files that it leaves unmerged are
neither pushed nor pulled, and the index stays as it was left, until the person has told git.
Nothing is pushed in the middle of a rebase or a cherry-pick.
`python -m tests.model.shelves COUNT SEED` plays schedules again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from syncd.model import RecordPath
from tests.rigs.staged import SAME, Desk

from .machine import NAMES, PATHS, TALLY, Machine
from .play import play_schedules

GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "gc.auto=0")
OURS = "*.draft.json\n*.txt\nsub/\n*.swp\n"
"""What git is not to touch: where a file is no record, other acts have their own diary."""

UNFINISHED = ("rebase-merge", "rebase-apply", "CHERRY_PICK_HEAD", "REVERT_HEAD", "MERGE_HEAD")
"""What git keeps below `.git` while an operation of several steps waits for the person."""
PATCH = ".git/patch"

names = st.sampled_from(NAMES)


def git(root: Path, *words: str) -> str:
    """Run git as a person would, whatever it thinks of that; return what it printed."""
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = [*GIT, *words]
    done = subprocess.run(
        command, cwd=root, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    return done.stdout


class Shelves(Machine):
    """Machines with a git repository each; `index` is what each person left unmerged in it."""

    def __init__(self) -> None:
        super().__init__()
        self.index: dict[str, str] = {}

    def left_unmerged(self, desk: Desk) -> str:
        return git(desk.root, "ls-files", "--unmerged") if self.has_git(desk) else ""

    def has_git(self, desk: Desk) -> bool:
        return (desk.root / ".git").exists()

    def by_git(self, desk: Desk, *words: str) -> None:
        """A person calls git, and has to take what it makes of the files."""
        before = {path: (desk.content(path), text_of(desk, path)) for path in (*PATHS, SAME)}
        TALLY["gits"] += 1
        git(desk.root, *words)
        for path, (cid, text) in before.items():
            if text_of(desk, path) != text:
                desk.taken_from_git(path, cid)
        left = self.left_unmerged(desk).splitlines()
        files = (line.partition("\t")[2] for line in left)
        found = {file.removesuffix(".json").removesuffix(".md") for file in files}
        TALLY["unmerged"] += bool(found)
        desk.unmerged = set(map(RecordPath, found))
        desk.is_rebasing = any((desk.root / ".git" / name).exists() for name in UNFINISHED)
        TALLY["unfinished"] += desk.is_rebasing
        self.index[desk.name] = "\n".join(left)

    def desk(self, name: str) -> Desk:
        desk = super().desk(name)
        if not self.has_git(desk):
            git(desk.root, "init", "--quiet")
            (desk.root / ".git" / "info" / "exclude").write_text(OURS)
            desk.restart()
            self.commit_at(desk)
        return desk

    def commit_at(self, desk: Desk) -> None:
        self.by_git(desk, "add", "--all")
        self.by_git(desk, "commit", "--quiet", "--allow-empty", "--message", "As it is")

    @rule(name=names)
    def commit(self, name: str) -> None:
        self.commit_at(self.desk(name))

    @rule(name=names, words=st.sampled_from((("stash",), ("stash", "--keep-index"))))
    def stash(self, name: str, words: tuple[str, ...]) -> None:
        self.by_git(self.desk(name), *words)

    @rule(name=names, words=st.sampled_from((
        ("stash", "pop"), ("stash", "apply"), ("stash", "pop", "--index"))))  # fmt: skip
    def pop(self, name: str, words: tuple[str, ...]) -> None:
        self.by_git(self.desk(name), *words)

    @rule(name=names, words=st.sampled_from((
        ("checkout", "-m", "--detach", "HEAD~1"),
        ("checkout", "--conflict=diff3", "--detach", "HEAD@{1}"),
        ("add", "--all"), ("reset", "--quiet"), ("restore", "."),
        ("rebase", "--autostash", "--onto", "HEAD~2", "HEAD~1"),
        ("rebase", "--autostash", "HEAD@{1}"), ("cherry-pick", "HEAD@{1}"), ("revert", "HEAD"),
        ("rebase", "--continue"), ("rebase", "--skip"), ("rebase", "--abort"),
        ("cherry-pick", "--abort"), ("revert", "--abort"),
    )))  # fmt: skip
    def use_git(self, name: str, words: tuple[str, ...]) -> None:
        self.by_git(self.desk(name), *words)

    @rule(name=names)
    def keep_a_patch(self, name: str) -> None:
        """Keep what differs from the last commit, as a person does before taking it back."""
        desk = self.desk(name)
        (desk.root / PATCH).write_text(git(desk.root, "diff", "--binary", "HEAD"))

    @rule(name=names)
    def apply_the_patch(self, name: str) -> None:
        self.by_git(self.desk(name), "apply", "-3", PATCH)

    @rule(name=names, path=st.sampled_from(PATHS), how=st.sampled_from((
        "stash", "apply", "autostash", "checkout", "rebase", "cherry-pick")),
        end=st.sampled_from((None, "--abort", "--quit")))  # fmt: skip
    def an_edit_meets_the_repo(self, name: str, path: str, how: str, end: str | None) -> None:
        """An edit that is laid aside, or stays in the file, meets the repo's version in git.

        Then the person decides in the file, and has not told git yet.
        """
        desk = self.desk(name)
        if self.is_faulty:
            return
        desk.save(path)
        self.sync(name)
        self.commit_at(desk)
        if how in ("stash", "apply"):
            self.lay_aside(desk, path, how)
        self.scene.put(path)
        self.sync(name)
        self.by_git(desk, "commit", "--quiet", "--all", "--message", "Theirs")
        theirs = git(desk.root, "rev-parse", "HEAD").strip()
        if how not in ("stash", "apply"):
            self.by_git(desk, "checkout", "--quiet", "--detach", "HEAD~1")
            desk.save(path)
        if how in ("rebase", "cherry-pick"):
            self.commit_at(desk)
        meet = {
            "stash": ("stash", "pop"),
            "apply": ("apply", "-3", PATCH),
            "autostash": ("rebase", "--autostash", theirs),
            "checkout": ("checkout", "-m", "--detach", theirs),
            "rebase": ("rebase", theirs),
            "cherry-pick": ("cherry-pick", theirs),
        }
        self.by_git(desk, *meet[how])
        TALLY[how] += path in desk.unmerged
        self.sync(name)
        desk.save(path)
        self.sync(name)
        if how in ("rebase", "cherry-pick") and end is not None:
            self.by_git(desk, how, end)

    def lay_aside(self, desk: Desk, path: str, how: str) -> None:
        desk.save(path)
        if how == "stash":
            self.by_git(desk, "stash")
        else:
            self.keep_a_patch(desk.name)
            self.by_git(desk, "checkout", "--quiet", "--", ".")

    @invariant()
    def the_index_stays_as_it_was_left(self) -> None:
        for desk in self.scene.desks.values():
            if desk.unmerged:
                assert self.left_unmerged(desk).splitlines() == self.index[desk.name].splitlines()

    def kept_alive(self) -> None:
        for desk in self.scene.desks.values():
            if self.has_git(desk):
                for operation in ("rebase", "cherry-pick", "revert"):
                    self.by_git(desk, operation, "--quit")
                self.by_git(desk, "add", "--all")
        super().kept_alive()


def text_of(desk: Desk, path: str) -> bytes | None:
    file = desk.file(path)
    return file.read_bytes() if file.is_file() else None


if __name__ == "__main__":
    tally = play_schedules(int(sys.argv[1]), int(sys.argv[2]), Shelves)
    meetings = ("stash", "apply", "autostash", "checkout", "rebase", "cherry-pick")
    kinds = ("schedules", "steps", "gits", "unmerged", "unfinished", *meetings)
    sys.stdout.write(", ".join(f"{tally[kind]} {kind}" for kind in kinds) + "\n")
