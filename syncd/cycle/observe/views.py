"""Bring the three views of the paths that matter into one value that a plan can be made from.

Reads the folder and the state; never writes, never asks the PDS. A path matters if its file is
dirty, if it changed in the repo, or if something about it waits since an earlier cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field, replace

from syncd.atproto.cid import Cid
from syncd.blobs.reading import Reading
from syncd.cycle.lexicons.judge import judge
from syncd.cycle.observe.attached import Naming, still_waiting, with_attached
from syncd.cycle.observe.ignored import ignored_among, rules_of
from syncd.cycle.observe.inexact import Versions, with_inexact
from syncd.cycle.observe.local import Everywhere, look_everywhere
from syncd.cycle.observe.mounts import spare_unmounted
from syncd.cycle.observe.remote import Sight
from syncd.cycle.observe.scope import newly_covered
from syncd.cycle.workspace import Workspace
from syncd.folder.ignore.rules import Rules
from syncd.folder.read import Texts
from syncd.folder.scan import Look, scan
from syncd.folder.share import since_ns
from syncd.model import (
    Arrival,
    Choice,
    Decision,
    Departure,
    Held,
    Kind,
    Moved,
    Problem,
    RecordPath,
    Refusal,
    Retry,
    Seen,
    Snapshot,
    Waiting,
    find_record_path,
)
from syncd.plan import Views, touched
from syncd.replica import View, first_of, remotes_of
from syncd.state import State
from syncd.values import dataclass

Dirty = Collection[RecordPath] | None
"""Paths to look at, or None: look everywhere."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The three views of `paths`, the files at that time, and the items that waited before.

    `arrived` is what base does not have yet: versions of the repo that an interrupted cycle brought
    into the folder, and versions of the folder that a write without an answer brought into the
    repo. `regained` is what of base no longer counts: records of
    collections that were out of scope, whose files went away meanwhile. `fingerprints` are those
    that settled.py has found. `at_ns` is when the look began, in nanoseconds. `ignored` are new
    files that are no records, by the records that they would be. `warned` is what lexicons say of
    files that they do not hold. `attached` are files that name others, which are to be uploaded;
    `unread` those that wait until such a file is read. `rules` are what is ignored, after a look at
    all files.
    """

    paths: frozenset[RecordPath]
    views: Views
    look: Look
    known: Mapping[RecordPath, Seen]
    waiting: tuple[Waiting, ...]
    is_whole: bool
    arrived: Mapping[RecordPath, Cid | None]
    regained: frozenset[RecordPath]
    fingerprints: Mapping[str, bytes]
    at_ns: int = 0
    ignored: frozenset[RecordPath] = frozenset()
    warned: Mapping[RecordPath, str] = field(default_factory=dict)
    attached: Mapping[RecordPath, Naming] = field(default_factory=dict)
    unread: Mapping[RecordPath, Retry] = field(default_factory=dict)
    rules: Rules | None = None

    def expect(self, path: RecordPath) -> Seen | None:
        """Return the file that the plan saw at `path`, or None if there was none."""
        return self.look.seen.get(path)

    @property
    def gone(self) -> frozenset[RecordPath]:
        """Records that both sides had and whose files are proven to be away."""
        views = self.views
        away = (path for path in self.paths if path in views.base and path not in views.local)
        return frozenset(path for path in away if path not in views.inert)

    @property
    def moved(self) -> tuple[Moved, ...]:
        """Where the files of records went that are gone, as an earlier cycle found them."""
        return tuple(item for item in self.waiting if isinstance(item, Moved))

    def with_inert(self, more: Mapping[RecordPath, Problem]) -> Sides:
        """Return the same views, with files counted as inert that are away but not deleted."""
        views = replace(self.views, inert={**more, **self.views.inert})
        return replace(self, views=views)


def bring_sides(
    workspace: Workspace,
    sight: Sight,
    dirty: Dirty,
    now_ns: int,
    reading: Reading | None = None,
) -> Sides:
    """Look at the folder (all of it, or just the paths that matter) and compare with the rest.

    If the scope has changed, the whole folder matters. `reading` reads what is too much.
    """
    if reading is not None:
        reading.begin()
    state = workspace.state
    is_new = newly_covered(state, workspace.config)
    # Nobody watched the files of a new scope, so what is dirty does not say what matters.
    dirty = dirty if is_new is None else None
    pending = _Pending(still_waiting(workspace, state.waiting()), state.decisions())
    found, paths = _look_at(workspace, _changed(sight.view, state), pending, dirty, now_ns)
    remote = _remote(sight, state, paths)
    ignored = _ignored(workspace, found, paths, remote)
    paths -= ignored
    regained = _regained(is_new, found, remote)
    base = _without(found.base, regained)
    versions = _versions(workspace, sight, base, remote)
    look = with_inexact(workspace.folder, found.look, paths, versions, now_ns)
    look, attached, unread = with_attached(workspace, look, paths, base, remote, reading)
    arrived = _brought(pending, paths, look, base, remote)
    views = _views(pending, paths, look, found.known, _moved(base, arrived), remote)
    judged = judge(workspace, look, views, paths, versions.block_of)
    return Sides(
        paths,
        replace(views, inert={**judged.held, **views.inert}),
        # The texts have been judged. A push reads each file again, maybe hours later.
        replace(look, texts=Texts()),
        found.known,
        pending.waiting,
        is_whole=dirty is None,
        arrived=arrived,
        regained=regained,
        fingerprints=found.fingerprints,
        # Files may have been listed before the repo was seen: what moved since then is newer.
        at_ns=since_ns(now_ns),
        ignored=frozenset(ignored),
        warned=judged.warned,
        attached=attached,
        unread=unread,
        rules=found.rules,
    )


@dataclass(frozen=True, slots=True)
class _Pending:
    """The items that wait since an earlier cycle, and a person's decisions since."""

    waiting: tuple[Waiting, ...]
    decisions: Mapping[RecordPath, Decision]

    @property
    def paths(self) -> set[RecordPath]:
        return {*_record_paths(self.waiting), *self.decisions}

    @property
    def inert(self) -> set[RecordPath]:
        return _record_paths(item for item in self.waiting if isinstance(item, Problem))


