"""Commit some files of a folder and nothing else, whatever else is staged or edited beside them.

The files are staged in an index of our own, which starts as HEAD is. `git commit` makes the commit
of it, so hooks, signing and identity are what they are for any commit. The person's index is held
locked meanwhile, as by any git command, and afterwards takes over those of the files in which
nothing else was staged. Never touches a file, a branch that is not checked out, or a remote.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from syncd.errors import GitFailed
from syncd.git.program import Git
from syncd.git.repository import Place

LOCK_SECONDS = 5.0
"""How long to wait for another git command to let go of the index."""
_LOCK_PAUSE_SECONDS = 0.05
_OURS = "syncd "
_ROOM = "syncd-"
_GONE = f"0 {'0' * 40}"


@dataclass(frozen=True, slots=True)
class Blob:
    """A file as git has it: its mode and the id of its content."""

    mode: str
    id: str


Tree = Mapping[str, Blob]
"""Files by their path below the folder."""


@dataclass(frozen=True, slots=True)
class Tip:
    """What is checked out. `commit` is None before the first one, `branch` if HEAD is detached."""

    commit: str | None
    branch: str | None


@dataclass(frozen=True, slots=True)
class Worktree:
    """A folder in a git worktree, and the git that works there."""

    git: Git
    place: Place

    @classmethod
    def at(cls, place: Place) -> Worktree:
        return cls(Git(place.top), place)

    def tip(self) -> Tip:
        commit = self.git.text("rev-parse", "--verify", "--quiet", "HEAD", may_fail=(1,))
        branch = self.git.text("symbolic-ref", "--quiet", "--short", "HEAD", may_fail=(1,))
        return Tip(commit or None, branch or None)

    def tree_id(self, treeish: str) -> str | None:
        """The id of the folder's tree in a commit or tree; None if it has none there."""
        name = f"{treeish}:{self.place.prefix.rstrip('/')}"
        return self.git.text("rev-parse", "--verify", "--quiet", name, may_fail=(1, 128)) or None

    def files(self, treeish: str | None) -> dict[str, Blob]:
        """The regular files of the folder in a commit or tree."""
        tree = None if treeish is None else self.tree_id(treeish)
        if tree is None:
            return {}
        found: dict[str, Blob] = {}
        for entry in self.git.run("ls-tree", "-r", "-z", "--full-tree", tree).split(b"\0")[:-1]:
            kind, _, name = entry.partition(b"\t")
            mode, what, blob = kind.decode().split()
            if what == "blob" and mode != "120000":
                found[os.fsdecode(name)] = Blob(mode, blob)
        return found

    def contents(self, names: Iterable[str]) -> Iterator[bytes | None]:
        """The content of each blob, named as git names objects; None for one that there is not."""
        wanted = "".join(f"{name}\n" for name in names)
        if not wanted:
            return
        out = memoryview(self.git.run("cat-file", "--batch", send=os.fsencode(wanted)))
        at = 0
        while at < len(out):
            end = at + bytes(out[at : at + 65536]).index(b"\n")
            head = bytes(out[at:end]).rsplit(b" ", 2)
            at = end + 1
            if head[-1] == b"missing":
                yield None
                continue
            size = int(head[-1])
            yield bytes(out[at : at + size]) if head[-2] == b"blob" else None
            at += size + 1

    def ignored(self, names: Collection[str]) -> set[str]:
        """Those of `names` that git is told to ignore and does not have."""
        if not names:
            return set()
        out = self.git.run("check-ignore", "-z", "--stdin", send=self.listed(names), may_fail=(1,))
        skip = len(self.place.prefix)
        return {os.fsdecode(name)[skip:] for name in out.split(b"\0")[:-1]}

    def left_out(self) -> set[str]:
        """Files of the folder that are in the index, and that git was told not to check out."""
        entries = self.git.run("ls-files", "-t", "-z").split(b"\0")
        names = (os.fsdecode(entry[2:]) for entry in entries if entry.startswith(b"S "))
        prefix = self.place.prefix
        return {name[len(prefix) :] for name in names if name.startswith(prefix)}

    def listed(self, names: Iterable[str]) -> bytes:
        """Files of the folder, as commands with -z take them."""
        return b"".join(os.fsencode(f"{self.place.prefix}{name}") + b"\0" for name in sorted(names))


