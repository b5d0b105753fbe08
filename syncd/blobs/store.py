"""The files of `blobs/`: list them, write a new one while it is hashed, check what is there.

The bytes under a name are that name's: no file gets the name of a CID, and none that has it is
believed, unless its SHA-256 is that CID. No link is followed, and no file is replaced. Never asks a
PDS, and never decides which blobs belong here.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from syncd.atproto.cid import Cid, parse_cid
from syncd.blobs.incoming import Incoming, hashed, is_pointer_to, move_new, pieces_of, stamp_of
from syncd.errors import BadSyntax, FileProblem
from syncd.folder.names import BLOBS, blob_of_name
from syncd.folder.problems import printable
from syncd.folder.root import OWN, Folder, opened
from syncd.model import Problem
from syncd.state.attachments import Stamp
from syncd.trouble import explain, explain_at
from syncd.values import dataclass

T = TypeVar("T")
DIRECTORY: Final = BLOBS
INCOMING: Final = "blobs"
"""The directory in `.syncd` where a blob is written before it has its name."""
EDITED: Final = "edited-"
"""Begins the name of a file that no longer had the bytes of its name."""
ATTRIBUTES: Final = ".gitattributes"
_ATTRIBUTES: Final = b"* -text -diff -merge\n.gitattributes text diff merge\n"
MANY: Final = 1_000
"""Above this number of blobs, a look at them costs more than a look whether they changed."""
PORTION_BYTES: Final = 16_000_000
"""How many bytes are hashed before other tasks have a turn, but for one larger file."""
_MOVE_HINT: Final = "move it elsewhere; the next sync fetches the blob again"
_EDITED_HINT: Final = (
    "a blob cannot be edited, because its name is its hash: to keep your edit, move the "
    "file out of blobs/; otherwise delete it; syncd fetches the blob again if the PDS "
    "still has it"
)
_APART: Final = (
    "it is mounted from another file system than the folder, or on its own",
    "unmount it, and have blobs/ be a directory of the folder; the whole folder may be a mount",
)
_LEAST_FREE_SHARE: Final = 20
_LEAST_FREE_BYTES: Final = 1_000_000_000
"""One part in so many of a disk stays free, or these bytes: no blob is a reason to fill it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The names in `blobs/`.

    Attributes:
        names: The name of each blob that is there, by its CID. Nothing was read or compared.
        problems: What lies there and cannot be a blob, for a person.
        is_open: False if `blobs` is something else than a directory: nothing can be put there.
        changed_ns: When a name in the directory changed last; 0 if there is no directory.
    """

    names: Mapping[Cid, str]
    problems: tuple[Problem, ...] = ()
    is_open: bool = True
    changed_ns: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """The files of `blobs/`, by what they are.

    Attributes:
        stamps: Each file that has the bytes of its name, by its CID.
        edited: The names of files that have other bytes.
        problems: Files that cannot be read, for a person.
    """

    stamps: Mapping[Cid, Stamp]
    edited: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def size(self) -> int:
        """Return the size in bytes of all correct files."""
        return sum(stamp.size for stamp in self.stamps.values())


def cid_of_name(name: str) -> Cid | None:
    """Return the CID that a file name in `blobs/` states, or None."""
    text = blob_of_name(name)
    with suppress(BadSyntax):
        return None if text is None else parse_cid(text)
    return None


@dataclass(frozen=True, slots=True)
class Store:
    """The directory `blobs/` of a folder."""

    folder: Folder

    def list(self) -> Listing:
        """Return the names in `blobs/`, at the cost of one listing. Raises FolderWrong."""
        with self.folder.open() as root:
            try:
                with opened(root, (DIRECTORY,)) as directory:
                    changed_ns = os.fstat(directory).st_mtime_ns
                    return _listing(directory, changed_ns)
            except FileNotFoundError:
                return Listing({})
            except OSError as error:
                cause, _ = explain(error)
                hint = "syncd keeps blobs there: move it elsewhere; records are synced anyway"
                problem = Problem(DIRECTORY, f"it cannot hold blobs: {cause}", hint)
                return Listing({}, (problem,), is_open=False)

    def changed_ns(self) -> int:
        """Return when a name in `blobs/` changed last, as `Listing` has it, without a listing."""
        with self._opened() as directory:
            return 0 if directory is None else os.fstat(directory).st_mtime_ns

    async def look(self, listing: Listing, known: Mapping[Cid, Stamp]) -> Checked:
        """Do as `check`, but hash in threads, some files at a time: a stop ends it between them."""
        now = self._stamps(listing)
        stamps = {cid: stamp for cid, stamp in now.items() if known.get(cid) == stamp}
        edited: tuple[str, ...] = ()
        problems: tuple[Problem, ...] = ()
        for some in _portions(listing.names, now, stamps.keys()):
            found = await self.beside(partial(self.check, Listing(some), known))
            stamps |= found.stamps
            edited, problems = (*edited, *found.edited), (*problems, *found.problems)
        return Checked(stamps, edited, problems)

    def _stamps(self, listing: Listing) -> dict[Cid, Stamp]:
        """Return what each file is now, unread; nothing of one that is gone or refuses."""
        found: dict[Cid, Stamp] = {}
        with self._opened() as directory:
            for cid, name in listing.names.items() if directory is not None else ():
                with suppress(OSError):
                    assert directory is not None
                    found[cid] = stamp_of(directory, name)
        return found

    def check(
        self, listing: Listing, known: Mapping[Cid, Stamp], *, reads_all: bool = False
    ) -> Checked:
        """Compare each file with its stamp, and hash those whose stamp differs.

        The pointer of Git LFS to the bytes of a name is neither these bytes nor an edit. With
        `reads_all`, every file is hashed. Raises FolderWrong.
        """
        stamps: dict[Cid, Stamp] = {}
        edited: list[str] = []
        problems: list[Problem] = []
        with self._opened() as directory:
            for cid, name in listing.names.items() if directory is not None else ():
                assert directory is not None
                try:
                    stamp = stamp_of(directory, name)
                    is_known = known.get(cid) == stamp and not reads_all
                    found = stamp if is_known else hashed(directory, name, cid)
                    if found is not None:
                        stamps[cid] = found
                    elif not is_pointer_to(directory, name, cid):
                        edited.append(name)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    cause, hint = explain(error)
                    where = printable(f"{DIRECTORY}/{name}")
                    problems.append(Problem(where, f"it cannot be read: {cause}", hint))
        return Checked(stamps, tuple(edited), tuple(problems))

    def set_aside(self, name: str) -> str:
        """Rename a file that has other bytes; return its new name. Raises FileProblem."""
        disk = self.folder.disk
        with self._at_work() as (_, directory):
            for number in range(1, 1_000):
                new = f"{EDITED}{number}-{name}"
                try:
                    disk.rename_new(directory, name, new)
                except FileExistsError:
                    continue
                disk.sync_directory(directory)
                return new
        raise FileProblem(f"{DIRECTORY}/{name} cannot be renamed", hint=_MOVE_HINT)

    @contextmanager
    def incoming(self, cid: Cid) -> Iterator[Incoming]:
        """Begin a new file for `cid`; without `Incoming.place` or `leave`, remove it again.

        Raises FileProblem, also from within.
        """
        with self._at_work() as (aside, directory):
            begun = Incoming(self.folder, aside, directory, cid)
            begun.begin()
            try:
                yield begun
            finally:
                if not begun.is_left:
                    begun.drop()

    def place(self, left: Mapping[Cid, str]) -> dict[Cid, Stamp]:
        """Name the files that were left, with these endings, and make the names durable.

        Returns those that have them: another file may be in the way. Raises FileProblem.
        """
        found: dict[Cid, Stamp] = {}
        with self._at_work() as (aside, directory):
            for cid, extension in left.items():
                incoming = Incoming(self.folder, aside, directory, cid)
                with suppress(FileExistsError):
                    found[cid] = incoming.named(extension)
                incoming.drop()
            self.folder.disk.sync_directory(directory)
        return found

    async def beside(self, work: Callable[[], T]) -> T:
        """Do `work`, which waits for the disk, while other tasks continue."""
        return await self.folder.disk.beside(work)

    def sweep(self) -> None:
        """Remove unfinished files of a stopped process, but not those of a running one."""
        with ExitStack() as stack, suppress(FileNotFoundError):
            root = stack.enter_context(self.folder.open())
            aside = stack.enter_context(opened(root, (OWN, INCOMING)))
            with os.scandir(aside) as entries:
                names = [entry.name for entry in entries]
            for name in names:
                if not _is_begun_elsewhere(name):
                    with suppress(OSError):
                        self.folder.disk.unlink(aside, name)

    def remove(self, name: str) -> None:
        """Remove one file, which no version names any more. Raises FileProblem."""
        with self._at_work() as (_, directory), suppress(FileNotFoundError):
            self.folder.disk.unlink(directory, name)

    def write_attributes(self) -> str:
        """Make git keep blobs unchanged, unless a person set otherwise; return the file's name.

        Raises FileProblem.
        """
        disk, name = self.folder.disk, ATTRIBUTES
        with self._at_work() as (aside, directory), suppress(FileExistsError):
            with suppress(FileNotFoundError):
                os.stat(name, dir_fd=directory, follow_symlinks=False)
                return name
            new = f"{name}.{os.getpid()}"
            with suppress(FileNotFoundError):
                disk.unlink(aside, new)
            disk.write(aside, new, _ATTRIBUTES, None)
            disk.sync_file(aside, new)
            move_new(self.folder, aside, new, directory, name)
        return name

    def settle(self) -> None:
        """Make the names in `blobs/` durable."""
        with self._opened() as directory:
            if directory is not None:
                self.folder.disk.sync_directory(directory)

    def room(self) -> int:
        """Return how many more bytes the disk has room for, less the part that stays free."""
        found = os.statvfs(self.folder.root)
        kept = min(found.f_blocks * found.f_frsize // _LEAST_FREE_SHARE, _LEAST_FREE_BYTES)
        return max(0, found.f_bavail * found.f_frsize - kept)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file, some at a time. Raises FileProblem."""
        try:
            with self._opened() as directory:
                if directory is None:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                yield from pieces_of(directory, name)
        except OSError as error:
            cause, hint = explain(error)
            raise FileProblem(f"{DIRECTORY}/{name}: {cause}", hint=hint) from error

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """Open a file of `blobs/` for reading until the `with` ends. Raises FileProblem."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with self._opened() as directory:
                if directory is None:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                file = os.fdopen(os.open(name, flags, dir_fd=directory), "rb")
        except OSError as error:
            cause, hint = explain(error)
            raise FileProblem(f"{DIRECTORY}/{name}: {cause}", hint=hint) from error
        with file:
            yield file

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """Open `blobs/`; None if there is no such directory."""
        with self.folder.open() as root, ExitStack() as stack:
            found = None
            with suppress(OSError):
                found = stack.enter_context(opened(root, (DIRECTORY,)))
            yield found

    @contextmanager
    def _at_work(self) -> Iterator[tuple[int, int]]:
        """Open, and make if missing, the directory aside and `blobs/`. Raises FileProblem."""
        disk = self.folder.disk
        try:
            with (
                self.folder.open() as root,
                opened(root, (OWN, INCOMING), make=disk, mode=0o700) as aside,
                opened(root, (DIRECTORY,), make=disk) as directory,
            ):
                yield aside, directory
        except OSError as error:
            cause, hint = explain_at(error, self.folder.root / DIRECTORY)
            if error.errno == errno.EXDEV:
                cause, hint = _APART
            raise FileProblem(f"{DIRECTORY}/ cannot hold a blob: {cause}", hint=hint) from error


def _portions(
    names: Mapping[Cid, str], now: Mapping[Cid, Stamp], known: Collection[Cid]
) -> Iterator[dict[Cid, str]]:
    """Yield the files that are not `known`, so many at a time that no portion takes long."""
    some: dict[Cid, str] = {}
    size = 0
    for cid, name in names.items():
        if cid not in known:
            some[cid] = name
            size += now[cid].size if cid in now else 0
            if size >= PORTION_BYTES:
                yield some
                some, size = {}, 0
    if some:
        yield some


def _is_begun_elsewhere(name: str) -> bool:
    """Return whether a process that runs now, and is not this one, has the file `name` aside."""
    pid = name.rpartition(".")[2]
    return pid.isdecimal() and int(pid) != os.getpid() and Path(f"/proc/{pid}").exists()


def _listing(directory: int, changed_ns: int) -> Listing:
    names: dict[Cid, str] = {}
    problems: list[Problem] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(EDITED):
                where = printable(f"{DIRECTORY}/{entry.name}")
                problems.append(Problem(where, "it was edited in place", _EDITED_HINT))
                continue
            cid = cid_of_name(entry.name)
            if cid is None:
                continue
            if entry.is_file(follow_symlinks=False):
                names[cid] = entry.name
            else:
                kind = "a symbolic link" if entry.is_symlink() else "no file"
                where = printable(f"{DIRECTORY}/{entry.name}")
                problems.append(
                    Problem(where, f"it is {kind}, and has the name of a blob", _MOVE_HINT)
                )
    problems.sort(key=lambda problem: problem.path)
    return Listing(names, tuple(problems), changed_ns=changed_ns)
