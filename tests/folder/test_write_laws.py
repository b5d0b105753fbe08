"""What holds of every write and removal, whatever was there, was seen, and came between."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.errors import FileChanged
from syncd.folder.root import OWN, Folder, initialise
from syncd.folder.write import Replacement, read_bytes, remove, write_many
from syncd.model import RecordPath, Seen
from tests.chance import THOROUGH
from tests.folder.conftest import MARKER
from tests.place import PLACE

COLLECTIONS = ("com.example.note", "com.example.page")
PATHS = tuple(RecordPath(f"{c}/{rkey}") for c in COLLECTIONS for rkey in ("a", "b", "A"))
CONTENTS = st.sampled_from([b"", b"{", b'{"v": 1}\n', b'{"v": 2}\n', b'{"v": 3}\r\n', b"\xff\0"])
VERSION = b'{"v": 0}\n'
FILES = st.dictionaries(st.sampled_from(PATHS), CONTENTS)
EDITS = st.dictionaries(st.sampled_from(PATHS), st.none() | CONTENTS)
WRITES = st.dictionaries(st.sampled_from(PATHS), CONTENTS)

Files = dict[RecordPath, bytes]
Edits = dict[RecordPath, bytes | None]


@contextmanager
def mirror(files: Files) -> Iterator[Folder]:
    with tempfile.TemporaryDirectory(prefix="syncd-test-", dir=PLACE) as place:
        root = Path(place)
        initialise(root, MARKER)
        for collection in COLLECTIONS:
            (root / collection).mkdir()
        people_leave(root, dict(files))
        yield Folder(root, MARKER)


def people_leave(root: Path, edits: Edits) -> None:
    """Save each file, or delete it, without a word to syncd."""
    for path, content in edits.items():
        file = root / f"{path}.json"
        if content is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(content)


def there(folder: Folder) -> Files:
    """Every file outside syncd's own directory, with whatever name."""
    found = (file for file in folder.root.rglob("*") if file.is_file())
    names = {file: str(file.relative_to(folder.root)) for file in found}
    return {
        RecordPath(name.removesuffix(".json")): file.read_bytes()
        for file, name in names.items()
        if not name.startswith(OWN)
    }


def seen_in(folder: Folder, path: RecordPath) -> Seen:
    """What a look found there, be it a record or not."""
    content, now = read_bytes(folder, path)
    return now.seen(path, cid_of_block(content), seen_ns=0)


def after(files: Files, edits: Edits) -> Files:
    return {p: c for p, c in {**files, **edits}.items() if c is not None}


@THOROUGH
@given(files=FILES, edits=EDITS, writes=WRITES)
def test_a_file_is_replaced_whole_if_it_is_what_was_seen_and_else_left_as_it_is(
    files: Files, edits: Edits, writes: Files
) -> None:
    with mirror(files) as folder:
        expected = {path: seen_in(folder, path) for path in files}
        people_leave(folder.root, edits)
        before = after(files, edits)
        wanted = [
            Replacement(path, content, expected.get(path), cid_of_block(content))
            for path, content in writes.items()
        ]
        answers = dict(zip(writes, write_many(folder, wanted), strict=True))
        for path, answer in answers.items():
            is_as_seen = before.get(path) == files.get(path)
            assert isinstance(answer, Seen if is_as_seen else FileChanged), (path, answer)
        taken = {path: writes[path] for path, a in answers.items() if isinstance(a, Seen)}
        assert there(folder) == before | taken


@THOROUGH
@given(files=FILES, edits=EDITS, path=st.sampled_from(PATHS))
def test_a_file_is_removed_if_it_is_what_was_seen_and_else_left_as_it_is(
    files: Files, edits: Edits, path: RecordPath
) -> None:
    with mirror({**files, path: VERSION}) as folder:
        expected = seen_in(folder, path)
        people_leave(folder.root, edits)
        before = there(folder)
        is_as_seen = before.get(path) == VERSION
        with nullcontext() if is_as_seen else pytest.raises(FileChanged):
            remove(folder, path, expect=expected)
        gone = {path} if is_as_seen else set()
        assert there(folder) == {p: c for p, c in before.items() if p not in gone}
