"""Commit some files of a folder and nothing else, even if other files are staged or edited.

The files are staged in an index of our own, which starts equal to HEAD. `git commit` commits this
index, so hooks, signing and identity are those of any commit. The person's index is locked
meanwhile, as by any git command. Afterwards it holds the committed files too, except files for
which the person had staged a change. Never touches a file, another branch, or (but for `push`) a
remote.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from syncd.errors import GitFailed
from syncd.git.indexlock import in_use, is_in_use, lock_index
from syncd.git.partial import fetch_missing
from syncd.git.program import Git
from syncd.git.repository import Repository
from syncd.values import dataclass

_SCRATCH = "syncd-"
_GONE = f"0 {'0' * 40}"
_LINK = b"160000 "
"""Begins the entry of a submodule: the mode that git gives it (gitformat-index(5))."""
_ABSENT = object()
"""Stands for a file that an index does not have; one with a merge conflict is None there."""


@dataclass(frozen=True, slots=True)
class GitFile:
    """A file in a git tree or index: its mode and the id of its blob."""

    mode: str
    id: str

    @property
    def is_regular(self) -> bool:
        """False for a symbolic link and a submodule: neither is the file of a record."""
        return self.mode.startswith("100")


Tree = Mapping[str, GitFile]
"""The files of a tree by their path below the folder."""


@dataclass(frozen=True, slots=True)
class Tip:
    """The checkout. `commit` is None before the first commit, `branch` if HEAD is detached."""

    commit: str | None
    branch: str | None


@dataclass(frozen=True, slots=True)
class Worktree:
    """A folder in a git worktree, and the git command there. Every method raises GitFailed."""

    git: Git
    repository: Repository

    @classmethod
    def at(cls, repository: Repository) -> Worktree:
        """Return the worktree of `repository`, with the index and environment of the person."""
        return cls(Git(repository.top), repository)

    def tip(self) -> Tip:
        """Ask git for the commit and the branch that are checked out."""
        # One question where there is a commit: between two, a person may check out another branch.
        both = self.git.text("rev-parse", "HEAD", "--symbolic-full-name", "HEAD", may_fail=(128,))
        commit, _, name = both.partition("\n")
        if name:
            return Tip(commit, None if name == "HEAD" else name.removeprefix("refs/heads/"))
        # There is no commit yet, or a branch has the name HEAD too.
        commit = self.git.text("rev-parse", "--verify", "--quiet", "HEAD", may_fail=(1,))
        # The full name: git's short name of a branch differs if a tag has the same name.
        branch = self.git.text("symbolic-ref", "--quiet", "HEAD", may_fail=(1,))
        return Tip(commit or None, branch.removeprefix("refs/heads/") or None)

    def check_remote(self, name: str) -> None:
        """Raise GitFailed unless a remote of this name is configured here.

        git would take the name for a directory, which may have come with the branch, and run the
        hooks in it.
        """
        if not self.git.text("config", "--get", f"remote.{name}.url", may_fail=(1,)):
            hint = f"git remote add {name} URL, or correct [git] push in syncd.toml"
            raise GitFailed(f"git has no remote {name}", hint=hint)

    def tree_id(self, treeish: str) -> str | None:
        """Return the id of the folder's tree in a commit or tree; None if the folder is absent."""
        name = f"{treeish}:{self.repository.prefix.rstrip('/')}"
        return self.git.text("rev-parse", "--verify", "--quiet", name, may_fail=(1, 128)) or None

    def files(self, treeish: str | None) -> dict[str, GitFile]:
        """Return the regular files of the folder in a commit or tree; none for None."""
        found = {} if treeish is None else self.entries(treeish)
        return {name: file for name, file in found.items() if file.is_regular}

    def entries(self, treeish: str) -> dict[str, GitFile]:
        """Return all entries of the folder in a commit or tree: files, links and submodules."""
        tree = self.tree_id(treeish)
        if tree is None:
            return {}
        found: dict[str, GitFile] = {}
        out = os.fsdecode(self.git.run("ls-tree", "-r", "-z", "--full-tree", tree))
        for entry in out.split("\0")[:-1]:
            kind, _, name = entry.partition("\t")
            mode, _, blob = kind.split(" ")
            found[name] = GitFile(mode, blob)
        return found

    def contents(self, names: Iterable[str]) -> Iterator[bytes | None]:
        """Yield the content of each blob in order; None if `names` has a name without a blob.

        A name is any object name of git (gitrevisions(7)): an id, or `commit:path`.
        """
        wanted = "".join(f"{name}\n" for name in names)
        if not wanted:
            return
        out = self.git.run("cat-file", "--batch", send=os.fsencode(wanted))
        at = 0
        while at < len(out):
            end = out.index(b"\n", at)
            head = out[at:end].rsplit(b" ", 2)
            at = end + 1
            if head[-1] == b"missing":
                yield None
                continue
            size = int(head[-1])
            yield out[at : at + size] if head[-2] == b"blob" else None
            at += size + 1

    def bring_blobs(self, treeish: str, ids: Collection[str]) -> None:
        """Fetch all blobs of `ids` that a partial clone lacks, in one request.

        They are blobs of `treeish`. Without this, git fetches each when it is read.
        """
        fetch_missing(self.git, treeish, ids)

    def ignored(self, names: Collection[str]) -> set[str]:
        """Return the files of `names` that .gitignore excludes and that are not tracked."""
        if not names:
            return set()
        out = self.git.run("check-ignore", "-z", "--stdin", send=self.listed(names), may_fail=(1,))
        skip = len(self.repository.prefix)
        return {os.fsdecode(name)[skip:] for name in out.split(b"\0")[:-1]}

    def filters(self, names: Collection[str]) -> dict[str, str]:
        """Return the filter of each of `names` that .gitattributes gives one (gitattributes(5))."""
        if not names:
            return {}
        out = self.git.run("check-attr", "-z", "--stdin", "filter", send=self.listed(names))
        words = [os.fsdecode(word) for word in out.split(b"\0")[:-1]]
        skip = len(self.repository.prefix)
        found = zip(words[::3], words[2::3], strict=True)
        return {name[skip:]: value for name, value in found if value not in _NO_FILTER}

    def uncommitted(self) -> set[str]:
        """Return the files of the folder that differ from HEAD, ignored ones included."""
        words = (
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--ignored",
        )
        entries = self.git.run(*words).split(b"\0")[:-1]
        names, prefix = (os.fsdecode(entry[3:]) for entry in entries), self.repository.prefix
        return {name[len(prefix) :] for name in names if name.startswith(prefix)}

    def left_out(self) -> set[str]:
        """Return the files of the folder that a sparse checkout leaves out (git-ls-files(1), S)."""
        entries = self.git.run("ls-files", "-t", "-z").split(b"\0")
        names = (os.fsdecode(entry[2:]) for entry in entries if entry.startswith(b"S "))
        prefix = self.repository.prefix
        return {name[len(prefix) :] for name in names if name.startswith(prefix)}

    def empty_submodules(self) -> set[str]:
        """Return the submodules of the folder that are not checked out, by path below it."""
        entries = self.git.run("ls-files", "--stage", "-z").split(b"\0")
        links = (entry for entry in entries if entry.startswith(_LINK))
        names = (os.fsdecode(entry.partition(b"\t")[2]) for entry in links)
        prefix, top = self.repository.prefix, self.repository.top
        inside = (name for name in names if name.startswith(prefix))
        return {name[len(prefix) :] for name in inside if not os.path.lexists(top / name / ".git")}

    def unmerged(self) -> frozenset[str]:
        """Return the files of the worktree, by path below its top, that a merge left unmerged."""
        entries = self.git.run("ls-files", "--unmerged", "-z").split(b"\0")[:-1]
        return frozenset(os.fsdecode(entry.partition(b"\t")[2]) for entry in entries)

    def listed(self, names: Iterable[str]) -> bytes:
        """Encode files of the folder for the input of a git command with -z."""
        return b"".join(
            os.fsencode(f"{self.repository.prefix}{name}") + b"\0" for name in sorted(names)
        )


