"""Find, mark and open the folder itself. Never opens a directory through a symbolic link.

`.syncd/marker` holds a random id; the state file knows it too. A folder without this id is not
ours: an unmounted disk looks exactly like a folder with every file deleted. Each case has its own
sentence and a safe command.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path
from typing import Self

from syncd.errors import FileProblem, FolderWrong
from syncd.folder.disk import Disk
from syncd.folder.spelling import check_spelt, folds_case, is_spelt, keeps_case
from syncd.folder.top import nearest
from syncd.forms import USUAL, Forms
from syncd.model import RecordPath, Seen
from syncd.trouble import PASSING, explain, explain_at, in_trouble
from syncd.values import dataclass

OWN = nearest.OWN
MARKER = nearest.MARKER

_MARKER_BYTES = 256
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
SETTINGS = "syncd.toml"
"""The settings file: a folder with this file was a mirror, even if every other file is gone."""
_GONE_HINT = (
    "if its disk is not mounted, mount it; if the folder was moved, continue in the new "
    "place: syncd -C DIR sync"
)
_EMPTY_HINT = "mount its disk; to fill an empty folder from the repo: syncd clone ACCOUNT DIR"
_ADOPT_HINT = (
    "if its disk is not mounted, mount it; to continue with the files that are here, none "
    "of which is deleted: syncd clone ACCOUNT DIR --adopt"
)
_AGAIN_HINT = "start syncd again; it then holds what differs until you decide"
_OTHER_HINT = "restore the folder that was here, or find out which one this is: syncd -C DIR status"


@dataclass(frozen=True, slots=True)
class Folder:
    """A mirror's folder.

    Attributes:
        marker: The id the folder must carry whenever it is opened; None accepts any id.
        portable: File names also avoid `:`, upper case and reserved names (see names.py).
        disk: Where lasting effects go.
        own: The device and inode that its `.syncd` must have; None accepts any.
        forms: How the files of each collection are written.
        elsewhere: Files that are not in the directory, and count as if they were, by record.
    """

    root: Path
    marker: str | None = None
    portable: bool = False
    disk: Disk = field(default_factory=Disk, repr=False, compare=False)
    own: tuple[int, int] | None = None
    forms: Forms = USUAL
    elsewhere: Mapping[RecordPath, Seen] = field(default_factory=dict, repr=False, compare=False)

    @contextmanager
    def open(self) -> Iterator[int]:
        """Open the folder and yield its descriptor: the same directory even if its path changes.

        Raises:
            FolderWrong: The folder is missing, has no marker or another id, or is on a file system
                that folds case although its file names need upper case.
        """
        root = _open_root(self.root)
        try:
            self._check(root)
            yield root
        finally:
            os.close(root)

    def check_marker(self, marker: str) -> None:
        """Raise FolderWrong unless the folder exists and has the id `marker`."""
        with self.open() as root:
            _check_id(self.root, _marker_in(self.root, root), marker)

    def check_still(self, root: int) -> None:
        """Raise FolderWrong unless the folder's path still leads to `root`, marked as before."""
        self._check(root)
        with suppress(OSError):
            if os.path.samestat(self.root.stat(), os.fstat(root)):
                return
        raise FolderWrong(f"{self.root} was replaced while syncd read it", hint=_OTHER_HINT)

    def _check(self, root: int) -> None:
        found = _marker_in(self.root, root)
        if self.marker is not None:
            _check_id(self.root, found, self.marker)
        if self.own is not None and _own_in(root) != self.own:
            # Another `.syncd` with the same id: a copy or a backup of ours, with its own memory.
            raise FolderWrong(f"{self.root / OWN} was replaced while syncd ran", hint=_AGAIN_HINT)
        # Two records whose keys differ in case would share one file, and each would replace the
        # other. Portable names escape upper case, so they are safe here.
        if not self.portable and folds_case(root, OWN):
            raise FolderWrong(
                f"the file system of {self.root} does not tell upper from lower case",
                hint='set filenames = "portable" in [mirror] of syncd.toml, or move the folder to '
                "a file system that does",
            )