Say = Callable[[str, Tree], str | None]
"""The message for a folder's tree, given its id and its files; None: there is nothing to say."""


def commit(
    work: Worktree,
    tip: Tip,
    names: Collection[str],
    is_meant: Callable[[str], bool],
    say: Say,
) -> str | None:
    """Commit the files `names` as they are on disk, or are gone from it; returns the new commit.

    `is_meant` is asked once git has read a file: one that was edited just then is left out. The
    commit is empty if `names` is.

    Raises:
        GitFailed: A hook, the signing or anything else refused. Index and files are as they were,
            or as after the commit, if it was made before something failed.
    """
    try:
        with _locked(work.place), _room(work.place) as room:
            is_made = work.tip() == tip and _commit(work, room, tip, names, is_meant, say)
    except OSError as error:
        where = f"{work.place.own} cannot be written to"
        raise GitFailed(f"{where}: {error.strerror or error}") from error
    return work.tip().commit if is_made else None


@contextmanager
def _room(place: Place) -> Iterator[Path]:
    """A directory for our indexes, on the file system where the person's is.

    Whoever holds the index locked is the only one to have such: others were left by a kill.
    """
    for left in place.own.glob(f"{_ROOM}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_ROOM, dir=place.own) as directory:
        yield Path(directory)


def _commit(
    work: Worktree,
    room: Path,
    tip: Tip,
    names: Collection[str],
    is_meant: Callable[[str], bool],
    say: Say,
) -> bool:
    staged = replace(work, git=replace(work.git, index=room / "index"))
    before = work.files(tip.commit)
    _stage(staged, tip, before, names, is_meant)
    tree = staged.git.text("write-tree")
    folder_tree = staged.tree_id(tree)
    files = staged.files(tree)
    text = None if folder_tree is None else say(folder_tree, files)
    if text is None:
        return False
    message = room / "message"
    message.write_bytes(text.encode("utf-8"))  # through a pipe, hooks could outlive who writes it
    with _taken_over(work, room, tip, before, {name: files.get(name) for name in names}):
        options = ("--quiet", "--allow-empty", "--cleanup=verbatim", f"--file={message}")
        staged.git.run("commit", *options)
    return True


def _stage(
    staged: Worktree,
    tip: Tip,
    before: Tree,
    names: Collection[str],
    is_meant: Callable[[str], bool],
) -> None:
    """Make our index HEAD and the files `names`. It starts as a copy: so it knows what is clean."""
    _copy(staged.place.own / "index", staged.git.index)
    words = ("--empty",) if tip.commit is None else ("--reset", tip.commit)
    staged.git.run("read-tree", *words)
    staged.git.run("update-index", "-z", "--add", "--remove", "--stdin", send=staged.listed(names))
    back = {name: before.get(name) for name in names if not is_meant(name)}
    _put(staged, back)


def _put(work: Worktree, entries: Mapping[str, Blob | None]) -> None:
    """Set entries of an index without a look at the files."""
    lines = (f"{blob.mode} {blob.id} 0" if blob else _GONE for _, blob in sorted(entries.items()))
    names = (os.fsencode(f"{work.place.prefix}{name}") for name in sorted(entries))
    send = b"".join(
        line.encode() + b"\t" + name + b"\0" for line, name in zip(lines, names, strict=True)
    )
    work.git.run("update-index", "-z", "--index-info", send=send)


@contextmanager
def _taken_over(
    work: Worktree, room: Path, tip: Tip, before: Tree, after: Mapping[str, Blob | None]
) -> Iterator[None]:
    """Let the person's index have what is to be committed, or what it had if there is no commit.

    It comes first: were we killed between the two, a commit whose reverse is staged would take the
    records out of git again with the person's next one.
    """
    index, kept = work.place.own / "index", room / "kept"
    _copy(index, kept)
    _take_over(work, room / "taken", before, after)
    try:
        yield
    finally:
        if work.tip() == tip:
            kept.replace(index) if kept.exists() else index.unlink(missing_ok=True)
    done = {name: blob for name, blob in work.files("HEAD").items() if name in after}
    if any(done.get(name) != blob for name, blob in after.items()):  # a hook has changed it
        expected = {name: blob for name, blob in after.items() if blob is not None}
        _take_over(work, room / "taken", expected, {name: done.get(name) for name in after})


def _take_over(work: Worktree, copy: Path, before: Tree, after: Mapping[str, Blob | None]) -> None:
    """Put `after` where the person's index has what was there `before`."""
    if not after:
        return
    staged, index = _entries(work), work.place.own / "index"
    untouched = {name: blob for name, blob in after.items() if staged.get(name) == before.get(name)}
    _copy(index, copy)
    _put(replace(work, git=replace(work.git, index=copy)), untouched)
    copy.replace(index)


def _entries(work: Worktree) -> dict[str, Blob | None]:
    """What is staged in the person's index; None for a file with an unmerged conflict."""
    found: dict[str, Blob | None] = {}
    skip = len(work.place.prefix)
    for entry in work.git.run("ls-files", "--stage", "-z").split(b"\0")[:-1]:
        kind, _, raw = entry.partition(b"\t")
        mode, blob, stage = kind.decode().split()
        name = os.fsdecode(raw)
        if name.startswith(work.place.prefix):
            found[name[skip:]] = Blob(mode, blob) if stage == "0" else None
    return found


def _copy(source: Path, target: Path | None) -> None:
    with suppress(FileNotFoundError):
        shutil.copy(source, target or source)


@contextmanager
def _locked(place: Place) -> Iterator[None]:
    """Hold the index as a git command would, so that none changes it or HEAD meanwhile."""
    deadline = time.monotonic() + LOCK_SECONDS
    while not _try_lock(place.lock):
        if time.monotonic() > deadline:
            hint = "wait for the other git command; if none is running, remove that file"
            raise GitFailed(f"git is locked: {place.lock} is there", hint=hint)
        time.sleep(_LOCK_PAUSE_SECONDS)
    try:
        yield
    finally:
        place.lock.unlink(missing_ok=True)


def _try_lock(lock: Path) -> bool:
    is_made = False
    try:
        with lock.open("x", encoding="ascii") as file:
            is_made = True
            file.write(f"{_OURS}{os.getpid()}\n")
    except FileExistsError:
        if _is_left_behind(lock):
            lock.unlink(missing_ok=True)
        return False
    except OSError as error:
        if is_made:
            lock.unlink(missing_ok=True)
        raise GitFailed(f"{lock} cannot be made: {error.strerror}") from None
    return True


def _is_left_behind(lock: Path) -> bool:
    """True for a lock of a syncd that was killed; those of git itself are never judged."""
    with suppress(OSError, ValueError):
        text = lock.read_text(encoding="ascii")
        return (
            text.startswith(_OURS) and not Path(f"/proc/{int(text.removeprefix(_OURS))}").exists()
        )
    return False


def push(work: Worktree, remote: str, branch: str) -> None:
    """Push the branch to the remote's branch of the same name. Raises GitFailed."""
    name = f"refs/heads/{branch}"
    try:
        work.git.run("push", "--quiet", remote, f"{name}:{name}")
    except GitFailed as error:
        hint = error.hint or f"git pull --rebase {remote} {branch}, then syncd sync"
        raise GitFailed(error.message, hint=hint) from None