_NO_FILTER = ("unspecified", "unset", "set", "")
"""What git says of a file that no filter changes."""
Compose = Callable[[str, Tree], str | None]
"""Make the message for a folder's tree from its id and its files; None: make no commit."""


Reject = Callable[[Tree], Collection[str]]
"""Choose the files that must not be committed, from all of them as git has staged them."""
Check = Callable[[str], None]
"""Raise GitFailed if a commit, named by its id, must not stand."""


def commit(
    work: Worktree,
    tip: Tip,
    names: Collection[str],
    reject: Reject,
    compose: Compose,
    check: Check,
) -> str | None:
    """Commit the files `names` as they are on disk, with their deletions; return the new commit.

    Args:
        tip: The checkout that the caller decided on; if it has changed, no commit is made.
        names: Files below the folder. If there are none, the commit changes no file.
            A file that the person's index has as unmerged is left out.
        reject: Asked after git has read the files: those that were edited meanwhile, or that git
            would store otherwise, are left out.
        compose: Makes the message; None makes no commit.
        check: Asked about the new commit. If it refuses, the commit is taken back.

    Returns:
        The id of the commit; None if none was made.

    Raises:
        GitFailed: A hook, the signing or another part refused. Index and files are unchanged, or
            as after the commit if the commit was made before the failure.
    """
    try:
        with lock_index(work.repository.lock), _scratch(work.repository) as (scratch, fd):
            mine = replace(work, git=replace(work.git, inherited=(fd,)))
            # HEAD may have moved while this waited for the lock. Then `names` was chosen for
            # another commit; the next cycle chooses again.
            is_made = work.tip() == tip and _commit(
                mine, scratch, tip, names, reject, compose, check
            )
    except OSError as error:
        where = f"{work.repository.git_directory} cannot be written to"
        raise GitFailed(f"{where}: {error.strerror or error}") from error
    return work.tip().commit if is_made else None


