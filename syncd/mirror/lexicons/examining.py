"""Read the files of agreed records once: what each is, and whether it breaks its lexicon.

What it says of a file are bytes that fit through a pipe. Never writes, and reads no state file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Final

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record
from syncd.cycle.lexicons.reading import Reading
from syncd.folder.names import file_name
from syncd.folder.read import read_meant
from syncd.folder.root import Directories, Folder
from syncd.forms import Forms
from syncd.mirror.lexicons.counting import Judge
from syncd.model import RecordPath, Seen, split_record_path
from syncd.values import dataclass

_ROW: Final = Struct("<?QQqq32s")
"""Whether the file is what was agreed; then inode, size, both times and digest."""
_NOTHING: Final = _ROW.pack(False, 0, 0, 0, 0, b"")


@dataclass(frozen=True, slots=True)
class Examined:
    """The results for records in the order in which they were asked for.

    Attributes:
        broken: How many files break their lexicon.
        rows: What is known of each file; `seen_in` reads it.
    """

    broken: int
    rows: bytes

    def is_answer_to(self, number: int) -> bool:
        """Return whether this says something of so many records."""
        return len(self.rows) == _ROW.size * number


def readable_once(collections: Iterable[str], forms: Forms) -> frozenset[str]:
    """Return those of `collections` in which a record can have only one file."""
    return frozenset(name for name in collections if len(forms.of(name).endings) == 1)


def examine(judge: Judge, files: Reading, agreed: Mapping[RecordPath, Cid]) -> Examined:
    """Read the files of `agreed`, and judge each."""
    folder, broken, rows = files.folder, 0, bytearray()
    once = readable_once({split_record_path(path)[0] for path in agreed}, folder.forms)
    with Directories(files.root) as directories:
        for path, cid in agreed.items():
            collection, rkey = split_record_path(path)
            found = _read(folder, directories, path, cid) if collection in once else None
            if found is None:
                rows += _NOTHING
                broken += judge.is_broken(files, path)
                continue
            seen, record = found
            rows += _row(seen)
            broken += judge.breaks(collection, rkey, record)
    return Examined(broken, bytes(rows))


def _row(seen: Seen) -> bytes:
    return _ROW.pack(True, seen.inode, seen.size, seen.mtime_ns, seen.ctime_ns, seen.digest)


def seen_in(rows: bytes, agreed: Mapping[RecordPath, Cid], seen_ns: int) -> dict[RecordPath, Seen]:
    """Return the files that are what was agreed."""
    answers = zip(agreed.items(), _ROW.iter_unpack(rows), strict=True)
    return {
        path: Seen(path, inode, size, mtime_ns, ctime_ns, seen_ns, digest, cid)
        for (path, cid), (is_agreed, inode, size, mtime_ns, ctime_ns, digest) in answers
        if is_agreed
    }


def _read(
    folder: Folder, directories: Directories, path: RecordPath, cid: Cid
) -> tuple[Seen, Record] | None:
    collection, rkey = split_record_path(path)
    form = folder.forms.of(collection)
    *inside, name = file_name(rkey, portable=folder.portable, form=form).split("/")
    try:
        directory = directories.open((collection, *inside))
    except OSError:
        return None
    return read_meant(directory, name, path, cid, seen_ns=0, form=form)
