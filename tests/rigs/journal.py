"""What everybody wrote, what its author gave up, and where a command of syncd finds the rest.

A version is *given up* only by somebody who could see it: by whoever saves over it or deletes it in
its own folder, or, in the repo, by the other client. Whatever syncd writes over, and whatever goes
by accident, is not given up: it must be in a file, in the repo, beside the folder, or in history.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block, parse_cid
from syncd.atproto.data import cid_of
from syncd.atproto.jsontext import parse_record
from syncd.errors import BadJson, SyncdError
from syncd.folder.names import record_path_of
from syncd.model import RecordPath
from syncd.state import History

if TYPE_CHECKING:
    from .stage import Stage

Version = tuple[RecordPath, Cid]
"""A record or, under a raw CID, the bytes of a file that stands for none."""


@dataclass(slots=True)
class Journal:
    """Every version and its author; a version that is written again is no longer given up."""

    authors: dict[Version, str] = field(default_factory=dict)
    given_up: set[Version] = field(default_factory=set)

    def wrote(self, path: RecordPath, cid: Cid, author: str) -> None:
        self.authors[path, cid] = author
        self.given_up.discard((path, cid))

    def gave_up(self, path: RecordPath, cid: Cid | None) -> None:
        if cid is not None:
            self.given_up.add((path, cid))

    def to_be_found(self) -> dict[Version, str]:
        return {v: author for v, author in self.authors.items() if v not in self.given_up}


@lru_cache(maxsize=10_000)
def cid_of_file(path: RecordPath, content: bytes) -> Cid:
    """The CID of the record, or of the bytes where they are none."""
    try:
        return cid_of(parse_record(content, path.partition("/")[0]))
    except BadJson:
        return cid_of_blob(content)


def in_files(root: Path) -> Iterator[Version]:
    for file in root.glob("*/**/*.json"):
        if file.relative_to(root).parts[0] != ".syncd":
            path = record_path_of(str(file.relative_to(root)))
            yield path, cid_of_file(path, file.read_bytes())


def beside_the_folder(root: Path) -> Iterator[Version]:
    """`.syncd/conflicts/COLLECTION/RKEY.CID.json`, believed only where the content is the CID's."""
    for file in (root / ".syncd" / "conflicts").rglob("*.json"):
        rkey, cid = file.name.removesuffix(".json").rsplit(".", 1)
        path = RecordPath(f"{file.parent.name}/{rkey}")
        if cid_of_file(path, file.read_bytes()) == parse_cid(cid):
            yield path, parse_cid(cid)


def in_history(root: Path) -> Iterator[Version]:
    history = History(root / ".syncd" / "history.db")
    try:
        for event in history.events():
            content = history.content(event.cid)
            if content is not None:
                made = cid_of_block if event.cid.is_block else cid_of_blob
                yield event.path, made(content)
    except SyncdError:
        return


def lost(stage: Stage) -> dict[Version, str]:
    """Versions that nobody gave up and that are nowhere, with their authors."""
    found: set[Version] = set(stage.world.records().items())
    for root in stage.roots():
        found.update(in_files(root), beside_the_folder(root), in_history(root))
    missing = {v: author for v, author in stage.journal.to_be_found().items() if v not in found}
    bytes_lost = {(RecordPath(f"blobs/{cid}"), cid): "bytes" for cid in stage.blobs.lost()}
    return missing | bytes_lost


async def assert_nothing_lost(stage: Stage) -> None:
    """As `lost`, but by the commands that the documents name.

    What is in no file and not in the repo is asked for as a person would: `syncd conflicts` names
    the file of the other side, and `syncd restore` brings a version of `syncd log` back, in a copy
    of the mirror.
    """
    assert lost(stage) == {}
    plain = set(stage.world.records().items())
    for root in stage.roots():
        plain.update(in_files(root))
    hidden = stage.journal.to_be_found().keys() - plain
    for root in stage.roots():
        hidden -= await _told_by_conflicts(stage, root)
        hidden -= await _restored(stage, root, hidden)
    assert hidden == set(), "no command of syncd finds these versions"


async def _told_by_conflicts(stage: Stage, root: Path) -> set[Version]:
    if not (root / ".syncd" / "state.db").exists():
        return set()
    told = json.loads(await stage.command(root, "conflicts", "--json", codes=(0, 3)))
    beside = set(beside_the_folder(root))
    named = {(RecordPath(c["path"]), c["remote"]) for c in told["conflicts"]}
    return {(path, cid) for path, cid in beside if (path, str(cid)) in named}


async def _restored(stage: Stage, root: Path, wanted: set[Version]) -> set[Version]:
    there = wanted & set(in_history(root))
    if not there:
        return set()
    copy = shutil.copytree(root, stage.world.tmp_path / "copy")
    found: set[Version] = set()
    for path, cid in there:
        await stage.command(copy, "restore", path, "--cid", str(cid))
        found.update(version for version in in_files(copy) if version == (path, cid))
    shutil.rmtree(copy)
    return found