@contextmanager
def _scratch(repository: Repository) -> Iterator[tuple[Path, int]]:
    """Make a directory for our indexes, on the file system of the person's index.

    Yield it with a descriptor that git is to inherit: if syncd is killed, the directory stays in
    use until git has ended too. The caller holds the lock on the index, so every other such
    directory that is not in use was left behind.
    """
    for left in repository.git_directory.glob(f"{_SCRATCH}*"):
        if not is_in_use(left):
            shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=repository.git_directory) as directory,
        in_use(Path(directory)) as descriptor,
    ):
        yield Path(directory), descriptor


def _commit(
    work: Worktree,
    scratch: Path,
    tip: Tip,
    names: Collection[str],
    reject: Reject,
    compose: Compose,
    check: Check,
) -> bool:
    staged = replace(work, git=replace(work.git, index=scratch / "index"))
    before = work.files(tip.commit)
    # Under the lock, so no git command can leave another file unmerged before the commit.
    unmerged = work.unmerged()
    names = {name for name in names if f"{work.repository.prefix}{name}" not in unmerged}
    _stage(staged, tip, before, names, reject)
    tree = staged.git.text("write-tree")
    folder_tree = staged.tree_id(tree)
    files = staged.files(tree)
    text = None if folder_tree is None else compose(folder_tree, files)
    if text is None:
        return False
    message = scratch / "message"
    # In a file: git reads standard input only after pre-commit, and a syncd that was killed during
    # that hook would leave git an empty message.
    message.write_bytes(text.encode("utf-8"))
    with _taken_over(work, scratch, tip, before, {name: files.get(name) for name in names}):
        words = ("--quiet", "--allow-empty", "--cleanup=verbatim", f"--file={message}")
        # The message is UTF-8, whatever a person writes theirs in.
        staged.git.run("commit", *words, options=("-c", "i18n.commitEncoding=UTF-8"))
        _check(work, tip, check)
    return True


def _check(work: Worktree, before: Tip, check: Check) -> None:
    made = work.tip().commit
    if made is None:
        return
    try:
        check(made)
    except GitFailed:
        # Only if HEAD is still the commit that was made here, and nothing was built on it.
        to = ("-d", "HEAD", made) if before.commit is None else ("HEAD", before.commit, made)
        with suppress(GitFailed):
            work.git.run("update-ref", "-m", "syncd: taken back", *to)
        raise


def _stage(
    staged: Worktree,
    tip: Tip,
    before: Tree,
    names: Collection[str],
    reject: Reject,
) -> None:
    """Fill our index with HEAD and the files `names`.

    It starts as a copy of the person's index, for the cached stats: git then reads only files that
    may have changed.
    """
    _copy(staged.repository.git_directory / "index", staged.git.index)
    words = ("--empty",) if tip.commit is None else ("--reset", tip.commit)
    staged.git.run("read-tree", *words)
    staged.git.run("update-index", "-z", "--add", "--remove", "--stdin", send=staged.listed(names))
    # Only now is it known which content git has read. A file that changed before or during the
    # read may hold an edit that was not synced: set it back to HEAD.
    found = {name: blob for name, blob in _entries(staged).items() if blob and name in names}
    _put(staged, {name: before.get(name) for name in reject(found) if name in names})


