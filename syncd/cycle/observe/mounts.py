"""Notice a collection whose disk was unmounted, or covered by another one. Writes nothing.

A collection may be a mount of its own. While its disk is not mounted, another directory shows in
its place, or none: a file that is missing there is nobody's deletion, and one that lies there
nobody's edit. A directory in which every record lies as it should is the collection, whatever disk
it is on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from syncd.atproto.cid import Cid
from syncd.cycle.workspace import Workspace
from syncd.folder.linux import born_ns, is_mount
from syncd.folder.names import CONTINUED, is_record_like
from syncd.folder.root import Folder
from syncd.folder.scan import Look
from syncd.model import Problem, RecordPath
from syncd.state.mounts import Mount, Mounts


def spare_unmounted(
    workspace: Workspace,
    look: Look,
    base: Mapping[RecordPath, Cid],
    concerned: Collection[RecordPath],
    *,
    is_whole: bool,
) -> Look:
    """Return `look` without the collections that lie on another disk than at the last whole look.

    Their files are neither content nor absence. A look at some files cannot tell whether the
    others are as they should be, so nothing in such a collection counts for it.
    """
    known = workspace.state.note(Mounts)
    if known is None:
        return look
    names = {_collection(path) for path in (*base, *concerned)}
    places = dict(_directories(workspace.folder, names))
    for name in sorted({*places, *(names & known.by_collection.keys())}):
        before = known.by_collection.get(name)
        problem = _strange(workspace.folder, name, before, places.get(name))
        if problem is not None and not (is_whole and _is_complete(look, base, name)):
            look = _without(look, problem, concerned)
    return look


def mounts_seen(workspace: Workspace, look: Look, at_ns: int) -> tuple[Mounts, ...]:
    """Return the collections that are mounts, if a whole look found other mounts than before."""
    known = workspace.state.note(Mounts)
    before = {} if known is None else known.by_collection
    names = {*map(_collection, look.seen), *before} - look.unread
    now = {name: found for name in look.unread if (found := before.get(name))}
    for name, (place, mounted) in _directories(workspace.folder, names):
        old = before.get(name)
        if mounted:
            now[name] = old if old and _is_same(old, place) else replace(place, at_ns=at_ns)
    return () if known is not None and now == before else (Mounts(now),)


def _directories(folder: Folder, names: Iterable[str]) -> Iterator[tuple[str, tuple[Mount, bool]]]:
    """Yield the directory of each collection, and whether it is a mount of its own."""
    with folder.open() as root:
        for name in sorted(names):
            with suppress(OSError):
                found = os.stat(name, dir_fd=root, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    yield name, (Mount(found.st_ino, born_ns(root, name)), is_mount(root, name))


def _strange(
    folder: Folder, name: str, before: Mount | None, found: tuple[Mount, bool] | None
) -> Problem | None:
    """Return the fault of the directory of a collection, or None. `found`: whether it exists.

    Where a disk was, a directory counts that a person made since then and put a record into. Who
    mounts disks also makes and removes directories for them, and those are empty.
    """
    now, is_mounted = found or (None, False)
    if is_mounted and (before is None or now is None or not _is_same(before, now)):
        reason = (
            "another disk is mounted here than at the last sync, and some of the files are missing"
        )
        return Problem(name, reason, "unmount it, or first copy the files of the records to it")
    if is_mounted or before is None:
        return None
    if now is None or _is_bare(folder, name):
        reason = "its disk is not mounted, so its missing files do not count as deleted"
        hint = (
            f"mount it; or to have its records in this directory: syncd restore {name}, then "
            "syncd sync"
        )
        return Problem(name, reason, hint)
    if now.made > before.at_ns:
        return None
    reason = "its disk is not mounted, so the files in this directory are not those of the mirror"
    count = f"mv {name} {name}-old && cp -a {name}-old {name}"
    return Problem(name, reason, f"mount it; or to use the files in this directory: {count}")


def _is_bare(folder: Folder, name: str) -> bool:
    """Return whether no file in the directory of a collection has the name of a record's file."""
    form = folder.forms.of(name)
    try:
        names = [file.name for file in (folder.root / name).iterdir()]
    except OSError:
        return False  # the look has a problem for it already
    return not any(is_record_like(each, form) or each.endswith(CONTINUED) for each in names)


def _is_same(one: Mount, other: Mount) -> bool:
    """Return whether both are one directory: some file systems number anew with each mount."""
    if one.made and other.made:
        return one.made == other.made
    return one.inode == other.inode


def _is_complete(look: Look, base: Mapping[RecordPath, Cid], name: str) -> bool:
    found = {path: seen.cid for path, seen in look.seen.items()}
    mine = (path for path in base if _collection(path) == name)
    return all(found.get(path) == base[path] for path in mine)


def _without(look: Look, problem: Problem, concerned: Collection[RecordPath]) -> Look:
    name = problem.path
    inert = {
        p: Problem(p, problem.reason, problem.hint) for p in concerned if _collection(p) == name
    }
    return replace(
        look,
        seen={path: seen for path, seen in look.seen.items() if _collection(path) != name},
        problems={p: item for p, item in look.problems.items() if _collection(p) != name} | inert,
        strays=(*look.strays, problem),
        unread=look.unread | {name},
    )


def _collection(path: RecordPath) -> str:
    # Of each path of a large folder, in every whole look: parsing it would take longer than this.
    return path.partition("/")[0]
