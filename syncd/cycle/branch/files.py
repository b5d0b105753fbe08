"""The files of a commit in a folder of syncd's own, but for those that need not be read again.

Reads git's objects, so what a job changed, added or checked out otherwise has no part in it. Never
writes where git or a person works, and never asks a PDS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import parse_nsid
from syncd.blobs.files import may_name
from syncd.config import Config
from syncd.cycle.branch.named import NamedFiles
from syncd.cycle.branch.trees import Agreed
from syncd.cycle.git.records import record_paths, records_in
from syncd.cycle.lexicons.places import SCHEMAS
from syncd.errors import BadSyntax
from syncd.folder.ignore.rules import IGNORE_FILE
from syncd.forms import DRAFT, ENDINGS
from syncd.git.commits import GitFile, Tree, Worktree
from syncd.model import RecordPath, Seen, split_record_path
from syncd.values import dataclass

_NO_FILE: Final = "git-has-a-link-or-a-submodule-here"
"""Where a link leads that stands for what is no file in git: such a name is not absent."""
_NOT_A_NAME: Final = ("", ".", "..")


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a commit in the mirrored collections, as a folder of syncd's own.

    Attributes:
        commit: The commit of `work`, whose settings are `config`.
        root: The directory, which nobody else changes.
        there: The files in it, as git has them.
        agreed: What was known before.
        elsewhere: What a look says of the files that are left out: they say what was agreed on.
    """

    work: Worktree
    commit: str
    config: Config
    root: Path
    there: dict[str, GitFile]
    agreed: Agreed
    elsewhere: dict[RecordPath, Seen]

    def records(self) -> dict[RecordPath, Cid]:
        """Return the CID of each record that the commit has. Raises GitFailed."""
        refer = NamedFiles(self.work, self.commit, self.config).refer
        known = dict(self.agreed.cids)
        here = records_in(self.work, self.there, self.config, known, refer)
        return {path: seen.cid for path, seen in self.elsewhere.items()} | here

    def bring(self, paths: Collection[RecordPath]) -> None:
        """Write those of `paths` that were left out before. Raises GitFailed, OSError."""
        left = {path for path in paths if path in self.elsewhere}
        files = dict(self.agreed.files[path] for path in left)
        self.write(files)
        self.there.update(files)
        for path in left:
            del self.elsewhere[path]

    def write(self, files: Tree) -> None:
        """Write files of the commit, and those that their records name."""
        ids = [file.id for file in files.values()]
        self.work.bring_blobs(self.commit, ids)
        for directory in {name.rpartition("/")[0] for name in files}:
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        naming: dict[str, bytes] = {}
        for name, content in zip(files, self.work.contents(ids), strict=True):
            (self.root / name).write_bytes(content or b"")
            if may_name(content or b""):
                naming[name] = content or b""
        _lay_out_named(NamedFiles(self.work, self.commit, self.config), naming, self.root)


def lay_out(work: Worktree, commit: str, config: Config, root: Path, agreed: Agreed) -> Files:
    """Write the files that `commit` has of the mirrored collections into the directory `root`.

    Files that certainly say what was agreed on are left out. A link or a submodule becomes a link
    that leads nowhere: its records are then not absent.

    Raises GitFailed, OSError.
    """
    entries = work.entries(commit)
    alike = {path for path, (name, was) in agreed.files.items() if _is(was, entries.get(name))}
    changed = _wanted(entries, _names(alike, agreed), config)
    same = _left_out(alike, record_paths(_regular(changed), config), agreed)
    wanted = _wanted(entries, _names(same, agreed), config)
    elsewhere = {path: _unread(path, agreed.base[path]) for path in same}
    files = Files(work, commit, config, root, _regular(wanted), agreed, elsewhere)
    files.write(files.there)
    for name in wanted.keys() - files.there.keys():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(_NO_FILE)
    return files


def _is(was: GitFile, now: GitFile | None) -> bool:
    return now is not None and now.is_regular and now.id == was.id


def _names(paths: Iterable[RecordPath], agreed: Agreed) -> set[str]:
    return {agreed.files[path][0] for path in paths}


def _wanted(entries: Tree, left: Collection[str], config: Config) -> dict[str, GitFile]:
    """Return the files that may hold a record, without those that are `left` out."""
    found = ((name, file) for name, file in entries.items() if name not in left)
    return {n: f for n, f in found if n == IGNORE_FILE or _concerns(n, f, config)}


def _regular(files: Tree) -> dict[str, GitFile]:
    return {name: file for name, file in files.items() if file.is_regular}


def _left_out(
    same: Collection[RecordPath], changed: Iterable[tuple[str, RecordPath]], agreed: Agreed
) -> Collection[RecordPath]:
    """Return those of `same` whose files are not needed to judge the files of `changed`."""
    paths = {path for _, path in changed}
    known = {split_record_path(path)[0] for path in agreed.base}
    collections = {split_record_path(path)[0] for path in paths}
    if SCHEMAS in collections or not collections <= known:
        # A lexicon judges all records, and a new collection may be a copy of another one.
        return ()
    # Two files for one record are a problem, and a lexicon judges the records that changed.
    return {p for p in same if p not in paths and split_record_path(p)[0] != SCHEMAS}


def _unread(path: RecordPath, cid: Cid) -> Seen:
    """Return the look at a file that need not be read: only its record is known."""
    return Seen(path, 0, 0, 0, 0, 0, b"", cid)


def _lay_out_named(named: NamedFiles, texts: Mapping[str, bytes], root: Path) -> None:
    """Write the files that these records name, if git has them."""
    paths = dict(record_paths(texts, named.config))
    named.bring((path, texts[name]) for name, path in paths.items())
    for name, path in paths.items():
        for each in named.named_in(texts[name], path):
            content = named.content(each)
            if content is not None and not (root / each).exists():
                place = root / each
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)


def _concerns(name: str, file: GitFile, config: Config) -> bool:
    """Return whether a path in git is the file of a record, or was meant to be one."""
    first, *rest = name.split("/")
    try:
        collection = parse_nsid(first)
    except BadSyntax:
        return False
    if any(part in _NOT_A_NAME for part in rest) or not config.covers(collection):
        return False
    # By any setting: a record whose file has another form than this one reads is not gone.
    endings = ENDINGS + config.forms.endings
    is_draft = any(name.endswith(DRAFT + ending) for ending in endings)
    return not file.is_regular or (name.endswith(endings) and not is_draft)
