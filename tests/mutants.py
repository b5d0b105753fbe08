"""Plant one bug after the other in a copy of syncd, and see a test fail for each: `make mutants`.

A bug that no test notices is a hole in the tests. Each is a text that must occur exactly once in
its module, another that takes its place, and the tests that are to notice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
MIRROR = "tests/cycle/test_mirror.py"


def died(story: str) -> str:
    """The test that lets a story die at every point."""
    name = "test_a_story_that_dies_at_any_point_ends_the_same"
    return f"tests/model/test_crashes.py::{name}[{story}]"


def acted(story: str) -> str:
    """The test that lets somebody act at every point of a story."""
    name = "test_nothing_is_lost_to_whoever_acts_at_the_worst_moment"
    return f"tests/model/test_worst_moment.py::{name}[{story}]"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`before` becomes `after` in `module`; one of `tests` must fail, chosen by `words` (-k)."""

    name: str
    module: str
    before: str
    after: str
    tests: str
    words: str = ""


MUTANTS = (
    Mutant(
        "base before the file is written", "cycle/mirror.py",
        "        self.state.record(Memory(waiting={s.path: (Arrival(s.path, s.remote),) for s in steps"
        "}))\n",
        "        self.state.record(Memory(base={s.path: s.remote for s in steps}))\n",
        died("a record edited in the repo"),
    ),
    Mutant(
        "base before the push lands", "cycle/mirror.py",
        "        pushed = await self.outbox.send(",
        "        self.state.record(Memory(base={s.path: s.local for s in steps}))\n"
        "        pushed = await self.outbox.send(",
        died("an edited file"),
    ),
    Mutant(
        "no swap on a batch", "sandbox/direct.py",
        "repo.apply([write.op for write in writes], swap=swap)",
        "repo.apply([write.op for write in writes])",
        acted("three files at once"),
    ),
    Mutant(
        "no swap on a record", "pds/client.py",
        "xrpc.put_record(self._did, op, swap=change.before,", "xrpc.put_record(self._did, op, swap=None,",
        "tests/pds/test_client.py",
    ),
    Mutant(
        "the wrong swap", "cycle/mirror.py", "send(steps, sight.view.head.commit, lost)",
        "send(steps, sight.view.head.data, lost)", MIRROR, "many_changes",
    ),
    Mutant(
        "the loser of a conflict dropped", "merge/settle.py",
        "    if policy is Policy.LOCAL:", "    if policy is not Policy.REMOTE:", died("a conflict"),
    ),
    Mutant(
        "a deletion for a directory that cannot be read", "folder/scan.py",
        "        return self.unread.isdisjoint((EVERYWHERE, split_record_path(path)[0]))",
        "        return True", "tests/folder/test_scan.py",
    ),
    Mutant(
        "an invalid file taken for a deletion", "plan.py", "    if path in views.inert:",
        "    if False:", died("a file spoiled"),
    ),
    Mutant(
        "a rev compared the wrong way round", "replica.py",
        "newest is not None and found.rev < newest", "newest is not None and found.rev > newest",
        MIRROR,
    ),
    Mutant(
        "a file not synced before it takes its name", "folder/batch.py",
        "            if len(self.items) <= FEW:\n"
        "                self.folder.disk.sync_file(directory, temp)\n",
        "", died("a record edited in the repo"),
    ),
    Mutant(
        "a directory not synced after a rename", "folder/batch.py",
        "                disk.sync_directory(directory)\n", "", died("a record created in the repo"),
    ),
    Mutant(
        "a directory not synced after a deletion", "folder/write.py",
        "        folder.disk.sync_directory(directory)\n\n\ndef conflict_file", "\n\ndef conflict_file",
        died("a record deleted in the repo"),
    ),
    Mutant(
        "many files not synced", "folder/batch.py",
        "        if len(self.items) > FEW:\n            self.folder.disk.sync_all(directory)",
        "        return", died("the first sync of more files than are written one by one"),
    ),
    Mutant(
        "what came out of an exchange not looked at", "folder/replace.py",
        "    elif is_at_rest(directory, held, old):\n        disk.unlink(directory, held)\n    else:",
        "    elif True:\n        disk.unlink(directory, held)\n    else:",
        "tests/folder/test_replace.py",
    ),
    Mutant(
        "a file removed without a second look", "folder/replace.py",
        "    if is_at_rest(directory, held, old):\n        disk.unlink(directory, held)\n        return",
        "    if True:\n        disk.unlink(directory, held)\n        return",
        "tests/folder/test_replace.py",
    ),
    Mutant(
        "a new file placed over one that appeared", "folder/replace.py",
        "        _rename_new(disk, directory, temp, name)\n",
        "        disk.rename(directory, temp, name)\n", acted("the first sync of a repo"),
    ),
    Mutant(
        "a deletion sent without being proven again", "cycle/push/outbox.py",
        "            return self._still_gone(change, root)", "            return change", MIRROR,
        "is_back",
    ),
    Mutant(
        "keys of a map unsorted", "atproto/dagcbor.py", "sorted(", "list(",
        "tests/atproto/test_dagcbor.py",
    ),
    Mutant(
        "history after the file is gone", "cycle/pull/supersede.py",
        "    work.failed.update(keeper.archive(work.versions))\n", "",
        died("a conflict that the repo wins"),
    ),
    Mutant(
        "a file removed whose version is not in history", "cycle/pull/supersede.py",
        "        if seen.path not in work.failed:\n", "        if True:\n",
        "tests/cycle/pull/test_supersede.py",
    ),
    Mutant(
        "a replacement in history that did not happen", "cycle/pull/supersede.py",
        "        if text == old:\n", "        if False:\n", "tests/cycle/pull/test_supersede.py",
    ),
    Mutant(
        "a merge that forgets the repo's side", "cycle/pull/merge.py",
        "done.memory(base, blocks).and_then(Memory(waiting=pushes))", "Memory(waiting=pushes)",
        "tests/cycle/pull/test_conflicts.py", "merged_and_pushed",
    ),
    Mutant(
        "an arrival forgotten", "cycle/mirror.py",
        "        self.state.record(Memory(waiting={s.path: (Arrival(s.path, s.remote),) for s in steps"
        "}))\n",
        "", "tests/model/test_meanwhile.py",
    ),
    Mutant(
        "a deletion that is tried again counted twice", "state/history.py",
        " if path not in but", "", "tests/cycle/decide/test_brake.py",
    ),
    Mutant(
        "a write believed before it was seen in the tree", "cycle/push/pusher.py",
        "waiting={change.path: (Retry(change.path, TO_BE_SEEN),) for change in batch}",
        "waiting={change.path: () for change in batch}", MIRROR, "pushed_and_reverted",
    ),
    Mutant(
        "an echo told by time", "news.py",
        "        self._heard_at = _now()\n        head = self._head()\n"
        "        if head is not None and ring.commit == head.commit:\n",
        "        before, self._heard_at = self._heard_at, _now()\n        if before + 2 > _now():\n",
        "tests/test_news.py",
    ),
    Mutant(
        "a write without a guard not looked at again", "cycle/push/pusher.py",
        "        if found not in (change.after, stored):\n", "        if False:\n",
        "tests/cycle/push/test_receipts.py", "overlap",
    ),
    Mutant(
        "a folder that is not ours", "folder/root.py",
        "    if found != expected:\n        raise FolderWrong(\n            f\"{root} is another mirror",
        "    if False:\n        raise FolderWrong(\n            f\"{root} is another mirror",
        "tests/cycle/decide/test_brake.py", "replaced",
    ),
    Mutant(
        "a signature not checked", "replica.py", "        verify(found, key)\n", "        pass\n",
        "tests/cycle/observe/test_remote.py",
    ),
    Mutant(
        "the stat of a young file believed", "folder/read.py",
        ") and max(seen.mtime_ns, seen.ctime_ns) + RACY_NS <= seen.seen_ns", ")",
        "tests/folder/test_scan.py",
    ),
    Mutant(
        "the state file not waiting for the disk", "state/file.py",
        'connection.execute("PRAGMA synchronous = FULL")',
        'connection.execute("PRAGMA synchronous = OFF")', "tests/state/test_store.py",
    ),
    Mutant(
        "what a sparse checkout leaves out is deleted", "cycle/git/companion.py",
        "        return found.with_inert(", "        return found or found.with_inert(",
        "tests/git/test_sparse.py",
    ),
    Mutant(
        "a subtree that is not read counts as empty", "atproto/mst/read.py",
        "                stack.append((below, before))\n", "                pass\n",
        "tests/atproto/mst/test_read.py",
    ),
)  # fmt: skip


