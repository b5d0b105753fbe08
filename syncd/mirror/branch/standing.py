"""Say where a checkout stands: whether its commit is to be published, and since which one.

Reads git and asks its remote; changes no branch, no file and no ref. What a shallow or a partial
clone lacks is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from syncd.config import FILE_NAME, Config
from syncd.cycle.branch.mark import Mark, parse_mark
from syncd.cycle.branch.trees import settings_at
from syncd.errors import ConfigWrong, FolderWrong, GitFailed
from syncd.git.commits import Worktree
from syncd.git.published import (
    REF,
    Upstream,
    comes_from,
    has_commit,
    is_shallow,
    merge_base,
    message_of,
)
from syncd.git.repository import find_repository
from syncd.values import dataclass

_OTHERWISE = "see what it would change: syncd sync --dry-run"


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout to publish: the folder, git, the settings and the commit of HEAD.

    `branch` is the branch that is checked out; None if HEAD is detached.
    """

    root: Path
    work: Worktree
    config: Config
    head: str
    branch: str | None

    @property
    def published(self) -> tuple[Config, str]:
        """Return the settings and the commit of HEAD."""
        return self.config, self.head

    @property
    def upstream(self) -> Upstream:
        """Return the branch in the git remote that has REF."""
        return Upstream(self.work, self.config.git_push or "origin", self.config.branch)


@dataclass(frozen=True, slots=True)
class Found:
    """The mark of the last publication and its place, before it is judged.

    Attributes:
        mark: The mark; None if there is none, or none that can be read.
        kept_as: What the place of the mark holds, to be replaced; None: nothing.
        is_from_remote: The remote was asked, for the branch too.
        tip: The newest commit of the branch in the remote; None where it has none.
    """

    mark: Mark | None
    kept_as: str | None
    is_from_remote: bool = False
    tip: str | None = None


@dataclass(frozen=True, slots=True)
class Since:
    """The starting point of a publication.

    Attributes:
        mark: The last publication, if HEAD comes from it. None: nothing counts as deleted.
        kept_as: What the place of the mark holds now.
        remark: What a person should know of that; may be empty.
        is_done: A newer commit is published, or about to be: nothing is to be done.
    """

    mark: Mark | None
    kept_as: str | None
    remark: str = ""
    is_done: bool = False


def checkout_at(root: Path, environ: Mapping[str, str]) -> Checkout:
    """Return the checkout at `root`, with the settings in HEAD. Raises GitFailed and others.

    ConfigWrong: HEAD has no settings that say `mode = "publish"`. FolderWrong: It is a mirror.
    """
    repository = find_repository(root)
    if repository is None:
        message = f'{root} is not in a git repository, which [mirror] mode = "publish" needs'
        raise ConfigWrong(message, hint="clone the repository, or remove that line")
    if any((root / ".syncd" / name).exists() for name in ("marker", "state.db")):
        message = f"{root} is a mirror that syncs both ways, but its settings say publish"
        raise FolderWrong(message, hint="publish from a separate clone: git clone")
    work = Worktree.at(repository)
    tip = work.tip()
    head = tip.commit
    config = None if head is None else settings_at(work, head, environ)
    if head is None or config is None or not config.is_one_way:
        message = f'{FILE_NAME} says mode = "publish", but the one in HEAD does not'
        raise ConfigWrong(message, hint=f"git add {FILE_NAME} && git commit")
    return Checkout(root, work, config, head, tip.branch)


def find_in_remote(checkout: Checkout) -> Found:
    """Ask the remote for REF and the branch, and fetch the commit of REF. Raises GitFailed."""
    upstream = checkout.upstream
    ends = upstream.ends()
    if ends.published is None:
        return Found(None, None, is_from_remote=True, tip=ends.tip)
    is_here = has_commit(checkout.work, ends.published)
    if not is_here:
        upstream.bring()
        is_here = has_commit(checkout.work, ends.published)
    mark = _read(checkout, ends.published) if is_here else None
    return Found(mark, ends.published, is_from_remote=True, tip=ends.tip)


