"""Which files of a folder a record may name. Never reads one.

Whoever can write a record, by a merge request for example, must not be able to publish a file that
its owner keeps to this machine. A person at this machine can: by `syncd blob add`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Final

from syncd.atproto.nsid import is_nsid
from syncd.errors import BadData, GitFailed
from syncd.folder.root import SETTINGS
from syncd.forms import ENDINGS
from syncd.forms.form import DRAFT
from syncd.git.commits import Worktree
from syncd.git.repository import find_repository
from syncd.values import dataclass

_WHOLE: Final = frozenset({"lfs", "annex"})
"""Filters that keep a file elsewhere, and as it is."""
_ADD_HINT: Final = "name another file; if you want this one: syncd blob add FILE --to RECORD"


def check_meant(name: str, parts: Sequence[str]) -> None:
    """Raise BadData for a file that syncd itself knows to be no attachment."""
    what = None
    # Where case does not count, another spelling leads to the same file.
    parts = [part.casefold() for part in parts]
    if parts == [SETTINGS]:
        what = "it has the settings of syncd"
    elif is_nsid(parts[0]) and len(parts) > 1 and f"{DRAFT}." in parts[-1]:
        what = "it is a draft"
    elif is_nsid(parts[0]) and len(parts) > 1 and parts[-1].endswith(ENDINGS):
        what = "it is the file of a record"
    if what is not None:
        raise BadData(f'"$file" cannot be {name!r}: {what}', hint="name another file")


@dataclass(slots=True)
class Offered:
    """Which files git ignores, or changes by a filter, in the worktree around `folder`.

    What git said is believed as long as this value is: each look makes a new one.
    """

    folder: Path
    _private: dict[str, str] = field(default_factory=dict)
    _git: list[Worktree] | None = None

    def learn(self, names: Callable[[], Collection[str]]) -> None:
        """Ask git about all of `names` in one process; without git, do not even make them."""
        if self._worktrees():
            # For one odd name, such as one in a submodule, git refuses all: each is asked alone.
            with suppress(GitFailed):
                self._ask(names())

    def check(self, name: str) -> None:
        """Raise BadData for a file that git does not show as it is; without git, accept all."""
        shown = name if name.isprintable() else ascii(name)
        try:
            if name not in self._private:
                self._ask([name])
        except GitFailed as error:
            reason = f"syncd cannot tell whether git ignores {shown}: {error.message}"
            raise BadData(reason) from error
        if self._private[name]:
            reason = (
                f"git {self._private[name]} the file {shown}, so it may not be meant to be public"
            )
            raise BadData(reason, hint=_ADD_HINT)

    def _ask(self, names: Collection[str]) -> None:
        found = dict.fromkeys(names, "")
        for git in self._worktrees():
            # git has such a file in another form: git-crypt and others keep it encrypted there.
            filters = git.filters(names).items()
            found |= {name: f"changes (filter {by!a})" for name, by in filters if by not in _WHOLE}
            found |= dict.fromkeys(git.ignored(names), "ignores")
        self._private |= found

    def _worktrees(self) -> list[Worktree]:
        """Return the worktree, if there is one; it is looked for once."""
        if self._git is None:
            found = find_repository(self.folder)
            self._git = [] if found is None else [Worktree.at(found)]
        return self._git
