"""The versions of a record that git has, for `log` and `restore`. Never changes anything."""

from __future__ import annotations

from collections.abc import Iterator

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.dagcbor import encode
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, GitFailed
from syncd.folder.names import relative_paths
from syncd.forms import Forms
from syncd.git.commits import Worktree
from syncd.git.repository import find_repository
from syncd.git.versions import FileVersion, file_versions
from syncd.mirror.notices import Notice, OnNotice, ignore
from syncd.model import RecordPath, Side, split_record_path
from syncd.state import Provenance, Superseded
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Committed:
    """A record in one git commit; `block` is None if the commit has no file or no record."""

    path: RecordPath
    found: FileVersion
    block: bytes | None

    @property
    def cid(self) -> Cid | None:
        return None if self.block is None else cid_of_block(self.block)


def committed(
    workspace: Workspace,
    path: RecordPath,
    *,
    everywhere: bool = False,
    on_notice: OnNotice = ignore,
) -> list[Committed]:
    """Return the git commits of one record, newest first; none without git.

    Read the commits that HEAD comes from; with `everywhere`, all that git still has. If git fails,
    `on_notice` hears why, and there are none.
    """
    repository = find_repository(workspace.root)
    if repository is None:
        return []
    folder = workspace.folder
    try:
        work = Worktree.at(repository)
        names = relative_paths(path, portable=folder.portable, forms=folder.forms)
        found = [v for name in names for v in file_versions(work, name, everywhere=everywhere)]
        found = sorted(_without_renames(found), key=lambda version: -version.at)
    except GitFailed as error:
        on_notice(Notice(f"the versions in git are not listed: {error.message}"))
        return []
    return [Committed(path, version, _block(version, path, folder.forms)) for version in found]


def _without_renames(found: list[FileVersion]) -> list[FileVersion]:
    """Leave out a removed file if the same commit brought another file of the record."""
    brought = {version.commit for version in found if version.content is not None}
    return [v for v in found if v.content is not None or v.commit not in brought]


def _block(version: FileVersion, path: RecordPath, forms: Forms) -> bytes | None:
    try:
        collection = split_record_path(path)[0]
        return encode(forms.of(collection).parse(version.content or b"", collection))
    except (BadJson, BadData):
        return None


def superseded_in_git(
    workspace: Workspace, path: RecordPath, ending: str, on_notice: OnNotice = ignore
) -> Iterator[Superseded]:
    """Yield the versions on any git branch whose CID ends in `ending`, newest first."""
    for version in committed(workspace, path, everywhere=True, on_notice=on_notice):
        if version.block is not None and version.cid and str(version.cid).endswith(ending):
            reason = f"in git commit {version.found.commit[:10]}"
            named = (path, Side.LOCAL, version.cid, version.block, None)
            yield Superseded(*named, version.found.at, reason, None, Provenance.BOTH)