def _views(
    pending: _Pending,
    paths: frozenset[RecordPath],
    look: Look,
    known: Mapping[RecordPath, Seen],
    base: Snapshot,
    remote: Snapshot,
) -> Views:
    """Return the three views, and the reasons why they alone cannot decide some paths."""
    published = {
        path: decision
        for path, decision in pending.decisions.items()
        if decision.choice in (Choice.PUBLISH, Choice.DELETE)
    }
    return Views(
        base=base,
        local=_local(look),
        remote=remote,
        inert=_inert(look, paths),
        refused=_refused(pending.waiting, known, look),
        # Whatever asks for a person's decision must not take a publication for one.
        decisions={p: d for p, d in pending.decisions.items() if p not in published},
        held={
            item.path: item.heir
            for item in pending.waiting
            # What is held for its blobs goes by itself once these are here.
            if isinstance(item, Held) and item.kind is Kind.DELETION and not item.blobs
        },
        published=published,
    )


def _brought(
    pending: _Pending,
    paths: frozenset[RecordPath],
    look: Look,
    base: Snapshot,
    remote: Snapshot,
) -> dict[RecordPath, Cid | None]:
    """Return the versions that an interrupted cycle brought to either side and did not record."""
    concerning = [item for item in pending.waiting if item.path in paths]
    return _arrived(concerning, look) | _landed(concerning, base, remote)


def _look_at(
    workspace: Workspace, changed: set[RecordPath], pending: _Pending, dirty: Dirty, now_ns: int
) -> tuple[Everywhere, frozenset[RecordPath]]:
    """Return a look at the folder, and the paths in scope that matter."""
    state, config, concerned = workspace.state, workspace.config, changed | pending.paths
    if dirty is None:
        found = look_everywhere(workspace, concerned, now_ns)
        look = found.look
        paths = {*concerned, *touched(found.base, _local(look), look.problems, look.absent)}
        return found, frozenset(filter(config.covers_path, paths))
    matter = frozenset(filter(config.covers_path, {*concerned, *dirty}))
    known = {**state.seen_of(matter), **workspace.folder.elsewhere}
    look = scan(workspace.folder, known=known, only=matter, expected=pending.inert, now_ns=now_ns)
    base = state.base_of(matter)
    look = spare_unmounted(workspace, look, base, matter, is_whole=False)
    return Everywhere(look, known, base, {}), matter


def _ignored(
    workspace: Workspace, found: Everywhere, paths: frozenset[RecordPath], remote: Snapshot
) -> set[RecordPath]:
    """Return the new files that are ignored; never a file whose record either side has."""
    folder, records = workspace.folder, found.base.keys() | remote.keys()
    if found.ignored is not None:
        return {path for path in found.ignored if path in paths and path not in records}

    def rules() -> Rules:
        return found.rules or rules_of(folder)

    return ignored_among(paths, found.look, records, rules, folder)


def _regained(
    is_new: Callable[[RecordPath], bool] | None, found: Everywhere, remote: Snapshot
) -> frozenset[RecordPath]:
    """Return the records that came into scope without a file: nobody deleted these files."""
    if is_new is None:
        return frozenset()
    both = found.base.keys() & remote.keys()
    return frozenset(path for path in both if is_new(path) and found.look.absent(path))


