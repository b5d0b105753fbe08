"""The files that records name to be uploaded: read below the folder, hashed, and named by kind.

No name leads out of the folder, through a link, to anything hidden, or to what nobody means to
publish: drafts, records, settings, and what git ignores. A file counts if it is a regular one that
does not change while it is read. Never writes, and sends nothing.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import re
import stat
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import field
from functools import partial
from io import BytesIO
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from syncd.atproto.blob import FILE, BlobRef
from syncd.atproto.cid import cid_of_digest
from syncd.atproto.dagcbor import utf8
from syncd.atproto.data import Record
from syncd.blobs.hints import HERE, IN_GIT, Hints, name_as, put_it_there
from syncd.blobs.kinds import ENOUGH_BYTES, mime_of
from syncd.blobs.location import place_words
from syncd.blobs.offered import Offered, check_meant
from syncd.blobs.pointers import stand_in_of
from syncd.blobs.reading import Around, Reading
from syncd.blobs.strip import STRIPPERS, stripped
from syncd.config import LOCATION_HOLD, LOCATION_KEEP, LOCATION_STRIP
from syncd.errors import BadData, FileChanged, FolderWrong
from syncd.folder.root import opened
from syncd.forms import Form
from syncd.trouble import explain
from syncd.values import dataclass

OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PIECE: Final = 1 << 18
LARGEST: Final = 10_000_000_000
"""No PDS takes a larger file, in bytes. Without its word nothing else bounds what is read."""
MOST_STRIPPED: Final = 100_000_000
"""The largest picture, in bytes, whose place is taken out: it is in memory meanwhile."""
UNALLOWED: Final = "unallowed"
"""What `[blobs] location` comes to where it says "keep" and nobody allowed that on this machine."""
_MARKS: Final = re.compile(re.escape(FILE.encode()) + rb"|\\[xuU\r\n]")
"""The key that names a file, or an escape of JSON or YAML that can stand for a letter of it."""


OpenRoot: TypeAlias = Callable[[], AbstractContextManager[int]]
"""Opens a folder: gives the descriptor of its top."""


class NoSuchFile(BadData):
    """A record names a file that is not in the folder."""

    effect = "the record waits for its file"
    advice = "put the file there, or name another in the record"


class Described(NamedTuple):
    """What a file is, and what its metadata says of where it was made; empty: nothing."""

    ref: BlobRef
    place: str


@dataclass(slots=True)
class Files:
    """The files of the folder that `open_root` opens. One that is named twice is read once.

    Attributes:
        location: What becomes of a file whose metadata says where it was made.
        most: The most bytes that the PDS takes by its own word, if that is known.
        is_of_git: The folder has what a commit has, and nothing else.
        offered: Which files git ignores; None: git is not asked.
        then: The command that continues once a file that lacks is there; empty: there is none.
        reading: Who reads what is too much for one look; None: all is read at once.
    """

    open_root: OpenRoot
    location: str = LOCATION_HOLD
    offered: Offered | None = None
    most: int | None = None
    is_of_git: bool = False
    then: str = "syncd sync"
    reading: Reading | None = None
    _known: dict[str, BlobRef] = field(default_factory=dict)

    def refer(self, name: str) -> BlobRef:
        """Return the reference that a file will have. Raises BadData if it cannot be uploaded.

        Reads a file again only if its stat has changed. Raises BeingRead for one that `reading`
        will read.
        """
        if name not in self._known:
            with self.opened(name) as (file, size):
                if self.offered is not None:
                    self.offered.check(name)
                most = LARGEST if self.most is None else min(self.most, LARGEST)
                if size > most:
                    raise too_large(name, size, most)
                known = self._described(name, file, size)
                self._known[name] = as_published(
                    name, file, size, known, self.location, self._hints
                )[1]
        return self._known[name]

    @contextmanager
    def ready(self, name: str, ref: BlobRef) -> Iterator[tuple[BinaryIO, int]]:
        """Open what is uploaded of a file, and say its size. Raises BadData as `refer` does.

        Raises FileChanged if it is not what `ref` names: whoever waits for it meant another one.
        Whoever raises that from within has it read anew by the next look.
        """
        with self.opened(name) as (file, size):
            key = _key(file)
            # It was read a moment ago: it is read again only if it has another stat since.
            read = _kept.get(key)
            known = read[0] if read is not None else _described_once(name, file, size)
            content, found = as_published(name, file, size, known, self.location, self._hints)
            if found.cid != ref.cid:
                raise FileChanged(f"{shown(name)} was changed after syncd read it")
            content.seek(0)
            try:
                yield content, found.size
            except FileChanged:
                _kept.pop(key, None)  # it is another than its stat says
                raise

    @contextmanager
    def opened(self, name: str) -> Iterator[tuple[BinaryIO, int]]:
        """Open a file and say its size. Raises BadData if it cannot be uploaded."""
        with reading(self._open(name), name, self._hints.name) as found:
            yield found

    def _described(self, name: str, file: BinaryIO, size: int) -> Described:
        if self.reading is not None and _kept_of(_key(file)) is None:
            self.reading.check(name, size, partial(self._read, name))
        return _described_once(name, file, size)

    def _read(self, name: str, around: Around) -> None:
        """Read a file and keep what it is, for the look that follows. Raises BadData."""
        with self.opened(name) as (file, size):
            key = _key(file)
            if _kept_of(key) is None:
                _keep(key, describe(name, around(file), size), _SOON_NS)

    @property
    def _hints(self) -> Hints:
        return IN_GIT if self.is_of_git else HERE

    def _open(self, name: str) -> int:
        parts = parts_of(name, self._hints)
        try:
            return open_below(self.open_root, parts, name)
        except NoSuchFile as error:
            if not self.is_of_git:
                alike = spelt_otherwise(self.open_root, parts)
                hint = name_as(alike) if alike is not None else put_it_there(self.then)
                raise NoSuchFile(error.message, hint=hint) from error
            message = f"git does not have the file {shown(name)}"
            raise BadData(
                message, hint="git add the file, and commit it with the record"
            ) from error


def open_below(open_root: OpenRoot, parts: Sequence[str], name: str) -> int:
    """Open the file at `parts` of a folder, and follow no link. Raises BadData about `name`."""
    *directories, last = parts
    try:
        with open_root() as root, opened(root, directories) as directory:
            return os.open(last, OPEN_FLAGS, dir_fd=directory)
    except FolderWrong as error:
        raise BadData(error.message, hint=error.hint) from error
    except (OSError, ValueError) as error:
        raise _unopened(name, error) from error


def spelt_otherwise(open_root: OpenRoot, parts: Sequence[str]) -> str | None:
    """Return the one file of a folder whose name is `parts` but for case and forms of Unicode."""
    found: list[str] = []
    with suppress(OSError, FolderWrong, ValueError), open_root() as root:
        for part in parts:
            with opened(root, found) as directory, os.scandir(directory) as entries:
                alike = [e.name for e in entries if _plain(e.name) == _plain(part)]
            if part in alike:
                alike = [part]
            if len(alike) != 1:
                return None
            found += alike
        return "/".join(found)
    return None


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def as_published(
    name: str, file: BinaryIO, size: int, known: Described, location: str, hints: Hints = HERE
) -> tuple[BinaryIO, BlobRef]:
    """Return what is uploaded of a file and how that is referred to.

    `location`: what becomes of a file that says where it was made. Raises BadData if it is held.
    """
    if not known.place or location == LOCATION_KEEP:
        return file, known.ref
    sentence = f"{shown(name)} {known.place}"
    if location != LOCATION_STRIP:
        removable, allowed = _is_removable(known.ref.mime_type, size), location != UNALLOWED
        raise BadData(sentence, hint=hints.of_place(is_removable=removable, is_allowed=allowed))
    return without_place(sentence, file, size, known.ref.mime_type, hints)


@contextmanager
def reading(descriptor: int, name: str, hint: str) -> Iterator[tuple[BinaryIO, int]]:
    """Give a file to read, and its size; close it then. `hint`: what to name in its place.

    Raises BadData if it is no regular file, is empty, or changes meanwhile.
    """
    try:
        now = os.fstat(descriptor)
        _check(shown(name), now, hint)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file, now.st_size
        if _stamp(os.fstat(descriptor)) != _stamp(now):
            raise _changing(name)
    finally:
        os.close(descriptor)


def too_large(name: str, size: int, most: int) -> BadData:
    """Return the error for a file of `size` bytes where a PDS takes `most`."""
    message = f"{shown(name)} has {size} bytes, but the PDS accepts at most {most}"
    return BadData(message, hint="make the file smaller, or name another")


def describe(name: str, file: BinaryIO, size: int, hints: Hints = HERE) -> Described:
    """Read a file to its end and say what it is.

    Raises BadData if it is not `size` long, or if it only stands for the file that is meant.
    """
    ref = described(name, file, size, hints)
    return Described(ref, place_words(file, ref.mime_type))


def without_place(
    sentence: str, file: BinaryIO, size: int, mime_type: str, hints: Hints = HERE
) -> tuple[BinaryIO, BlobRef]:
    """Return a picture without its metadata, and how it is referred to; `sentence` begins an error.

    Raises BadData where the place cannot be taken out.
    """
    if not _is_removable(mime_type, size):
        kinds = "JPEG, PNG and WebP up to 100 MB"
        raise BadData(f"{sentence}, which syncd can remove from {kinds} only", hint=hints.stuck)
    file.seek(0)
    try:
        data = stripped(file.read(size + 1), mime_type)
    except BadData as error:
        raise BadData(f"{sentence}, but {error.message}", hint=hints.stuck) from None
    content = BytesIO(data)
    ref = described(sentence, content, len(data))
    if ref.mime_type != mime_type or place_words(content, mime_type):
        raise BadData(f"{sentence}, in a part that syncd cannot remove", hint=hints.stuck)
    return content, ref


def _is_removable(mime_type: str, size: int) -> bool:
    return mime_type in STRIPPERS and size <= MOST_STRIPPED


_MOST_KEPT: Final = 10_000
_RESTS_NS: Final = 2_000_000_000
_SOON_NS: Final = 60_000_000_000
_Key: TypeAlias = tuple[int, ...]
_kept: dict[_Key, tuple[Described, float]] = {}
"""What files were that this process has read, by their stat, and until when that is believed, in
nanoseconds: a record that waits is looked at again and again, and a film takes long to hash."""


def _key(file: BinaryIO) -> _Key:
    now = os.fstat(file.fileno())
    return now.st_dev, now.st_ino, *_stamp(now)


def _kept_of(key: _Key) -> Described | None:
    known, until_ns = _kept.get(key, (None, 0))
    return known if time.time_ns() < until_ns else None


def _keep(key: _Key, known: Described, young_ns: int) -> None:
    """Keep what a file is; what was changed a moment ago for so long only, in nanoseconds.

    It may change again within one tick of its clock: then the hash of what is sent shows it.
    """
    now_ns = time.time_ns()
    is_at_rest = key[-1] + _RESTS_NS < now_ns
    _kept[key] = known, math.inf if is_at_rest else now_ns + young_ns


def _described_once(name: str, file: BinaryIO, size: int) -> Described:
    key = _key(file)
    found = _kept_of(key)
    if found is None:
        found = describe(name, file, size)
        _keep(key, found, 0)
    # Not where it is kept: threads do that, and two of them would drop the same one.
    while len(_kept) > _MOST_KEPT:
        _kept.pop(next(iter(_kept)), None)
    return found


def parts_of(name: str, hints: Hints = HERE) -> list[str]:
    """Return the parts of a name from the top of the folder. Raises BadData for any other."""
    utf8(name)
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        raise BadData(f'"$file" cannot be {name!r}: it is outside the folder', hint=hints.name)
    if not all(parts) or "." in parts or "\0" in name:
        raise BadData(f'"$file" cannot be {name!r}', hint=hints.name)
    # Where secrets lie (.env, .ssh), and where syncd and git keep their own.
    if any(part.startswith(".") for part in parts):
        raise BadData(
            f'"$file" cannot be {name!r}: syncd uploads no hidden files',
            hint="name a file without a dot at the beginning of any part of its name",
        )
    check_meant(name, parts)
    return parts


def shown(name: str) -> str:
    """Return a name as it can be printed."""
    return name if name.isprintable() else ascii(name)


def described(name: str, file: BinaryIO, size: int, hints: Hints = HERE) -> BlobRef:
    """Read a file to its end and return its reference.

    Raises BadData if it is not `size` long, or if it only stands for the file that is meant.
    """
    start = file.read(ENOUGH_BYTES)
    stand_in = stand_in_of(start)
    if stand_in is not None:
        raise BadData(f"{shown(name)} is {stand_in}, not the file itself", hint=hints.stand_in)
    digest, count = hashlib.sha256(start), len(start)
    while piece := file.read(_PIECE):
        digest.update(piece)
        count += len(piece)
    if count != size:
        raise _changing(name)
    return BlobRef(cid_of_digest(digest.digest()), mime_of(start), size)


def record_in(form: Form, text: bytes, collection: str, files: Files) -> Record:
    """Read a text as the record that it will be once the files that it names are uploaded.

    Raises BadJson, with a place, for all other texts and where a file cannot be uploaded.
    """
    return form.parse(text, collection, files.refer)


def may_name(text: bytes) -> bool:
    """Return False if this text of a record certainly names no file: most need no closer look."""
    return _MARKS.search(text) is not None


def _check(words: str, now: os.stat_result, hint: str) -> None:
    if stat.S_ISDIR(now.st_mode):
        raise BadData(f"{words} is a directory, not a file", hint=hint)
    if not stat.S_ISREG(now.st_mode):
        raise BadData(f"{words} is not a regular file", hint=hint)
    if now.st_size == 0:
        raise BadData(
            f"{words} is empty", hint="save the file with its content, or name another file"
        )


def _unopened(name: str, error: OSError | ValueError) -> BadData:
    code, words = error.errno if isinstance(error, OSError) else None, shown(name)
    if code == errno.ENOENT:
        return NoSuchFile(f"there is no file {words} in this folder", hint=put_it_there(""))
    if code in (errno.ELOOP, errno.ENOTDIR):
        return BadData(
            f"{words} is a symbolic link, or a part of its path is one or is not a directory",
            hint="put the file itself into the folder; syncd does not follow links",
        )
    if not isinstance(error, OSError):
        return BadData(f'"$file" cannot be {name!r}', hint=HERE.name)
    cause, hint = explain(error)
    return BadData(f"{words} cannot be read: {cause}", hint=hint)


def _changing(name: str) -> BadData:
    hint = "syncd reads it again once the writer is done"
    return BadData(f"{shown(name)} is being written", hint=hint)


def _stamp(now: os.stat_result) -> tuple[int, int, int]:
    return now.st_size, now.st_mtime_ns, now.st_ctime_ns