def own_of(root: Path) -> tuple[int, int]:
    """Return device and inode of the `.syncd` in `root`. Raises FolderWrong if it is missing."""
    descriptor = _open_root(root)
    try:
        return _own_in(descriptor)
    except OSError as error:
        raise _unmarked(root, descriptor) from error
    finally:
        os.close(descriptor)


def find_root(start: Path) -> Path:
    """Return the nearest marked directory from `start` upwards.

    Raises FolderWrong: there is none, or a mirror without its marker is nearer.
    """
    start = start.absolute()
    if not start.exists():
        raise FolderWrong(f"there is no directory {start}", hint=_GONE_HINT)
    if (top := nearest.nearest_top(start)) is not None:
        if not (top / OWN / MARKER).is_file():
            # This was a mirror, so a mirror further up is not the one that was meant. read_marker
            # raises the sentence for a lost marker.
            read_marker(top)
        return top
    if not start.is_dir() or not any(start.iterdir()) or (start / SETTINGS).is_file():
        # Missing, empty, or settings without `.syncd`: this looks like a mirror whose disk is not
        # mounted. read_marker raises the sentence for each, with a command that deletes nothing.
        read_marker(start)
    raise FolderWrong(
        f"{start} is not in a mirror", hint="name one with -C DIR, or make one with `syncd clone`"
    )


def read_marker(root: Path) -> str:
    """Return the id of the folder at `root`. Raises FolderWrong if it is missing or unmarked."""
    descriptor = _open_root(root)
    try:
        return _marker_in(root, descriptor)
    finally:
        os.close(descriptor)


def initialise(root: Path, marker: str, *, disk: Disk | None = None) -> None:
    """Mark the existing directory `root` as a mirror with the random id `marker`.

    The marker is written last, so a folder that is only half initialised is not a mirror.

    Raises:
        FolderWrong: `root` is missing, is a mirror already, or cannot be written to.
    """
    disk = disk or Disk()
    descriptor = _open_root(root)
    try:
        own = open_directory(descriptor, (OWN,), make=disk, mode=0o700)
        try:
            _mark(disk, root, own, marker)
        finally:
            os.close(own)
        disk.sync_directory(descriptor)
    except OSError as error:
        raise unmade(root, error) from error
    finally:
        os.close(descriptor)


def unmade(root: Path, error: OSError) -> FolderWrong | FileProblem:
    """Return why `root` cannot be made a mirror: by the folder, or by a disk in trouble."""
    cause, hint = explain_at(error, root)
    kind = FileProblem if error.errno in PASSING else FolderWrong
    return kind(f"{root} cannot be made a mirror: {cause}", hint=hint)


def open_directory(
    root: int, parts: Sequence[str], *, make: Disk | None = None, mode: int = 0o777
) -> int:
    """Open `parts` below `root`, component by component; the caller closes the descriptor.

    With `make`, missing directories are made with `mode`. Where the file system folds case, a
    directory of another spelling is never opened.

    Raises:
        OSError: ELOOP or ENOTDIR if a component is a symbolic link or not a directory. ENOENT if it
            is missing or has another spelling; with `make`, ENOTUNIQ for another spelling.
    """
    current = os.dup(root)
    for part in parts:
        try:
            if make is not None:
                _make(make, current, part, mode)
                check_spelt(current, part)
            elif not is_spelt(current, part):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), part)
            inner = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
        finally:
            os.close(current)
        current = inner
    return current


@contextmanager
def opened(
    root: int, parts: Sequence[str], *, make: Disk | None = None, mode: int = 0o777
) -> Iterator[int]:
    """Open a directory as `open_directory` does, for the length of a `with`."""
    directory = open_directory(root, parts, make=make, mode=mode)
    try:
        yield directory
    finally:
        os.close(directory)