def _read(checkout: Checkout, found: str) -> Mark:
    # A commit of the branch is itself the mark; one beside it says in its message which it is.
    beside = parse_mark(message_of(checkout.work, found))
    return Mark(found) if beside is None else beside


def check_branch(checkout: Checkout) -> None:
    """Raise GitFailed unless the branch of the settings is checked out."""
    branch, wanted = checkout.branch, checkout.config.branch
    if branch not in (None, wanted):
        message = f"the branch {branch} is checked out, and only {wanted} is published"
        raise GitFailed(message, hint=_OTHERWISE)


def since(checkout: Checkout, found: Found) -> Since:
    """Judge the last publication for a run that writes. Raises GitFailed.

    The commit of HEAD must be in the branch: what nobody has pushed is not published.
    """
    check_branch(checkout)
    if found.is_from_remote and found.tip != checkout.head:
        newer = _newer_tip(checkout, found.tip)
        remark = (
            f"{checkout.config.branch} has a newer commit, {newer[:10]}, which its own job "
            "publishes"
        )
        return Since(None, found.kept_as, remark, is_done=True)
    mark = found.mark
    # A branch that was taken back to HEAD has no job of a newer commit.
    is_tip = found.is_from_remote
    if mark is not None and not is_tip and _is_newer(checkout, mark):
        remark = f"a newer commit is published already, {mark.commit[:10]}"
        return Since(None, found.kept_as, remark, is_done=True)
    return _judged(checkout, found)


def _newer_tip(checkout: Checkout, tip: str | None) -> str:
    """Return the tip of the branch, which is not HEAD. Raises GitFailed if HEAD is not in it."""
    upstream = checkout.upstream
    if tip is None:
        message = f"{upstream.remote} has no branch {upstream.branch}"
        raise GitFailed(message, hint="push it first, or name another in [mirror] branch")
    if not has_commit(checkout.work, tip):
        upstream.bring_branch()
    if not comes_from(checkout.work, tip, checkout.head):
        message = f"HEAD is not a commit of {upstream.branch} in {upstream.remote}"
        raise GitFailed(message, hint=f"push it first; {_OTHERWISE}")
    return tip


def _is_newer(checkout: Checkout, mark: Mark) -> bool:
    is_other = mark.commit != checkout.head
    return is_other and comes_from(checkout.work, mark.commit, checkout.head)


def _judged(checkout: Checkout, found: Found) -> Since:
    mark = found.mark
    if mark is None:
        why = "nothing was published yet" if found.kept_as is None else f"{REF} cannot be read"
        return Since(None, found.kept_as, f"{why}, so nothing counts as deleted")
    is_after = comes_from(checkout.work, checkout.head, mark.commit)
    if not is_after and is_shallow(checkout.work):
        checkout.upstream.complete()
        is_after = comes_from(checkout.work, checkout.head, mark.commit)
    if is_after:
        return Since(mark, found.kept_as)
    remark = f"HEAD does not come from {mark.commit[:10]}, which was published last"
    return Since(None, found.kept_as, f"{remark}, so nothing counts as deleted")


def since_for_preview(checkout: Checkout, found: Found) -> Since:
    """Judge the last publication for a run that writes nothing, on whatever commit. GitFailed.

    A pull request that is behind the branch is compared with where it left the branch.
    """
    judged = _judged(checkout, found)
    is_tip = found.is_from_remote and found.tip == checkout.head
    if judged.mark is not None or found.mark is None or is_tip:
        return judged
    left = merge_base(checkout.work, found.mark.commit, checkout.head)
    if left is None:
        return judged
    remark = f"HEAD lacks commits that are published; it is compared with {left[:10]}"
    return Since(Mark(left, found.mark.open), found.kept_as, remark)
