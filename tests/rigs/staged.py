"""One machine: a real folder, the real syncd on a staged disk, and whoever sits before it.

Everything that a person does here is in the journal of the scene and in the desk's diary.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncd.atproto import xrpc
from syncd.atproto.cid import Cid
from syncd.config import Config
from syncd.config.values import Markdown
from syncd.cycle.git.companion import Companion
from syncd.errors import SyncdError
from syncd.folder.names import record_path_of, relative_path, relative_paths
from syncd.forms import ENDINGS, Form
from syncd.mirror.follow.markdown import follow_markdown
from syncd.mirror.held import decide_held, held_changes
from syncd.mirror.notices import ignore
from syncd.mirror.publishing import prepare, publish, unpublish
from syncd.model import (
    Choice,
    Conflict,
    Decision,
    Held,
    Kind,
    Policy,
    RecordPath,
    Report,
    split_record_path,
)
from syncd.replica import remotes_of
from syncd.state import History, open_or_renew
from syncd.state.notes import Doubt
from tests.model.disks import StagedDisk
from tests.model.journal import Diary, Sent, Version
from tests.model.points import Crash, StagedPds
from tests.rigs.device import Device, rework
from tests.rigs.papers import as_written, body_of, cid_of_text, page_of, reformatted
from tests.rigs.pictures import FIELD, kept_in, picture

if TYPE_CHECKING:
    from tests.model.scene import Scene

MINE, THEIRS = RecordPath("com.example.mine/a"), RecordPath("com.example.theirs/a")
SAME = RecordPath("com.example.same/a")
IN_HISTORY = (MINE, THEIRS, SAME)
"""Where one side wins by a setting, or where people write what was there before: a version of that
path may be in history only."""
AGED_NS = 10_000_000_000
WHERE = (".txt", "sub", ".draft")
"""Where a record's file is no record: under another ending, in a directory, as a draft."""
AWAY = re.compile(r"[^/]*\.[^/]*/([^/]*\.txt|sub/[^/]*\.(json|md)|[^/]*\.draft\.(json|md))")


@dataclass(frozen=True, slots=True)
class Seen:
    """A folder at one moment: the paths of all its files, and the files of its records."""

    names: Sequence[str]
    files: Mapping[RecordPath, Path]


def said_by(files: Mapping[RecordPath, Path]) -> dict[RecordPath, Cid]:
    """What the files of records say; those that say nothing are left out."""
    found = {path: _cid_in(file, path) for path, file in files.items()}
    return {path: cid for path, cid in found.items() if cid is not None}


