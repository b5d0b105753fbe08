"""The random schedules again, with people who use git beside syncd: stash, pop, `checkout -m`.

What git does to the files is an act of the person who called it. Files that it leaves unmerged are
neither pushed nor pulled, and the index stays as it was left, until the person has told git.
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
        found = {line.partition("\t")[2].removesuffix(".json") for line in left}
        TALLY["unmerged"] += bool(found)
        desk.unmerged = set(map(RecordPath, found))
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
    )))  # fmt: skip
    def use_git(self, name: str, words: tuple[str, ...]) -> None:
        self.by_git(self.desk(name), *words)

    @rule(name=names, path=st.sampled_from(PATHS))
    def stash_meets_the_repo(self, name: str, path: str) -> None:
        """An edit is stashed, the repo's version comes and is committed, and the edit is popped.

        Then the person decides in the file, and has not told git yet.
        """
        desk = self.desk(name)
        if self.is_faulty:
            return
        desk.save(path)
        self.sync(name)
        self.commit_at(desk)
        desk.save(path)
        self.by_git(desk, "stash")
        self.scene.put(path)
        self.sync(name)
        self.by_git(desk, "commit", "--quiet", "--all", "--message", "Theirs")
        self.by_git(desk, "stash", "pop")
        self.sync(name)
        desk.save(path)
        self.sync(name)

    @invariant()
    def the_index_stays_as_it_was_left(self) -> None:
        for desk in self.scene.desks.values():
            if desk.unmerged:
                assert self.left_unmerged(desk).splitlines() == self.index[desk.name].splitlines()

    def kept_alive(self) -> None:
        for desk in self.scene.desks.values():
            if self.has_git(desk):
                self.by_git(desk, "add", "--all")
        super().kept_alive()


def text_of(desk: Desk, path: str) -> bytes | None:
    file = desk.file(path)
    return file.read_bytes() if file.is_file() else None


if __name__ == "__main__":
    tally = play_schedules(int(sys.argv[1]), int(sys.argv[2]), Shelves)
    kinds = ("schedules", "steps", "gits", "unmerged")
    sys.stdout.write(", ".join(f"{tally[kind]} {kind}" for kind in kinds) + "\n")
