"""What must hold after every step of a schedule, seen from outside: nothing here asks syncd why.

Nobody's version is lost (journal.py) comes first. The others catch what that one is blind to: a
memory that runs ahead of what is there, a deletion nobody made, a write that does not name what it
replaces, a file that is half there, a spoilt file taken for an answer, traffic without a reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.atproto.cid import Cid
from syncd.atproto.xrpc import Request
from syncd.model import Policy, RecordPath
from tests.rigs.staged import IN_HISTORY

from .journal import Sent, Version

if TYPE_CHECKING:
    from tests.rigs.staged import Desk, Seen

    from .scene import Scene

GUARDS = {
    "com.atproto.repo.applyWrites": "swapCommit",
    "com.atproto.repo.putRecord": "swapRecord",
    "com.atproto.repo.deleteRecord": "swapRecord",
}
"""What a write names that it replaces. A creation replaces nothing: it is refused by itself."""
CREATION = "com.atproto.repo.applyWrites#create"


class Laws:
    """Watches one scene.

    `published` is every version that the repo ever had; `beyond` are the records that no JSON file
    can express, whose files say nothing.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.published: set[Version] = set()
        self.sent: set[tuple[str, Version]] = set()
        self.beyond: set[RecordPath] = set()

    # --- When a write arrives at the PDS ---------------------------------------------------------

    def check_sent(self, desk: Desk, request: Request, changes: Sequence[Sent]) -> None:
        """A write names what it replaces, and what it brings or takes away is somebody's doing."""
        assert not (gone := self.scene.blobs.lost()), (desk.name, "no bytes are left", gone)
        body = json.loads(request.body or b"{}")
        if GUARDS[request.nsid] not in body:
            is_creation = {write["$type"] for write in body.get("writes", [])} == {CREATION}
            # A PDS that honours no guards gets none: some refuse a request that has one.
            assert is_creation or not self.scene.is_guarded, (request.nsid, changes)
            is_new = all(change.before is None for change in changes)
            assert is_new or not is_creation, (request.nsid, changes)
        for change in changes:
            self._check_change(desk, change)

    def _check_change(self, desk: Desk, change: Sent) -> None:
        assert change.path not in desk.unmerged, (
            desk.name,
            "sent while git has it unmerged",
            change,
        )
        assert not desk.is_rebasing, (desk.name, "sent in the middle of a rebase", change)
        if desk.is_in_doubt:
            # The state file was lost: what differs since may be what a person had held back.
            is_decided = change.path in desk.diary.decided
            assert is_decided, (desk.name, "sent in doubt, and nobody approved", change)
        if change.after is not None:
            is_draft = (change.path, change.after) in self.scene.journal.drafts
            assert not is_draft, (desk.name, "a draft that nobody published", change)
            self.published.add((change.path, change.after))
            self.sent.add((desk.name, (change.path, change.after)))
            is_written = (change.path, change.after) in self.scene.journal.written
            assert is_written or _is_merging(desk, change.path), (desk.name, "nobody wrote", change)
        elif change.before is not None:
            state = desk.device.mirror.state
            told_of = {*state.base(), *state.decisions()}
            version = change.path, change.before
            is_known = change.path in told_of or (desk.name, version) in self.sent
            assert is_known, (desk.name, "a deletion of what it never knew", change)
            is_given_up = self._is_given_up(version)
            assert is_given_up, (desk.name, "nobody deleted", change)
        desk.diary.pushes += change.before != change.after
        self.scene.overtaken(change.path, by=desk)
        assert desk.diary.pushes <= desk.diary.acts, (
            desk.name,
            "more was sent than was done here",
            change,
        )

    def _is_given_up(self, version: Version) -> bool:
        """Also where a setting or an equal content may give it up without anybody's knowing."""
        journal = self.scene.journal
        return version[0] in IN_HISTORY or version in journal.superseded | journal.spoilt

    # --- After a step, and after a crash ---------------------------------------------------------

    def check(
        self, seen: Mapping[str, Seen], folders: Mapping[str, Mapping[RecordPath, Cid]]
    ) -> None:
        """All that holds at any time, a crash included, of the `seen` files and what they say."""
        assert not (gone := self.scene.blobs.lost()), ("no bytes are left", gone)
        self.published |= self.scene.world.records().items()
        names = {file.name for file in self.scene.world.tmp_path.iterdir()}
        assert names == self.scene.desks.keys(), "something lies outside the folders"
        for name, local in folders.items():
            desk = self.scene.desks[name]
            self._check_files(desk, seen[name].files, local)
            for path, cid in local.items():
                desk.diary.saw(path, cid)
            self._check_base(desk)

    def _check_files(
        self, desk: Desk, there: Mapping[RecordPath, Path], local: Mapping[RecordPath, Cid]
    ) -> None:
        """Files are whole, those that a person spoilt are as they were left, and none just went."""
        for path, text in desk.diary.spoilt.items():
            if path not in desk.diary.decided:
                # In a collection with pages, syncd may have put its own file beside a spoilt one.
                texts = [file.read_bytes() for file in desk.files(path)]
                assert text in texts, (desk.name, "not inert", path)
        broken = there.keys() - local.keys() - desk.diary.spoilt.keys() - self.beyond
        assert not broken, (desk.name, "half there", broken)
        for path in desk.diary.shown.keys() - there.keys():
            version = path, desk.diary.shown[path]
            is_given_up = self._is_given_up(version)
            is_hidden = desk.file(path).exists()  # by a directory of that name
            assert is_given_up or is_hidden, (desk.name, "nobody deleted", version)

    def _check_base(self, desk: Desk) -> None:
        """What is remembered as agreed was once in this folder and once in the repo."""
        for path, cid in desk.device.mirror.state.base().items():
            assert (path, cid) in self.published, (desk.name, "never in the repo", path, cid)
            if path not in desk.diary.decided | self.beyond and not _is_merging(desk, path):
                assert (path, cid) in desk.diary.held, (desk.name, "never in the folder", path, cid)


def _is_merging(desk: Desk, path: RecordPath) -> bool:
    """Whether syncd may write versions of a record that no person wrote."""
    return desk.config.policy(path) is Policy.MERGE