@dataclass
class Desk:
    """One machine and whoever sits before it."""

    name: str
    scene: Scene
    root: Path
    config: Config
    device: Device = field(init=False)
    disk: StagedDisk = field(init=False)
    pds: StagedPds = field(init=False)
    sent: list[tuple[RecordPath, str]] = field(default_factory=list)
    skew_ns: int = 0
    diary: Diary = field(default_factory=Diary)
    unmerged: set[RecordPath] = field(default_factory=set)
    is_rebasing: bool = False

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """As the program comes up."""
        self.open()
        follow_markdown(self.device.mirror.workspace, ignore)

    def open(self) -> None:
        """As it is before it has followed its settings."""
        world = self.scene.world
        self.pds = StagedPds(world.sandbox, world.login.did, self.scene.gate)
        self.pds.sent, self.pds.witness = self.sent, self._witness
        marker = (self.root / ".syncd" / "marker").read_text(encoding="ascii").strip()
        state = self.root / ".syncd" / "state.db"
        open_or_renew(state, did=world.login.did, marker=marker).close()
        self.device = Device.open(self.root, world.account(), self.pds, self.config)
        self.disk = StagedDisk(self.scene.gate, self._shows)
        mirror = self.device.mirror
        rework(mirror, folder=replace(mirror.folder, disk=self.disk))
        rework(mirror, clock_ns=lambda: time.time_ns() + self.skew_ns)
        mirror.sleep, mirror.jitter = _no_time, float
        if (self.root / ".git").exists():
            mirror.companion = Companion(mirror.workspace)

    def stop(self) -> None:
        self.device.mirror.state.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def choose(self, markdown: Markdown) -> None:
        """Change the setting `[files] markdown`; the program is to come up again after that."""
        self.stop()
        self.config = replace(self.config, markdown=markdown)
        self.open()
        for path in list(self.diary.spoilt):
            # What holds no record keeps its name, which these settings may not know.
            if not self.files(path):
                del self.diary.spoilt[path]

    def lose_state(self) -> None:
        """What was held, and what was agreed on, is forgotten. No person did anything."""
        self.stop()
        for file in (self.root / ".syncd").glob("state.db*"):
            file.unlink()
        self.start()

    def replace_state(self, files: dict[str, bytes]) -> None:
        """An older state file comes back; what is newer in the folder looks like edits."""
        self.diary.acts += len(self.local())
        self.stop()
        for file in (self.root / ".syncd").glob("state.db*"):
            file.unlink()
        for name, content in files.items():
            (self.root / ".syncd" / name).write_bytes(content)
        self.start()

    def all_files(self) -> dict[Path, bytes]:
        """The whole folder, memory included, as a backup has it."""
        self.stop()
        found = {file: file.read_bytes() for file in self.root.rglob("*") if file.is_file()}
        self.start()
        return found

    def put_back(self, files: dict[Path, bytes]) -> None:
        self.stop()
        shutil.rmtree(self.root)
        for file, content in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        self.start()

    def state_files(self) -> dict[str, bytes]:
        self.stop()
        found = {file.name: file.read_bytes() for file in (self.root / ".syncd").glob("state.db*")}
        self.start()
        return found

    # --- The person ------------------------------------------------------------------------------

    def files(self, path: str) -> list[Path]:
        """The files of a record that are there: one at most, if nobody has made another."""
        folder = self.device.mirror.folder
        names = relative_paths(RecordPath(path), portable=folder.portable, forms=folder.forms)
        # The random tests ask this more often than all else: a Path is made where a file is.
        return [self.root / name for name in names if os.path.exists(f"{self.root}/{name}")]  # noqa: PTH110

    def file(self, path: str) -> Path:
        """The file of a record: what a person would open, else what it would be."""
        folder, there = self.device.mirror.folder, self.files(path)
        if there:
            saying = (file for file in there if _cid_in(file, path) is not None)
            return next(saying, there[0]) if there[1:] else there[0]
        usual = relative_path(RecordPath(path), portable=folder.portable, forms=folder.forms)
        return self.root / usual

    def form(self, path: str) -> Form:
        return self.device.mirror.folder.forms.of(split_record_path(RecordPath(path))[0])

    def content(self, path: str) -> Cid | None:
        """What the record's file says, if it says anything."""
        return _cid_in(self.file(path), path)

    def save(self, path: str, **fields: Any) -> None:  # noqa: ANN401
        """Save a record as editors do, under its name in one step; new content if none is given."""
        self.save_text(path, self._written(path, **fields))

    def _written(self, path: str, **fields: Any) -> bytes:  # noqa: ANN401
        """A record as this person writes it, in JSON here and there also where pages are usual."""
        given = {"$type": path.partition("/")[0], **body_of(fields.get("v")), **fields}
        record = given if fields else self.scene.fresh(path)
        return as_written(self.form(path), record, in_json=record.get("v") in range(4, 1000, 5))

    def save_text(self, path: str, text: bytes, *, in_place: bool = False) -> None:
        file = self._target(path, text)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._replaced(path)
        if in_place:
            file.write_bytes(text)
        else:
            temp = file.with_name(f"{file.name}.swp")
            temp.write_bytes(text)
            temp.replace(file)
        self._wrote(path)
        self._left(path)

    def draw(self, path: str, word: str) -> None:
        """Save a record that names a picture, which is to be uploaded."""
        file = self.root / "pictures" / f"{word}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture(word))
        named = {"$type": "blob", "$file": f"pictures/{word}.png"}
        record = {**self.scene.fresh(path), FIELD: named}
        is_page = bool(self.form(path).bodies)
        self.save_text(path, page_of(record) if is_page else json.dumps(record).encode())

    def _target(self, path: str, text: bytes) -> Path:
        """Where a person saves a text: over the file that is there, or under the right ending."""
        file = self.file(path)
        return file if file.exists() else _ending_with(file, self.form(path).ending_of(text))

    def type(self, path: str) -> None:
        """Save new content into the file that is there, as simpler editors do."""
        self.save_text(path, self._written(path), in_place=True)

    def spoil(self, path: str, text: bytes = b'{"half": ') -> None:
        self.scene.journal.spoil(RecordPath(path))
        self.save_text(path, text)

    def reformat(self, path: str) -> None:
        """Lay a file out anew: nothing that anybody has to keep."""
        file = self.file(path)
        file.write_bytes(reformatted(file.read_bytes()))

    def delete(self, path: str) -> None:
        self._replaced(path)
        self._clear(path)
        self._left(path)

    def _clear(self, path: str) -> None:
        for file in self.files(path):
            self.scene.journal.replaced(RecordPath(path), _cid_in(file, path))
            file.unlink()

    def rename(self, path: str, new: str) -> None:
        if self.file(path).exists():
            self._replaced(new)
            self._replaced(path)
            self._place(self.file(path), new)
            name, cid = RecordPath(new), self.content(new)
            if cid is None:
                self.scene.journal.spoil(name)
            elif (name, cid) in self.scene.journal.written:
                self.scene.journal.wrote_again(name, cid, self.name)
            else:
                self._wrote(new)
            self._left(path)
            self._left(new)

    def decide(self, path: str, choice: Choice) -> None:
        """Answer an open conflict, as `syncd resolve` does: the other one is replaced knowingly."""
        for item in self.device.mirror.state.waiting():
            if isinstance(item, Conflict) and item.path == path:
                loser = item.remote if choice is Choice.LOCAL else item.local
                self.scene.journal.replaced(item.path, loser)
                self._answered(item.path)
                decision = Decision(item.path, choice, item.local, item.remote)
                self.device.mirror.state.decide([decision])

    def answer_what_is_held(self, choice: Choice) -> None:
        """Answer for every change that is held, as `syncd approve` and `syncd reject` do."""
        workspace = self.device.mirror.workspace
        held = held_changes(workspace)
        decide_held(workspace, held, choice)
        for item in held:
            self._answered(item.path)
            if item.kind is not Kind.DELETION:
                loser = item.remote if choice is Choice.APPROVE else item.local
                self.scene.journal.replaced(item.path, loser)
            elif choice is Choice.REJECT:
                sides = self.device.base(), self.scene.world.records()
                back = {side[item.path] for side in sides if item.path in side}
                self.scene.journal.spoilt |= {(item.path, cid) for cid in back}

    @property
    def is_answerable(self) -> bool:
        """Whether a conflict or a held change waits for this person."""
        waiting = self.device.mirror.state.waiting()
        return any(isinstance(item, Conflict | Held) for item in waiting)

    @property
    def is_in_doubt(self) -> bool:
        return self.device.mirror.state.note(Doubt) is not None

    def taken_from_git(self, path: str, before: Cid | None) -> None:
        """Note that git, called by this person, changed a file which said `before` until then."""
        name, cid = RecordPath(path), self.content(path)
        self.diary.saw(name, before)
        self.scene.journal.replaced(name, before)
        if cid is not None and (name, cid) not in self.scene.journal.written:
            self._wrote(path)
        if self.file(path).exists():
            self._came_back(path)
        else:
            self._left(path)

    # --- Where a file is no record ----------------------------------------------------------------

    def move_away(self, path: str, where: str) -> None:
        """Move a record's file to where it is none: the repo keeps the record."""
        file = self.file(path)
        if file.exists() and not self._away(path, where):
            new = _elsewhere(file, where)
            new.parent.mkdir(exist_ok=True)
            self.diary.saw(RecordPath(path), self.content(path))
            file.rename(new)
            self._left(path)

    def move_back(self, path: str, where: str) -> None:
        """Move it back, over whatever took its place meanwhile."""
        for away in self._away(path, where):
            self._replaced(path)
            self._place(away, path)
            cid = self.content(path)
            if cid is not None:
                # Whoever gives a draft the name of a record by hand publishes it.
                self.scene.journal.drafts.discard((RecordPath(path), cid))
            self._came_back(path)

    def draft(self, path: str) -> None:
        """Write a draft of a record, whether there is one or not."""
        text = self._written(path)
        cid, file = _cid_of(text, path), _elsewhere(self._target(path, text), ".draft")
        if cid is not None and not self._away(path, ".draft"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text)
            self.scene.journal.drafted(RecordPath(path), cid, self.name)

    def publish(self, path: str) -> None:
        """As `syncd publish` does; what it refuses stays a draft."""
        workspace, before = self.device.mirror.workspace, self.content(path)
        drafts = self._away(path, ".draft")
        if not drafts:
            return
        with suppress(SyncdError):
            publication = prepare(workspace, str(drafts[0].relative_to(self.root)))
            cid = _cid_of(publication.content, path)
            self.scene.journal.drafts.discard((RecordPath(path), cid))
            self.scene.journal.replaced(RecordPath(path), before)
            publish(workspace, publication)
            self._came_back(path)

    def unpublish(self, path: str) -> None:
        """As `syncd unpublish` does: a person gives up what syncd has seen in the repo."""
        workspace = self.device.mirror.workspace
        head, before = workspace.state.head(), self.content(path)
        seen = {} if head is None else remotes_of(head, [RecordPath(path)], workspace.state.node)
        with suppress(SyncdError):
            unpublish(workspace, RecordPath(path))
            self.diary.saw(RecordPath(path), before)
            self.scene.journal.replaced(RecordPath(path), seen.get(RecordPath(path)))
            self._answered(RecordPath(path))
            self._left(path)

    def _away(self, path: str, where: str) -> list[Path]:
        """The file of a record that lies where it is none, if there is one."""
        usual = (_ending_with(self.file(path), ending) for ending in self.form(path).endings)
        places = (_elsewhere(file, where) for file in usual)
        return [file for file in dict.fromkeys(places) if file.exists()][:1]

    def _place(self, file: Path, path: str) -> None:
        """Give a file the name of a record, with its own ending if a record's can have that."""
        endings = self.form(path).endings
        usual, text = self.file(path), file.read_bytes()
        ending = file.suffix if file.suffix in endings else self.form(path).ending_of(text)
        target = _ending_with(usual, ending)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._clear(path)
        file.rename(target)

    def _came_back(self, path: str) -> None:
        name, cid = RecordPath(path), self.content(path)
        if cid is None:
            self.scene.journal.spoil(name)
        else:
            self.scene.journal.wrote_again(name, cid, self.name)
        self._left(path)

    def _answered(self, path: RecordPath) -> None:
        self.diary.acts += 1
        self.diary.decided.add(path)

    def _replaced(self, path: str) -> None:
        self.diary.saw(RecordPath(path), self.content(path))
        self.scene.journal.replaced(RecordPath(path), self.content(path))

    def _left(self, path: str) -> None:
        file = self.file(path)
        text = file.read_bytes() if file.is_file() else None
        self.diary.left(RecordPath(path), self.content(path), text)

    def _wrote(self, path: str) -> None:
        cid = self.content(path)
        if cid is not None:
            self.scene.journal.wrote(RecordPath(path), cid, self.name)

    # --- The program -----------------------------------------------------------------------------

    async def sync(self) -> Report:
        try:
            report = await self.device.mirror.sync()
        except BaseExceptionGroup as group:
            # The program ended while blobs came, several at a time.
            if group.subgroup(Crash) is None:
                raise
            raise Crash from group
        for path, cid in self.local().items():
            self.diary.saw(path, cid)
        return report

    async def look_when_aged(self, skew_ns: int = AGED_NS) -> Report:
        """Sync when the files are old enough for their stat to prove something, by this clock."""
        await asyncio.sleep(0.015)
        self.skew_ns = skew_ns
        try:
            return await self.sync()
        finally:
            self.skew_ns = 0

    def _shows(self, came: Path) -> None:
        """A file, or a directory of them, took a name; a power cut may still undo that."""
        found = {path: _cid_in(file, path) for path, file in self.record_files(came).items()}
        self.diary.held |= {(path, cid) for path, cid in found.items() if cid is not None}

    def _witness(self, request: xrpc.Request, changes: Sequence[Sent]) -> None:
        self.scene.laws.check_sent(self, request, changes)

    # --- What is there ---------------------------------------------------------------------------

    def seen(self) -> Seen:
        """Look at the whole folder once."""
        names = _names(self.root, self.root)
        return Seen(names, self._record_files(names))

    def record_files(self, at: Path | None = None) -> dict[RecordPath, Path]:
        """The files that stand for records: in the folder, or the one or those `at` a place."""
        return self._record_files(_names(self.root, at or self.root))

    def _record_files(self, names: Sequence[str]) -> dict[RecordPath, Path]:
        folder, found = self.device.mirror.folder, dict[RecordPath, Path]()
        for name in sorted(names):
            form = folder.forms.of(name.partition("/")[0])
            if "/" not in name or not name.endswith(form.endings):
                continue
            if not (AWAY.fullmatch(name) or f"/{name}".count("/.")):
                path = record_path_of(name, portable=folder.portable, forms=folder.forms)
                found[path] = self.file(path)
        return found

    def local(self) -> dict[RecordPath, Cid]:
        """What the files say; files that say nothing are left out."""
        return said_by(self.record_files())

    def versions(self, seen: Seen) -> set[Version]:
        """All that can be had back here besides its files, with or without a command of syncd."""
        found: set[Version] = set()
        for name in seen.names:
            *above, last = name.split("/")
            is_kept = name.startswith(".syncd/recovered/") or last.startswith(".syncd-x-")
            # A page that names a picture stays one where the setting was taken away.
            is_left = (
                last.endswith(".md") and not self.form(f"{above[0]}/x").bodies if above else False
            )
            if not (is_kept or is_left or AWAY.fullmatch(name)):
                continue
            collection = above[-1] if is_kept else above[0]
            text = (self.root / name).read_bytes()
            found |= self._at_any_path(_cid_of(text, f"{collection}/x"))
        found |= set(self.kept_conflicts()) | self._beside(seen)
        return found | {version for version in self.superseded() if version[0] in IN_HISTORY}

    def _beside(self, seen: Seen) -> set[Version]:
        """What the files say of records that have two: a person's, and one that syncd put there."""
        pairs = ((path, self.files(path)) for path in seen.files)
        said = {(path, _cid_in(file, path)) for path, two in pairs if two[1:] for file in two}
        return {(path, cid) for path, cid in said if cid is not None}

    def superseded(self) -> set[Version]:
        """What history has."""
        found: set[Version] = set()
        for file in (self.root / ".syncd").glob("history.db*"):
            if not file.name.endswith(("-journal", "-wal", "-shm")):
                found |= _superseded(History(file))
        return found

    def _at_any_path(self, cid: Cid | None) -> set[Version]:
        return {version for version in self.scene.journal.written if version[1] == cid}

    def kept_conflicts(self) -> Iterator[Version]:
        root = self.root / ".syncd" / "conflicts"
        if not root.is_dir():
            return
        for file in sorted(each for each in root.rglob("*") if each.suffix in ENDINGS):
            name = str(file.relative_to(root)).removesuffix(file.suffix)
            path, _, _ = name.rpartition(".")
            cid = _cid_of(file.read_bytes(), path)
            if cid is not None:
                yield RecordPath(path), cid

    def waiting(self) -> list[tuple[str, str]]:
        found = self.device.mirror.state.waiting()
        return sorted((item.path, type(item).__name__) for item in found)

    def end(self) -> dict[str, Any]:
        return {
            "files": {p: file.read_bytes() for p, file in self.record_files().items()},
            "base": {path: str(cid) for path, cid in self.device.base().items()},
            "conflicts": sorted((path, str(cid)) for path, cid in self.kept_conflicts()),
            "waiting": self.waiting(),
            "blobs": kept_in(self.root),
        }

    # --- What must hold --------------------------------------------------------------------------

    def check_agreement(self) -> None:
        """Base, files and repo are equal wherever nothing waits."""
        state, records = self.device.mirror.state, self.scene.world.records()
        waiting = {path for path, _ in self.waiting()}
        base, local = state.base(), self.local()
        for path in base.keys() | local.keys() | records.keys():
            if path not in waiting and not self._is_beyond_json(path):
                views = base.get(path), local.get(path), records.get(path)
                assert len(set(views)) == 1, (self.name, path, views)
        head = state.head()
        assert head is not None
        assert head == self.scene.repo.head

    def _is_beyond_json(self, path: RecordPath) -> bool:
        """True if the file cannot express its record: only its bytes can be compared then."""
        return self.content(path) is None and self.file(path).is_file()

    def check_order(self) -> None:
        """Nothing of what syncd makes for itself is left lying about."""
        names = [file.name for file in self.root.rglob(".syncd-*")]
        assert not names, (self.name, names)
        open_conflicts = {
            (item.path, item.remote)
            for item in self.device.mirror.state.waiting()
            if isinstance(item, Conflict) and item.remote is not None
        }
        assert set(self.kept_conflicts()) == open_conflicts, self.name

    async def check_idleness(self) -> None:
        """Another look asks once, writes nothing and touches no file."""
        before, head, requests = self._stats(), self.scene.repo.head, self.pds.requests
        report = await self.sync()
        assert not did_something(report), report
        assert self._stats() == before, self.name
        assert self.scene.repo.head == head, self.name
        is_merging = any(Policy.MERGE is self.config.policy(c.path) for c in report.conflicts)
        assert self.pds.requests <= requests + 1 + is_merging, self.name

    def _stats(self) -> dict[str, tuple[int, int]]:
        there = {name: (self.root / name).stat() for name in _names(self.root, self.root)}
        return {
            name: (found.st_ino, found.st_mtime_ns)
            for name, found in there.items()
            if not name.rpartition("/")[2].startswith(("state.db", "history.db"))
        }


