"""The same machines, whose people put pictures into records, edit them and take them out again.

Bytes that were once on the PDS or in `blobs/` stay on one of the two (tests/rigs/pictures.py),
unless a person removes or edits their file, or the PDS loses them: that alone is excused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from syncd.atproto.cid import cid_of_blob
from syncd.model import RecordPath
from tests.rigs.pictures import FIELD, picture, reference
from tests.rigs.staged import Desk

from .machine import Machine, names

NOTES = ("com.example.note/a", "com.example.note/b")
WORDS = ("cat", "dog", "owl")
notes, words = st.sampled_from(NOTES), st.sampled_from(WORDS)


class Album(Machine):
    """Some machines fetch all pictures, and some none."""

    def wishes(self, name: str) -> dict[str, Any]:
        return {"blobs_fetch": "none" if name == "desktop" else "all"}

    # --- People ---------------------------------------------------------------------------------

    @rule(name=names, path=notes, word=words)
    def draw(self, name: str, path: str, word: str) -> None:
        """A record names a file: to be uploaded, or in the place of another picture."""
        self.desk(name).draw(path, word)

    @rule(name=names, path=notes, word=words)
    def refer(self, name: str, path: str, word: str) -> None:
        """A record names a picture that is in `blobs/` already, by its reference."""
        desk = self.desk(name)
        if blobs(desk, word):
            record = {**self.scene.fresh(RecordPath(path)), FIELD: reference(word)}
            desk.save_text(path, json.dumps(record).encode())

    @rule(name=names, word=words)
    def edit_the_original(self, name: str, word: str) -> None:
        """The file that was uploaded is edited in place: what is in `blobs/` stays as it was."""
        desk = self.desk(name)
        file = desk.root / "pictures" / f"{word}.png"
        texts = [each.read_bytes() for path in NOTES for each in desk.files(path)]
        if file.exists() and not any(b"$file" in text for text in texts):
            file.write_bytes(b"edited")

    @rule(name=names, word=words)
    def edit_in_blobs(self, name: str, word: str) -> None:
        for file in blobs(self.desk(name), word):
            file.chmod(0o644)
            file.write_bytes(b"edited")
        self.scene.blobs.excuse()

    @rule(name=names, word=words)
    def remove_in_blobs(self, name: str, word: str) -> None:
        for file in blobs(self.desk(name), word):
            file.unlink()
        self.scene.blobs.excuse()

    @rule(name=names, path=notes)
    def restore(self, name: str, path: str) -> None:
        """The newest version that history has comes back, with its picture."""
        desk, journal = self.desk(name), self.scene.journal
        for version in desk.device.mirror.history.events(RecordPath(path), 1):
            content = desk.device.mirror.history.content(version.cid)
            if content is not None and version.cid.is_block:
                self.may_rise = True
                was_given_up = (path, version.cid) in journal.superseded
                desk.save_text(path, desk.form(path).file_of(content))
                # Whoever brings back what a person gave up elsewhere undoes nothing there.
                if was_given_up:
                    journal.replaced(RecordPath(path), version.cid)
                    journal.wrote_again(RecordPath(path), version.cid, name)

    # --- The other side -----------------------------------------------------------------------

    @rule(path=notes, word=words)
    def put_picture(self, path: str, word: str) -> None:
        self.scene.put_picture(path, word)

    @rule(word=words)
    def lose(self, word: str) -> None:
        """The PDS loses the bytes."""
        store = self.scene.world.sandbox.blobs(self.scene.world.login.did)
        store._blobs.pop(cid_of_blob(picture(word)), None)
        self.scene.blobs.excuse()


def blobs(desk: Desk, word: str) -> list[Path]:
    """The file of a picture in `blobs/` of a machine, if it is there."""
    return list((desk.root / "blobs").glob(f"{cid_of_blob(picture(word))}*"))