def planted(mutant: Mutant) -> str:
    """The module with its bug. Raises ValueError unless the text to change is there exactly once."""
    text = (ROOT / "syncd" / mutant.module).read_text(encoding="utf-8")
    if text.count(mutant.before) != 1:
        raise ValueError(f"{mutant.name}: {text.count(mutant.before)} places in {mutant.module}")
    return text.replace(mutant.before, mutant.after)


@contextmanager
def a_copy() -> Iterator[Path]:
    """Another checkout of what the tests need."""
    with TemporaryDirectory(prefix="syncd-mutant-") as place:
        copy = Path(place)
        for name in ("syncd", "tests", "docs", "systemd"):
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
        for name in ("pyproject.toml", "ARCHITECTURE.md", "README.md"):
            shutil.copy(ROOT / name, copy / name)
        yield copy


def passes(mutant: Mutant, copy: Path) -> bool:
    """False if one of the mutant's tests fails; raises ValueError if none was run at all."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.tests]
    chosen = ["-k", mutant.words] if mutant.words else []
    done = subprocess.run(
        [*command, *chosen, "-m", "not reference"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise ValueError(
            f"{mutant.name}: pytest ended with {done.returncode}: {done.stdout[-800:]}"
        )
    return done.returncode == 0


def check_healthy(mutants: Sequence[Mutant]) -> None:
    """The tests pass where no bug is planted: else their failing would say nothing."""
    with a_copy() as copy:
        for mutant in {(m.tests, m.words): m for m in mutants}.values():
            if not passes(mutant, copy):
                raise ValueError(f"{mutant.tests} fails without any bug")


def survivors(mutants: Sequence[Mutant]) -> Iterator[Mutant]:
    for mutant in mutants:
        with a_copy() as copy:
            (copy / "syncd" / mutant.module).write_text(planted(mutant), encoding="utf-8")
            is_noticed = not passes(mutant, copy)
        sys.stdout.write(f"{'noticed ' if is_noticed else 'SURVIVES'}  {mutant.name}\n")
        sys.stdout.flush()
        if not is_noticed:
            yield mutant


def main(words: Sequence[str]) -> int:
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    started = time.monotonic()
    check_healthy(chosen)
    left = list(survivors(chosen))
    seconds = time.monotonic() - started
    noticed = len(chosen) - len(left)
    sys.stdout.write(f"{len(chosen)} bugs planted, {noticed} noticed, in {seconds:.0f} s\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
