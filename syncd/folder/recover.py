"""Finish or undo writes of syncd that a crash interrupted. Never unlinks a person's version.

A scan reports the files left over from such writes; their names describe the write (see
replace.py). Only the holder of the folder's lock may recover it: any other process could take a
running write for an interrupted write.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress

from syncd.atproto.cid import parse_cid
from syncd.errors import BadSyntax, FileChanged, FileProblem
from syncd.folder.problems import printable
from syncd.folder.read import FileStat, os_problem, read_file
from syncd.folder.replace import (
    ExchangeName,
    is_unfinished,
    place_new,
    put_back,
    shortened,
)
from syncd.folder.root import OWN, Folder, opened
from syncd.folder.write import CONFLICTS, is_edited_copy
from syncd.forms import ENDINGS, Form
from syncd.model import Problem

_RECOVERED = "recovered"


def recover(folder: Folder, leftovers: Sequence[str]) -> tuple[Problem, ...]:
    """Clear the leftovers of a scan; return a Problem for each that a person must see.

    A version that was saved at the moment of the crash goes back to its name. If that name is taken
    by now, the version is set aside in `.syncd/recovered/`. The caller must scan the folder again.

    Raises:
        FolderWrong: The folder is missing or belongs to another mirror.
    """
    problems: list[Problem] = []
    with folder.open() as root:
        for relative in leftovers:
            try:
                problems += _recover(folder, root, relative)
            except FileNotFoundError:
                # A person removed it since the scan: there is nothing left to recover.
                continue
            except OSError as error:
                problems.append(os_problem(printable(relative), error))
    return tuple(problems)


def sweep_conflicts(folder: Folder, keep: Collection[str]) -> None:
    """Remove the files of conflicts that are not open; `keep` names the files of open conflicts.

    Such a file is left over if the program stopped between writing it and recording the conflict.
    Files with other names stay, and so do copies that a person has edited. If the disk refuses,
    the files stay too, without an error: they do no harm.

    Raises FolderWrong: the folder is missing or belongs to another mirror.
    """
    with folder.open() as root, suppress(OSError), opened(root, (OWN, CONFLICTS)) as directory:
        for inside, _, names, descriptor in os.fwalk(dir_fd=directory):
            collection = inside.removeprefix("./").partition("/")[0]
            for name in names:
                relative = os.path.normpath(f"{OWN}/{CONFLICTS}/{inside}/{name}")
                if relative not in keep and _is_ours(
                    descriptor, name, collection, folder.forms.of(collection)
                ):
                    folder.disk.unlink(descriptor, name)


def _is_ours(directory: int, name: str, collection: str, form: Form) -> bool:
    # By another setting, the copy had another ending.
    stem = next((name.removesuffix(each) for each in ENDINGS if name.endswith(each)), name)
    with suppress(BadSyntax):
        if is_unfinished(name):
            return True
        # The name holds the CID of the repo's version, so an edited copy shows by its content.
        cid = parse_cid(stem.rpartition(".")[2])
        return stem != name and not is_edited_copy(directory, name, collection, form, cid)
    return False


def _recover(folder: Folder, root: int, relative: str) -> list[Problem]:
    *directories, name = relative.split("/")
    with opened(root, directories) as directory:
        if _is_worthless(directory, name):
            folder.disk.unlink(directory, name)
        elif not _is_returned(folder, directory, name):
            # A person's version, and its name is taken: both versions must stay readable.
            return [_set_aside(folder, root, directory, directories[0], name)]
        folder.disk.sync_directory(directory)
    return []


def _is_worthless(directory: int, name: str) -> bool:
    """Return whether `name` is unfinished, or holds the version that was replaced or placed.

    The expected version is in history already, and the placed version comes from the repo. Any
    other content was saved by a person at the moment of the crash.
    """
    if is_unfinished(name):
        return True
    with suppress(BadSyntax):
        held, now = ExchangeName.parse(name), _read(directory, name)
        return now is not None and shortened(now.digest) in (held.expected, held.placed)
    return False


def _is_returned(folder: Folder, directory: int, name: str) -> bool:
    """Give a person's file its name back, if the name is free or holds the file syncd placed."""
    with suppress(BadSyntax, FileChanged):
        held = ExchangeName.parse(name)
        if held.name and held.is_removal:
            # The removal had moved the file away, so the name is free unless it was used again.
            place_new(folder.disk, directory, name, held.name)
            return True
        ours = _read(directory, held.name) if held.name else None
        if ours is not None and shortened(ours.digest) == held.placed:
            # The name holds what syncd placed: the exchange happened, the check after it did not.
            put_back(folder.disk, directory, name, held.name, ours=ours.inode, new=ours.digest)
            return True
    return False


def _read(directory: int, name: str) -> FileStat | None:
    try:
        return read_file(directory, name)[1]
    except (OSError, FileProblem):
        return None


def _set_aside(folder: Folder, root: int, directory: int, collection: str, name: str) -> Problem:
    with opened(root, (OWN, _RECOVERED, collection), make=folder.disk, mode=0o700) as aside:
        folder.disk.move(directory, name, aside, name)
        folder.disk.sync_directory(aside)
        folder.disk.sync_directory(directory)
    return Problem(
        printable(f"{OWN}/{_RECOVERED}/{collection}/{name}"),
        f"syncd put a version of a file in {collection} here, which was saved during a crash",
        "copy what you need from it, then delete it",
    )