def _without(base: Snapshot, paths: Collection[RecordPath]) -> Snapshot:
    return {p: cid for p, cid in base.items() if p not in paths} if paths else base


def _versions(workspace: Workspace, sight: Sight, base: Snapshot, remote: Snapshot) -> Versions:
    """Return the records that both sides have, with where their blocks are."""
    state = workspace.state

    def block(path: RecordPath, cid: Cid) -> bytes | None:
        return state.block(path, cid) or sight.get(cid)

    return Versions(base, remote, block, state.blocks, workspace.folder.forms)


def _arrived(waiting: Collection[Waiting], look: Look) -> dict[RecordPath, Cid | None]:
    """Return the versions of the repo that an interrupted cycle had brought into the folder."""
    arrivals = (item for item in waiting if isinstance(item, Arrival))
    return {item.path: item.remote for item in arrivals if _has_arrived(item, look)}


def _landed(
    waiting: Collection[Waiting], base: Snapshot, remote: Snapshot
) -> dict[RecordPath, Cid | None]:
    """Return the versions of the folder that are in the repo although no answer said so."""
    departures = (item for item in waiting if isinstance(item, Departure))
    return {item.path: item.local for item in departures if _has_landed(item, base, remote)}


def _refused(
    waiting: Collection[Waiting], known: Mapping[RecordPath, Seen], look: Look
) -> dict[RecordPath, tuple[Cid | None, Problem]]:
    """Return the refused pushes whose files nobody has saved again: they are not repeated."""
    refusals = (item for item in waiting if isinstance(item, Refusal))
    return {
        item.path: (item.local, item.problem)
        for item in refusals
        if not _is_saved_again(item.path, known, look)
    }


def _has_arrived(item: Arrival, look: Look) -> bool:
    if item.remote is None:
        return look.absent(item.path)
    return item.path in look.seen and look.seen[item.path].cid == item.remote


def _has_landed(item: Departure, base: Snapshot, remote: Snapshot) -> bool:
    """Return whether the repo has the version that was sent, and base the one it replaced.

    Then nobody else wrote it, and whoever edited the file since then knew it.
    """
    return base.get(item.path) == item.base and remote.get(item.path) == item.local


def _moved(
    base: Mapping[RecordPath, Cid], arrived: Mapping[RecordPath, Cid | None]
) -> Mapping[RecordPath, Cid]:
    """Return base as the interrupted cycle would have left it.

    Without this, a record that another client changed back meanwhile would look edited here.
    """
    if not arrived:
        return base
    return {path: cid for path, cid in {**base, **arrived}.items() if cid is not None}


def _is_saved_again(path: RecordPath, known: Mapping[RecordPath, Seen], look: Look) -> bool:
    """Return whether a file was written since it was read last, even with the same content."""
    before, now = known.get(path), look.seen.get(path)
    return before is not None and now is not None and before.mtime_ns != now.mtime_ns


def _local(look: Look) -> dict[RecordPath, Cid]:
    return {path: seen.cid for path, seen in look.seen.items()}


def _changed(view: View, state: State) -> set[RecordPath]:
    """Return the paths whose remote side may differ from base, as far as this view shows."""
    if not view.is_whole:
        return set(view.changes)
    base, remote = state.base(), dict(view.after())
    return {path for path in base.keys() | remote.keys() if base.get(path) != remote.get(path)}


def _record_paths(waiting: Iterable[Waiting]) -> set[RecordPath]:
    return {path for item in waiting if (path := find_record_path(item.path))}


def _remote(sight: Sight, state: State, paths: Collection[RecordPath]) -> dict[RecordPath, Cid]:
    """Return the verified CID of each path that the repo has, by the view or the kept tree.

    Raises StateDamaged where that tree lacks a node: no fetch of what is newer brings it.
    """
    view = sight.view
    found = ((path, view.changes[path][1]) for path in paths if path in view.changes)
    fetched = {path: cid for path, cid in found if cid is not None}
    if view.is_whole:
        return fetched
    kept = (path for path in paths if path not in view.changes)
    nodes: dict[Cid, bytes] = {}
    get = first_of(sight.get, nodes.get, state.kept_node)
    return fetched | remotes_of(view.head, kept, get, lambda cids: nodes.update(state.nodes(cids)))


def _inert(look: Look, paths: Collection[RecordPath]) -> dict[RecordPath, Problem]:
    """Return the unreadable files of records, and the paths whose absence is not proven."""
    unproven = {
        path: Problem(
            path,
            "its directory cannot be read completely",
            "check that it exists, is a directory and is readable; nothing is taken as deleted",
        )
        for path in paths
        if path not in look.seen and path not in look.problems and not look.absent(path)
    }
    return {**unproven, **look.problems}
