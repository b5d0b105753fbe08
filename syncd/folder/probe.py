"""Find out by trying which names a file system cannot hold. Leaves no file behind.

A crash, or a disk that turns read-only meanwhile, leaves its directory: it counts as nothing, and
the next probe removes it.
"""

from __future__ import annotations

import errno
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from syncd.errors import FolderWrong
from syncd.folder.names import COMPONENT_BYTES, OURS
from syncd.forms import USUAL
from syncd.trouble import PASSING, explain, in_trouble
from syncd.values import dataclass

_NEEDED = (f"{OURS}x", *(f"{stem}{USUAL.default.ending}" for stem in ("%2ex", "+x", "x~_-")))
"""Names that syncd needs under every setting."""
_WISHED = tuple(f"{stem}{USUAL.default.ending}" for stem in ("a:b", "con"))
"""Names that records have unless their files are to be portable."""


_LEFT = re.compile(rf"{re.escape(OURS)}[0-9a-f]{{16}}")


@dataclass(frozen=True, slots=True)
class Traits:
    """The limits of a file system.

    Attributes:
        folds_case: It treats upper and lower case as equal.
        refused: Names of ordinary record files that it refuses.
        name_bytes: The longest name it accepts, at most COMPONENT_BYTES.
    """

    folds_case: bool = False
    refused: tuple[str, ...] = ()
    name_bytes: int = COMPONENT_BYTES

    @property
    def is_short(self) -> bool:
        """Return whether some names of record files are too long here."""
        return self.name_bytes < COMPONENT_BYTES

    @property
    def lack(self) -> str:
        """Return why plain file names fail here, as the end of a sentence; empty if they do not."""
        if self.folds_case:
            return "does not tell upper from lower case"
        return f"does not allow names such as {self.refused[0]}" if self.refused else ""


def is_empty(directory: Path) -> bool:
    """Return whether a directory is empty, but for what a probe left. Raises OSError."""
    return all(_is_left(entry) for entry in directory.iterdir())


def _is_left(place: Path) -> bool:
    """Return whether a probe made this directory: it made empty files there and nothing else."""
    if not _LEFT.fullmatch(place.name) or place.is_symlink() or not place.is_dir():
        return False
    return all(e.is_file() and not e.is_symlink() and not e.stat().st_size for e in place.iterdir())


def probe(directory: Path) -> Traits:
    """Try names in a fresh directory inside `directory`, which must exist.

    Raises:
        FolderWrong: No file can be made there, or none with the names that syncd needs.
        FileProblem: The disk is in trouble.
    """
    place = directory / f"{OURS}{secrets.token_hex(8)}"
    try:
        for left in [each for each in directory.iterdir() if _is_left(each)]:
            shutil.rmtree(left, ignore_errors=True)
        place.mkdir(mode=0o700)
        try:
            return _probe(place)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        trouble = in_trouble(error, directory, "written to")
        cause, hint = explain(error)
        words = f"{directory} cannot be written to: {cause}"
        raise trouble or FolderWrong(words, hint=hint) from error


def _probe(place: Path) -> Traits:
    needed = [name for name in _NEEDED if not _is_taken(place, name)]
    if needed:
        raise FolderWrong(
            f"the file system of {place.parent} does not allow names such as {needed[0]}",
            hint="choose a directory on another file system",
        )
    return Traits(
        folds_case=_folds_case(place),
        refused=tuple(name for name in _WISHED if not _is_taken(place, name)),
        name_bytes=_name_bytes(place),
    )


def _is_taken(place: Path, name: str) -> bool:
    """Return whether a file can have exactly this name."""
    try:
        (place / name).touch()
    except OSError as error:
        # A disk in trouble, or a directory that is gone, says nothing about this name. An exFAT
        # driver says of a name that it cannot hold that there is no such file.
        if error.errno in PASSING or (error.errno == errno.ENOENT and not place.is_dir()):
            raise
        return False
    is_there = name in {entry.name for entry in place.iterdir()}
    with suppress(OSError):
        (place / name).unlink()
    return is_there


def _folds_case(place: Path) -> bool:
    (place / "case").touch()
    return (place / "CASE").exists()


def _name_bytes(place: Path) -> int:
    """Bisect for the longest name: if a length is accepted, every shorter one is too."""
    least, most = 1, COMPONENT_BYTES
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if _is_taken(place, "n" * middle) else (least, middle - 1)
    return least