@dataclass(slots=True)
class Directories:
    """The directories below `root`, the last of which stays open: files often come from one.

    What is found in a directory that was opened a while ago is there. What is missing in it may be
    in another one that took its name: only `opened` proves an absence.
    """

    root: int
    _parts: Sequence[str] | None = None
    _last: int = -1
    _keeps_case: bool = False

    def open(self, parts: Sequence[str]) -> int:
        """Return a descriptor that is valid until the next call. Raises as `open_directory`."""
        if parts != self._parts:
            self.close()
            self._last = open_directory(self.root, parts)
            self._parts, self._keeps_case = parts, False
        return self._last

    def is_spelt(self, name: str) -> bool:
        """Return what `is_spelt` says of a file in the open directory. Raises as it does."""
        if not self._keeps_case:
            self._keeps_case = keeps_case(self._last, name)
        return self._keeps_case or is_spelt(self._last, name)

    def close(self) -> None:
        """Close the last directory."""
        if self._parts is not None:
            self._parts = None
            os.close(self._last)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make(disk: Disk, directory: int, name: str, mode: int) -> None:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        with suppress(FileExistsError):
            disk.make_directory(directory, name, mode)
            # A file in it is durable only if the directory itself survives a crash.
            disk.sync_directory(directory)


def _open_root(root: Path) -> int:
    try:
        return os.open(root, _DIRECTORY)
    except FileNotFoundError:
        raise FolderWrong(f"{root} is gone", hint=_GONE_HINT) from None
    except OSError as error:
        cause, _ = explain(error)
        trouble = in_trouble(error, root, "opened")
        raise trouble or FolderWrong(
            f"{root} cannot be opened: {cause}", hint=_GONE_HINT
        ) from error


def _marker_in(root: Path, descriptor: int) -> str:
    try:
        with opened(descriptor, (OWN,)) as own:
            text = _read_marker(own)
    except FileNotFoundError:
        raise _unmarked(root, descriptor) from None
    except OSError as error:
        trouble = in_trouble(error, root / OWN / MARKER, "read")
        if trouble is not None:
            raise trouble from error
        cause, _ = explain(error)
        message = f"{root} is not a mirror: its marker {OWN}/{MARKER} cannot be read ({cause})"
        raise FolderWrong(message, hint=_GONE_HINT) from error
    if not text:
        # An empty marker proves nothing: a crash of the machine can leave a file without content.
        raise FolderWrong(f"{root} has lost its marker: it is empty", hint=_ADOPT_HINT)
    return text


def _read_marker(own: int) -> str:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    marker = os.open(MARKER, flags, dir_fd=own)
    try:
        return os.read(marker, _MARKER_BYTES).decode("ascii", "replace").strip()
    finally:
        os.close(marker)


def _unmarked(root: Path, descriptor: int) -> FolderWrong:
    """Make the error for a folder without a marker: lost, never a mirror, or not mounted."""
    names = os.listdir(descriptor)
    if OWN in names:
        return FolderWrong(f"{root} has lost its marker: {OWN}/{MARKER} is gone", hint=_ADOPT_HINT)
    if names:
        return FolderWrong(f"{root} is not a mirror: it has no {OWN} directory", hint=_ADOPT_HINT)
    message = f"{root} is empty: it is not a mirror, its disk is not mounted"
    return FolderWrong(f"{message}, or its files were removed", hint=_EMPTY_HINT)


def _check_id(root: Path, found: str, expected: str) -> None:
    if found != expected:
        raise FolderWrong(
            f"{root} is not the mirror that its state file belongs to", hint=_OTHER_HINT
        )


def _mark(disk: Disk, root: Path, own: int, marker: str) -> None:
    with suppress(FileNotFoundError):
        if _read_marker(own):
            hint = "run `syncd status` there, or choose another DIR"
            raise FolderWrong(f"{root} is a mirror already", hint=hint)
    _put(disk, own, ".gitignore", b"*\n")
    _put(disk, own, MARKER, f"{marker}\n".encode("ascii"))


def _put(disk: Disk, directory: int, name: str, content: bytes) -> None:
    with suppress(FileNotFoundError):
        disk.unlink(directory, f"{name}.new")
    disk.write(directory, f"{name}.new", content, 0o600)
    disk.sync_file(directory, f"{name}.new")
    disk.rename(directory, f"{name}.new", name)
    disk.sync_directory(directory)


def _own_in(root: int) -> tuple[int, int]:
    found = os.stat(OWN, dir_fd=root, follow_symlinks=False)
    return found.st_dev, found.st_ino