def _put(work: Worktree, entries: Mapping[str, GitFile | None]) -> None:
    """Set entries of an index without reading the files; None removes an entry."""
    lines = (f"{blob.mode} {blob.id} 0" if blob else _GONE for _, blob in sorted(entries.items()))
    names = (os.fsencode(f"{work.repository.prefix}{name}") for name in sorted(entries))
    send = b"".join(
        line.encode() + b"\t" + name + b"\0" for line, name in zip(lines, names, strict=True)
    )
    work.git.run("update-index", "-z", "--index-info", send=send)


@contextmanager
def _taken_over(
    work: Worktree, scratch: Path, tip: Tip, before: Tree, after: Mapping[str, GitFile | None]
) -> Iterator[None]:
    """Put `after` into the person's index before the commit; restore the index if none is made.

    The index comes first. After a kill between commit and index, the old index would look like a
    staged reversal of the commit, and the person's next commit would remove the records from git.
    """
    index, kept = work.repository.git_directory / "index", scratch / "kept"
    _copy(index, kept)
    _take_over(work, scratch / "taken", before, after)
    try:
        yield
    finally:
        if work.tip() == tip:
            # HEAD did not move: a hook, the signing or an error prevented the commit.
            kept.replace(index) if kept.exists() else index.unlink(missing_ok=True)
    expected = {**before, **after}
    found = work.files("HEAD")
    changed = {n for n in expected.keys() | found.keys() if found.get(n) != expected.get(n)}
    if changed:  # by a hook
        known = {name: blob for name, blob in expected.items() if blob is not None}
        _take_over(work, scratch / "taken", known, {name: found.get(name) for name in changed})


def _take_over(
    work: Worktree, copy: Path, before: Tree, after: Mapping[str, GitFile | None]
) -> None:
    """Put `after` into the person's index, except files with a change staged against `before`."""
    if not after:
        return
    staged, index = _entries(work), work.repository.git_directory / "index"
    # A file with a staged change keeps it: that change is for the person's own next commit.
    untouched = {
        name: blob
        for name, blob in after.items()
        if staged.get(name, _ABSENT) == before.get(name, _ABSENT)
    }
    new = {name for name in after if name in staged and name not in before}
    for name in _only_intended(work, new):
        untouched[name] = after[name]
    _copy(index, copy)
    _put(replace(work, git=replace(work.git, index=copy)), untouched)
    copy.replace(index)


def _only_intended(work: Worktree, new: Collection[str]) -> set[str]:
    """Return the files of `new` that HEAD lacks and that the index has only as intended.

    Beside a commit that has the file, such an entry (`git add -N`) is a staged deletion.
    """
    if not new:
        return set()
    found = work.git.run("diff-files", "-z", "--name-only", "--diff-filter=A").split(b"\0")
    prefix = work.repository.prefix
    return {name for name in new if os.fsencode(f"{prefix}{name}") in found}


def _entries(work: Worktree) -> dict[str, GitFile | None]:
    """Return the folder's files in the person's index; None for a file with a merge conflict."""
    found: dict[str, GitFile | None] = {}
    skip = len(work.repository.prefix)
    for entry in work.git.run("ls-files", "--stage", "-z").split(b"\0")[:-1]:
        kind, _, raw = entry.partition(b"\t")
        mode, blob, stage = kind.decode().split()
        name = os.fsdecode(raw)
        if name.startswith(work.repository.prefix):
            found[name[skip:]] = GitFile(mode, blob) if stage == "0" else None
    return found


def _copy(source: Path, target: Path | None) -> None:
    """Copy an index with its time: git reads a file again that changed within that second."""
    with suppress(FileNotFoundError):
        shutil.copy2(source, target or source)


def push(work: Worktree, remote: str, branch: str) -> None:
    """Push `branch` to the branch of the same name on `remote`, without force. Raises GitFailed."""
    work.check_remote(remote)
    name = f"refs/heads/{branch}"
    try:
        work.git.run("push", "--quiet", remote, f"{name}:{name}")
    except GitFailed as error:
        hint = error.hint or f"git pull --rebase {remote} {branch}, then syncd sync"
        raise GitFailed(error.message, hint=hint) from None
