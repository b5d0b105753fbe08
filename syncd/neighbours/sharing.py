"""Find the file-sync programs that share a folder, by the marks they leave in it or above it.

Such a program carries `.syncd` to other machines, and the files later or never. Reads names and
ignore lists alone; changes nothing, and asks no program.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from syncd.values import dataclass

OWN: Final = ".syncd"
_LIST_BYTES = 1_000_000
_LINE = re.compile(rf"^[^#!\n]*(?<![\w.]){re.escape(OWN)}(?![\w.])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Program:
    """A file-sync program, as it shows on a disk.

    Attributes:
        marks: Patterns of names that it makes at the top of what it shares.
        names: Patterns of the names that its own directory has.
        keep_out: How to keep a directory out of it; `{at}` is the top of what it shares, `{path}`
            is that directory, and `{below}` the same, relative to the top.
        ignores: The file at the top that lists what it leaves out, or nothing.
        attribute: The extended attribute that does the same, or nothing.
    """

    name: str
    marks: tuple[str, ...]
    names: tuple[str, ...]
    keep_out: str
    ignores: str = ""
    attribute: str = ""


PROGRAMS: Final = (
    Program(
        "Syncthing",
        (".stfolder", ".stignore", ".stversions"),
        (),
        "add the line /{below} to {at}/.stignore, on each machine",
        ignores=".stignore",
    ),
    Program(
        "Dropbox",
        (".dropbox.cache",),
        ("Dropbox", "Dropbox (*)"),
        "attr -s com.dropbox.ignored -V 1 {path}",
        attribute="user.com.dropbox.ignored",
    ),
    Program(
        "Nextcloud",
        (".sync_*.db", "._sync_*.db", ".nextcloudsync.log", ".owncloudsync.log"),
        (),
        "add the line {below} to {at}/.sync-exclude.lst, on each machine",
        ignores=".sync-exclude.lst",
    ),
    Program("OneDrive", (), ("OneDrive", "OneDrive - *"), 'set skip_dir = "{below}" in its config'),
    Program(
        "iCloud Drive",
        (),
        ("Mobile Documents", "iCloudDrive", "iCloud Drive"),
        "move the folder elsewhere: iCloud cannot leave a directory out",
    ),
    Program(
        "Google Drive",
        (".tmp.drivedownload", ".tmp.driveupload"),
        ("Google Drive", "GoogleDrive", "My Drive"),
        "move the folder elsewhere: Google Drive cannot leave a directory out",
    ),
    Program(
        "Resilio Sync",
        (".sync",),
        (),
        "add the line {below} to {at}/.sync/IgnoreList, on each machine",
        ignores=".sync/IgnoreList",
    ),
    Program(
        "MEGA", (".megaignore",), (), "add the line -:{below} to {at}/.megaignore",
        ignores=".megaignore",
    ),
    Program(
        "Seafile", (".seafile-data", "seafile-ignore.txt"), ("Seafile",),
        "add the line {below}/ to {at}/seafile-ignore.txt", ignores="seafile-ignore.txt",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sharing:
    """A program that shares a folder.

    Attributes:
        at: The directory that it shares; the folder is that or below it.
        keep_out: How to keep `.syncd` out of it.
        is_kept_out: It is set to leave `.syncd` out, as far as this disk shows.
    """

    program: str
    at: Path
    keep_out: str
    is_kept_out: bool

    @property
    def reason(self) -> str:
        """Describe the problem in a sentence."""
        if self.is_kept_out:
            return f"{self.program} shares {self.at}, but not {OWN}"
        return f"{self.program} shares {self.at}, including {OWN}"

    @property
    def hint(self) -> str:
        """Describe the next step."""
        alone = (
            "run syncd on one machine only; if files arrive half written, set "
            "settle_seconds in [push] of syncd.toml"
        )
        if self.is_kept_out:
            return alone
        return (
            f"exclude {OWN} from it ({self.keep_out}) and {alone}; or stop sharing the "
            "folder, and clone it on each machine: syncd clone ACCOUNT DIR"
        )


def find_sharing(root: Path) -> tuple[Sharing, ...]:
    """Return the programs that share the folder `root`, as far as marks show it."""
    places = [root.absolute(), *root.absolute().parents]
    found = (sharing for place in places for sharing in _found_at(place, root.absolute()))
    first: dict[str, Sharing] = {}
    for sharing in found:
        # The nearest mark counts: a program shares a directory once.
        first.setdefault(sharing.program, sharing)
    return tuple(first.values())


def _found_at(place: Path, root: Path) -> Iterator[Sharing]:
    names: list[str] = []
    with suppress(OSError):
        names = [found.name for found in os.scandir(place)]
    for program in PROGRAMS:
        is_named = any(fnmatchcase(place.name, pattern) for pattern in program.names)
        if is_named or any(_is_mark(place, name, program) for name in names):
            yield _sharing(program, place, root)


def _is_mark(place: Path, name: str, program: Program) -> bool:
    if not any(fnmatchcase(name, pattern) for pattern in program.marks):
        return False
    # Resilio's `.sync` has its list inside; other programs have directories of that name too.
    return name != ".sync" or (place / ".sync" / "IgnoreList").is_file()


def _sharing(program: Program, place: Path, root: Path) -> Sharing:
    own = root / OWN
    keep_out = program.keep_out.format(at=place, path=own, below=own.relative_to(place))
    return Sharing(program.name, place, keep_out, _is_kept_out(program, place, own))


def _is_kept_out(program: Program, place: Path, own: Path) -> bool:
    with suppress(OSError):
        if program.attribute and os.getxattr(own, program.attribute) not in (b"", b"0"):
            return True
    with suppress(OSError):
        text = (place / program.ignores).read_bytes()[:_LIST_BYTES] if program.ignores else b""
        return _LINE.search(text.decode("utf-8", "replace")) is not None
    return False
