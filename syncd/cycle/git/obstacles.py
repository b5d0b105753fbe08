"""Find the records that git keeps from being synced: unfinished operations, unmerged files.

A repository of its own in a collection's directory counts for that collection. Never writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TypeAlias

from syncd.cycle.git.decision import UNMERGED, Obstacle, unfinished
from syncd.errors import GitFailed
from syncd.git.commits import Worktree
from syncd.git.repository import Moment, Repository, find_repository
from syncd.model import RecordPath
from syncd.values import dataclass


@dataclass(slots=True)
class Obstacles:
    """The records that the git repositories in and around the folder `root` keep from being synced.

    The unmerged files of a repository are asked for again only after git wrote its index.
    """

    root: Path
    _unmerged: dict[Path, tuple[Moment, frozenset[str]]] = field(default_factory=dict)
    _waited_for: dict[Repository, _Status] = field(default_factory=dict)

    def find(self, names: Mapping[RecordPath, Sequence[str]]) -> dict[RecordPath, Obstacle]:
        """Return the obstacle of each record that has one.

        `names` are the files in the folder that can be the record's, in one directory: where one of
        them is unmerged, another one does not decide.
        """
        self._waited_for = {}
        found: dict[RecordPath, Obstacle] = {}
        for directory, files in _by_directory(names).items():
            for repository in self._around(directory):
                obstacles = self._in(repository, files)
                if obstacles:
                    self._waited_for[repository] = _status(repository)
                found = obstacles | found
        return found

    def has_changed(self) -> bool:
        """Return whether a repository has left the state in which it was an obstacle."""
        return any(_status(place) != before for place, before in self._waited_for.items())

    def _around(self, directory: str) -> Iterable[Repository]:
        """Return the repository of the folder, and that of the collection if it has its own."""
        found = map(find_repository, (self.root, self.root / directory))
        return {repo.git_directory: repo for repo in found if repo is not None}.values()

    def _in(
        self, repository: Repository, names: Mapping[RecordPath, Sequence[str]]
    ) -> dict[RecordPath, Obstacle]:
        operation = repository.operation()
        if operation is not None:
            return dict.fromkeys(names, unfinished(operation))
        files = {
            (self.root / name).relative_to(repository.top).as_posix(): path
            for path, several in names.items()
            for name in several
        }
        unmerged = self._unmerged_in(repository, files.keys())
        return {path: UNMERGED for file, path in files.items() if file in unmerged}

    def _unmerged_in(self, repository: Repository, files: Collection[str]) -> Collection[str]:
        moment = repository.moment()
        known = self._unmerged.get(repository.git_directory)
        if known is not None and known[0] == moment:
            return known[1]
        try:
            found = Worktree.at(repository).unmerged()
        except GitFailed:
            # No git, or it does not trust the repository: a conflict is there all the same.
            return {file for file in files if repository.may_be_unmerged(file)}
        self._unmerged[repository.git_directory] = (moment, found)
        return found


_Status: TypeAlias = tuple[Moment, str | None]


def _status(repository: Repository) -> _Status:
    return repository.moment(), repository.operation()


def _by_directory(
    names: Mapping[RecordPath, Sequence[str]],
) -> dict[str, dict[RecordPath, Sequence[str]]]:
    found: dict[str, dict[RecordPath, Sequence[str]]] = {}
    for path, several in names.items():
        found.setdefault(several[0].partition("/")[0], {})[path] = several
    return found
