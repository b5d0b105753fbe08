"""Gather the files that records may have gone to whose own files are gone. Reads, never writes.

The cheap comes first: files that this look has met, and files that an earlier cycle found. Only for
a record that went to none of them is the folder searched, within bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from functools import cache

from syncd.atproto.nsid import is_nsid
from syncd.atproto.syntax import Nsid
from syncd.cycle.decide.moves import Found, Gone, follow
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import SECOND_NS, Workspace
from syncd.errors import BadSyntax
from syncd.folder.ignore.rules import read_rules
from syncd.folder.names import meant_path, parse_file_name
from syncd.folder.problems import printable
from syncd.folder.search.contents import Reader, arrived_ns, changed_ns, stat_of
from syncd.folder.search.walk import Entry, walk
from syncd.folder.write import file_below
from syncd.model import Moves, RecordPath, Seen, Step, make_record_path, split_record_path
from syncd.state.notes import LastLook
from syncd.values import dataclass

STATS = 20_000
"""The most files of other names whose age one search asks for."""
SLACK_NS = 2 * SECOND_NS
"""File systems round their times; so much older than the last look still counts as newer."""


def trace(
    workspace: Workspace, sides: Sides, gone: Sequence[Step], coming: Sequence[Step]
) -> Moves:
    """Return where the contents of `gone` went, given the pushes that create or edit records.

    Raises FolderWrong: the folder is missing or belongs to another mirror.
    """
    with workspace.folder.open() as root:
        search = _Search(workspace, sides, root, frozenset(step.path for step in coming))
        return search.run([_gone(step, sides) for step in gone])


def _gone(step: Step, sides: Sides) -> Gone:
    before = next((item for item in sides.moved if item.path == step.path), None)
    return Gone(step.path, step.remote, sides.known.get(step.path), before)


@dataclass(slots=True)
class _Search:
    """One search below the open directory `root`. `found` is what it has met so far, by file."""

    workspace: Workspace
    sides: Sides
    root: int
    coming: frozenset[RecordPath]
    found: dict[str, Found] = field(default_factory=dict)
    reasons: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        look = self.sides.look
        known = (*look.strays, *look.problems.values())
        self.reasons = {problem.path: problem.reason for problem in known}

    def run(self, gone: Sequence[Gone]) -> Moves:
        since = self._since(gone)
        wanted = {each.inode for item in gone for each in (item.seen, item.before) if each}
        reader = Reader(
            self.root,
            sorted({_collection(item.path) for item in gone}),
            self.workspace.folder.forms,
        )
        self._meet_records(wanted, since)
        self._meet_again((item.before.file for item in gone if item.before is not None), since)
        moves = follow(gone, self.found.values())
        if any(item.path not in moves.heirs for item in gone):
            self._read(reader, self._changed_records(reader.collections))
            moves = follow(gone, self.found.values())
        if any(item.path not in {*moves.heirs, *moves.kept} for item in gone):
            sizes = {item.seen.size for item in gone if item.seen is not None}
            self._look_around(wanted, since)
            self._read(reader, self._unread(sizes))
            moves = follow(gone, self.found.values())
        return moves

    def _since(self, gone: Sequence[Gone]) -> int:
        """Return the time of the last look, in nanoseconds, or 0 if it is unreliable.

        The file of each record was there at the last look. If the time of its directory says that
        the file left before that look, the two times come from different clocks.
        """
        known = self.workspace.state.note(LastLook)
        one_of_each = {_collection(item.path): self._file(item.path) for item in gone}
        left = (changed_ns(self.root, file) for file in one_of_each.values())
        since = 0 if known is None else known.at_ns - SLACK_NS
        return since if min(left) >= since else 0

    # --- files that this look, or an earlier cycle, has met ---------------------------------------

    def _meet_records(self, wanted: set[int], since: int) -> None:
        """Note the files of the records that matter, also files that hold no record."""
        for path in self.sides.paths | self.sides.ignored:
            if path in self.sides.look.seen:
                self._note(self._as_record(path, self.sides.look.seen[path], wanted))
            elif path in self.sides.look.problems:
                self._meet_again([self._file(path)], since)

    def _as_record(self, path: RecordPath, seen: Seen, wanted: set[int]) -> Found:
        local, remote = seen.cid, self.sides.views.remote.get(path)
        now = stat_of(self.root, self._file(path)) if seen.inode in wanted else None
        return Found(
            self._file(path),
            path,
            seen.inode,
            seen.size,
            seen.mtime_ns,
            born_ns=0 if now is None else now.born_ns,
            heir=path if path in self.coming or local == remote else None,
            local=local,
            why=self._why_not(path),
            # Of two records that have long been equal, one may go.
            is_news=local != remote,
            digest=seen.digest,
        )

    def _why_not(self, path: RecordPath) -> str:
        """Return why a file that holds a record does not become one; empty if it does."""
        if path in self.sides.ignored:
            return "which is ignored"
        if path in self.sides.views.inert:
            return f"which is held: {self.sides.views.inert[path].reason}"
        return "which the PDS refuses" if path in self.sides.views.refused else ""

    def _meet_again(self, files: Iterable[str], since: int) -> None:
        for file in files:
            if file not in self.found:
                self._note(self._as_file(file, arrived_ns(self.root, file), since))

    # --- files of other names ---------------------------------------------------------------------

    def _look_around(self, wanted: set[int], since: int) -> None:
        """Note the files of inodes that are `wanted`, and files that have appeared elsewhere."""
        stats, is_record_name = STATS, self._is_record_name()
        for entry in walk(self.root, self._is_left_out()):
            if entry.file in self.found:
                continue
            if entry.inode in wanted:
                self._note(self._as_unmet(self._as_file(entry.file, entry.arrived_ns, since)))
            elif stats and not is_record_name(entry):
                stats -= 1
                item = self._as_file(entry.file, entry.arrived_ns, since)
                self._note(item if item is not None and item.is_news else None)

    def _is_left_out(self) -> Callable[[str], bool]:
        """Return a test of whether a directory is ignored: the search skips it then."""
        rules = read_rules(self.root)
        return lambda directory: rules.match(f"{directory}/") is not None

    def _as_file(self, file: str, arrived_ns: int, since: int) -> Found | None:
        """Return the file as a possible target of a move; None if it is gone."""
        now = stat_of(self.root, file)
        if now is None:
            return None
        path = self._record_of(file)
        told_as = self._problem_path(file, path)
        return Found(
            file,
            printable(file),
            now.inode,
            now.size,
            now.mtime_ns,
            born_ns=now.born_ns,
            heir=path if path is not None and self._is_in_repo(path) else None,
            why=self._why(told_as),
            told_as=told_as,
            is_arrival=arrived_ns >= since,
            is_news=now.ctime_ns >= since,
        )

    def _as_unmet(self, item: Found | None) -> Found | None:
        """Return `item`, marked if it is the file of a record that this look has not met.

        A rename between the listing of a directory and the lookup of the old name leaves neither.
        So does an event of the old name that arrives before that of the new one.
        """
        path = None if item is None else self._record_of(item.file)
        if item is None or path is None or path in self.sides.paths | self.sides.ignored:
            return item
        seen = self.sides.look.seen.get(path)
        is_met = seen is not None and seen.inode == item.inode
        return item if is_met else replace(item, heir=None, unmet=path)

    def _is_in_repo(self, path: RecordPath) -> bool:
        """Return whether a file that this look has not met stands for the record of the repo."""
        has_looked = path in self.sides.paths
        return not has_looked and bool(self.workspace.state.base_of([path]))

    def _is_record_name(self) -> Callable[[Entry], bool]:
        """Return a test of whether an entry has the name of a record's file.

        This look has met all of those that have changed, or will, when their event has arrived.
        """
        folder = self.workspace.folder

        @cache
        def is_collection(name: str) -> bool:
            return is_nsid(name) and self.workspace.config.covers(name)

        def is_record_name(entry: Entry) -> bool:
            if not entry.directory or not is_collection(entry.directory[0]):
                return False
            try:
                form = folder.forms.of(entry.directory[0])
                name = "/".join((*entry.directory[1:], entry.name))
                parse_file_name(name, portable=folder.portable, form=form)
            except BadSyntax:
                return False
            return True

        return is_record_name

    # --- contents ---------------------------------------------------------------------------------

    def _changed_records(self, collections: Sequence[str]) -> Iterator[Found]:
        """Yield new or changed records that may have the content of another collection's record."""
        for item in self.found.values():
            collection = item.file.partition("/")[0]
            if item.local is not None and item.is_news and {*collections} - {collection}:
                yield item

    def _unread(self, sizes: set[int]) -> list[Found]:
        """Return the files with unknown content, the likeliest first."""
        unread = (i for i in self.found.values() if i.digest is None and i.is_news)
        return sorted(unread, key=lambda item: (item.size not in sizes, item.file))

    def _read(self, reader: Reader, items: Iterable[Found]) -> None:
        for item in list(items):
            if not reader.has_room(item.size):
                continue
            content = reader.read(item.file, item.size)
            if content is None:
                self._note(replace(item, is_sealed=True))
            else:
                self._note(replace(item, digest=content.digest, contents=content.cids))

    def _note(self, item: Found | None) -> None:
        if item is not None:
            self.found[item.file] = item

    def _file(self, path: RecordPath) -> str:
        return file_below(self.workspace.folder, self.root, path)

    def _record_of(self, file: str) -> RecordPath | None:
        collection, _, name = file.partition("/")
        if not (name and is_nsid(collection) and self.workspace.config.covers(collection)):
            return None
        try:
            folder = self.workspace.folder
            form = folder.forms.of(collection)
            rkey = parse_file_name(name, portable=folder.portable, form=form)
        except BadSyntax:
            return None
        return make_record_path(Nsid(collection), rkey)

    def _problem_path(self, file: str, path: RecordPath | None) -> str:
        collection, _, name = file.partition("/")
        form = self.workspace.folder.forms.of(collection)
        meant = path or (meant_path(Nsid(collection), name, form) if is_nsid(collection) else None)
        return meant if meant and meant in self.sides.look.problems else printable(file)

    def _why(self, told_as: str) -> str:
        return self.reasons.get(told_as, "")


def _collection(path: RecordPath) -> str:
    return split_record_path(path)[0]
