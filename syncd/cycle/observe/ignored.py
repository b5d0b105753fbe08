"""Leave out of a look what is no record: what `.syncdignore` and the built-in forms exclude.

As in git, what is a record already is never left out: neither what both sides had last, nor what
the repo has. Only names that are new are matched, so this costs nothing where nothing is new.
Changes no file and forgets none: as soon as nothing excludes a file, it is a new file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Container, Iterable
from contextlib import suppress
from dataclasses import replace

from syncd.atproto.nsid import is_nsid
from syncd.cycle.observe.kept import kept_remotes
from syncd.cycle.workspace import Workspace
from syncd.folder.ignore.rules import IGNORE_FILE, Rules, read_rules
from syncd.folder.names import relative_paths
from syncd.folder.problems import printable
from syncd.folder.root import Folder
from syncd.folder.scan import Look
from syncd.model import Problem, RecordPath, split_record_path
from syncd.slips import slip_of


def rules_of(folder: Folder) -> Rules:
    """Read the rules for ignored files in `folder`. Raises FolderWrong as `Folder.open` does."""
    with folder.open() as root:
        return read_rules(root)


def ignored_among(
    paths: Iterable[RecordPath],
    look: Look,
    records: Container[RecordPath],
    rules: Callable[[], Rules],
    folder: Folder,
) -> set[RecordPath]:
    """Return those of `paths` that have a file, are not in `records`, and are ignored.

    `rules` is called only if there is such a file.
    """
    new = [p for p in paths if p not in records and (p in look.seen or p in look.problems)]
    if not new:
        return set()
    excludes = rules().excludes
    return {path for path in new if any(map(excludes, names_of(path, folder)))}


def ignored_here(
    workspace: Workspace,
    look: Look,
    paths: Iterable[RecordPath],
    base: Collection[RecordPath],
    rules: Rules | None = None,
) -> set[RecordPath]:
    """Return the ignored files of a mirror, by the repo as the last cycle saw it. Asks no PDS."""
    folder, state = workspace.folder, workspace.state
    found = ignored_among(paths, look, base, lambda: rules or rules_of(folder), folder)
    return found - kept_remotes(state, found).keys() if found else found


def without_ignored(look: Look, rules: Rules, base: Iterable[RecordPath]) -> Look:
    """Return `look` without ignored strays, and with the faults of the rules themselves."""

    def is_kept(stray: Problem) -> bool:
        if "/" in stray.path:
            return not rules.excludes(stray.path)
        # A collection that cannot be read matters for as long as it has records.
        is_ignored = stray.path != "." and rules.match(f"{stray.path}/") is not None
        return not is_ignored or any(path.startswith(f"{stray.path}/") for path in base)

    strays = tuple(filter(is_kept, look.strays)) if look.strays else ()
    wrong = (rules.problem,) if rules.problem else ()
    return replace(look, strays=(*wrong, *strays))


def misnamed(folder: Folder, collections: Callable[[], Collection[str]]) -> list[Problem]:
    """Return the directories whose names are not NSIDs but one slip from one of `collections`.

    Raises FolderWrong as `Folder.open` does.
    """
    with folder.open() as root:
        names = _directories(root)
    known = collections() if names else ()
    found = ((name, slip_of(name, known)) for name in sorted(names))
    return [
        Problem(
            printable(name),
            f"its name is not an NSID, so nothing in it is a record; did you mean {meant}?",
            f"rename the directory, or list it in {IGNORE_FILE}",
        )
        for name, meant in found
        if meant is not None
    ]


def _directories(root: int) -> list[str]:
    """Return the directories in the open directory `root` that are neither hidden nor NSIDs.

    None where it cannot be read to its end: the look at the records says that.
    """
    with suppress(OSError), os.scandir(root) as entries:
        return [
            entry.name
            for entry in entries
            if not entry.name.startswith(".")
            and entry.is_dir(follow_symlinks=False)
            and not is_nsid(entry.name)
        ]
    return []


def is_ignored(workspace: Workspace, path: RecordPath) -> bool:
    """Return whether a new file of this record would be left out. Asks no PDS."""
    folder, state = workspace.folder, workspace.state
    if path in kept_remotes(state, [path]) or state.base_of([path]):
        return False
    return any(map(rules_of(folder).excludes, names_of(path, folder)))


def names_of(path: RecordPath, folder: Folder) -> set[str]:
    """Return the name of the record's file as it is, and as the key alone would give it."""
    spelt = relative_paths(path, portable=folder.portable, forms=folder.forms)
    endings = folder.forms.of(split_record_path(path)[0]).endings
    return {*spelt, *(f"{path}{ending}" for ending in endings)}
