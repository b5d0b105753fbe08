"""Read the files of a mirror in a second process, while this one does the other work of `verify`.

The second process compares each file with the record that was agreed on, and counts those that
break a lexicon. Whatever keeps it from an answer, this process does that work. Never writes.
"""

from __future__ import annotations

import marshal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import field, replace
from itertools import islice
from pathlib import Path
from typing import Final

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record
from syncd.children import interpreter, without_secrets
from syncd.cycle.clone.collector import paused_collector
from syncd.cycle.lexicons.reading import Reading
from syncd.cycle.workspace import Workspace
from syncd.errors import FolderWrong
from syncd.mirror.lexicons.counting import Counted, Judge, count_lexicons, judge_of
from syncd.mirror.lexicons.examining import Examined, examine, readable_once, seen_in
from syncd.mirror.offline import open_files
from syncd.model import RecordPath, Seen, split_record_path
from syncd.values import dataclass

MANY: Final = 5_000
"""The least number of records for a second process: below it, the start costs more time."""
THEIRS: Final = 0.7
"""The share of the files that the second process reads; the first does all other work."""


@dataclass(slots=True)
class Beside:
    """The work of the second process, and what this one does of it; without `judge`, nothing.

    Attributes:
        every: How many records each collection of base has.
        broken: How many of the records that were read here break their lexicon.
    """

    workspace: Workspace
    every: Mapping[str, int]
    judge: Judge | None = None
    process: subprocess.Popen[bytes] | None = None
    broken: int = 0
    _agreed: dict[RecordPath, Cid] = field(default_factory=dict)
    _asked: dict[RecordPath, Cid] = field(default_factory=dict)
    _judged: set[RecordPath] = field(default_factory=set)
    _answer: Examined | None = None

    @property
    def paths(self) -> Collection[RecordPath]:
        """Return the records whose files the second process reads."""
        return self._asked.keys()

    def begin(self, agreed: Mapping[RecordPath, Cid]) -> None:
        """Hand records over; their files are read from now on."""
        covered = set(filter(self.workspace.config.covers, self.every))
        once = readable_once(covered, self.workspace.folder.forms)
        self._agreed = {p: cid for p, cid in agreed.items() if split_record_path(p)[0] in covered}
        if self.process is None:
            return
        once_only = (pair for pair in self._agreed.items() if split_record_path(pair[0])[0] in once)
        self._asked = dict(islice(once_only, int(len(self._agreed) * THEIRS)))
        paths, cids = list(self._asked), list(map(bytes, self._asked.values()))
        pipe = self.process.stdin
        assert pipe is not None
        with suppress(OSError), pipe:
            pipe.write(marshal.dumps((self.workspace.folder.portable, paths, cids)))

    def met(self, path: RecordPath, record: Record) -> None:
        """Judge a record that was read here, unless the second process did."""
        if self.judge is None or (self._answer is not None and path in self._asked):
            return
        collection, rkey = split_record_path(path)
        # Of two files for one record, which counts is not known here.
        if len(self.workspace.folder.forms.of(collection).endings) == 1:
            self._judged.add(path)
            self.broken += self.judge.breaks(collection, rkey, record)

    def results(self, seen_ns: int) -> dict[RecordPath, Seen]:
        """Wait for the files that are what was agreed."""
        found = self._wait()
        return {} if found is None else seen_in(found.rows, self._asked, seen_ns)

    def count(self) -> Counted:
        """Return what `count_lexicons` does."""
        found = self._wait()
        if self.judge is None or not self._agreed:
            return count_lexicons(self.workspace, self.every)
        done = self._judged if found is None else self._judged | self._asked.keys()
        left = sorted(path for path in self._agreed if path not in done)
        with Reading(self.workspace.folder, self.judge.library.root) as files:
            here = self.broken + sum(self.judge.is_broken(files, path) for path in left)
        counted = count_lexicons(self.workspace, self.every, most=0)
        return replace(counted, broken=here + (0 if found is None else found.broken))

    def _wait(self) -> Examined | None:
        if self.process is not None and self._asked:
            found, self.process = _answer(self.process), None
            whole = found is not None and found.is_answer_to(len(self._asked))
            self._answer = found if whole else None
        return self._answer


@contextmanager
def counting(workspace: Workspace, every: Mapping[str, int]) -> Iterator[Beside]:
    """Start the second process where it is worth it, and yield what hands it work."""
    with ExitStack() as stack:
        beside = Beside(workspace, every)
        if sum(every.values()) >= MANY:
            with suppress(FolderWrong):
                root = stack.enter_context(workspace.folder.open())
                beside.judge = judge_of(
                    workspace.folder, root, filter(workspace.config.covers, every)
                )
                beside.process = stack.enter_context(_running(workspace.root))
        yield beside


@contextmanager
def _running(root: Path) -> Iterator[subprocess.Popen[bytes] | None]:
    process = _start(root)
    with nullcontext() if process is None else process:
        try:
            yield process
        finally:
            if process is not None:
                process.kill()


def _start(root: Path) -> subprocess.Popen[bytes] | None:
    """Start the second process; None if it cannot be started."""
    with suppress(OSError):
        return subprocess.Popen(  # noqa: S603
            [*interpreter("syncd.cli.host.counting", "serve"), str(root)],
            env=without_secrets(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
    return None


def _answer(process: subprocess.Popen[bytes]) -> Examined | None:
    assert process.stdout is not None
    said = process.stdout.read()
    with suppress(ValueError, EOFError, TypeError):
        return Examined(*marshal.loads(said)) if process.wait() == 0 else None  # noqa: S302 (its own)
    return None


def serve() -> None:
    """Run the second process: read and judge the files of the records that stdin names."""
    with paused_collector(), open_files(Path(sys.argv[1]), is_checked=False) as workspace:
        portable, paths, cids = marshal.loads(sys.stdin.buffer.read())  # noqa: S302 (of its own parent)
        folder = replace(workspace.folder, portable=portable)
        agreed = {RecordPath(p): Cid(cid) for p, cid in zip(paths, cids, strict=True)}
        with folder.open() as root, Reading(folder, root) as files:
            names = {split_record_path(path)[0] for path in agreed}
            found = examine(judge_of(folder, root, names), files, agreed)
        marshal.dump((found.broken, found.rows), sys.stdout.buffer)
