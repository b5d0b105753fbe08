"""Say which records have their file elsewhere on purpose: in git, or in a cloud. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from syncd.cycle.git.absent import kept_out
from syncd.cycle.workspace import Workspace
from syncd.errors import GitFailed
from syncd.folder.names import relative_paths
from syncd.folder.search.stubs import Stubs, describe
from syncd.git.repository import find_repository
from syncd.model import RecordPath


def kept_elsewhere(workspace: Workspace, paths: Collection[RecordPath]) -> dict[RecordPath, str]:
    """Return those of `paths` whose file is deliberately not here, each with the reason.

    A sparse checkout and an empty submodule of git leave files out; a placeholder says that the
    client of a cloud keeps the content.
    """
    folder = workspace.folder
    files = {
        path: relative_paths(path, portable=folder.portable, forms=folder.forms) for path in paths
    }
    away = {
        path: names
        for path, names in files.items()
        if not any(os.path.lexists(workspace.root / name) for name in names)
    }
    return _in_clouds(workspace, away) | _in_git(workspace, away) if away else {}


def _in_git(workspace: Workspace, away: Collection[RecordPath]) -> dict[RecordPath, str]:
    repository = find_repository(workspace.folder.root)
    if repository is None:
        return {}
    try:
        found = kept_out(repository, workspace.folder, away)
    except GitFailed:
        # To write a file that git leaves out costs nothing but the room for it.
        return {}
    return {path: obstacle.words for path, obstacle in found.items()}


def _in_clouds(
    workspace: Workspace, away: Mapping[RecordPath, tuple[str, ...]]
) -> dict[RecordPath, str]:
    with workspace.folder.open() as root:
        stubs = Stubs(root)
        found = {path: stubs.of(names) for path, names in away.items()}
    return {path: describe(stub) for path, stub in found.items() if stub is not None}