def did_something(report: Report) -> bool:
    done = report.pushed or report.pulled or report.adopted or report.merged
    return bool(done) or report.is_unfinished


def _cid_of(text: bytes, path: str) -> Cid | None:
    return cid_of_text(text, split_record_path(RecordPath(path))[0])


def _cid_in(file: Path, path: str) -> Cid | None:
    return _cid_of(file.read_bytes(), path) if file.is_file() else None


def _names(root: Path, at: Path) -> list[str]:
    """The files at or below a place, by their paths from `root`."""
    top = len(f"{root}/")
    found = [str(at)] if at.is_file() else _files_below(str(at))
    return [file[top:] for file in found]


def _files_below(directory: str) -> Iterator[str]:
    """The files below a directory, if it is there. No symbolic link to a directory is followed."""
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path)
        elif entry.is_file():
            yield entry.path


def _ending_with(file: Path, ending: str) -> Path:
    """The file under another ending that the file of a record can have."""
    old = next(each for each in ENDINGS if file.name.endswith(each))
    return file.with_name(file.name.removesuffix(old) + ending)


def _elsewhere(file: Path, where: str) -> Path:
    match where:
        case "sub":
            return file.parent / where / file.name
        case ".draft":
            return _ending_with(file, where + file.suffix)
    return _ending_with(file, where)


def _superseded(history: History) -> set[Version]:
    there = {cid for cid, _ in history.readable_versions()}
    return {(event.path, event.cid) for event in history.readable_events() if event.cid in there}


async def _no_time(_: float) -> None:
    """Waiting costs nothing here."""
