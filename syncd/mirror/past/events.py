"""What happened to records, each thing once, whichever files know of it. Reads; changes nothing.

The activity log knows what came in and went out, and history what was replaced and why. The
receipts know what the PDS said of it, and git the commits of a file. An event has all of that.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.cycle.push.receipts import PUSHES
from syncd.cycle.workspace import Workspace
from syncd.mirror.git_versions import Committed, committed
from syncd.mirror.names import Name
from syncd.mirror.notices import Notice, OnNotice, ignore
from syncd.mirror.timeline import read_pushes, read_superseded
from syncd.model import RecordPath, Side
from syncd.state import (
    ACTIVITY_FILE,
    HISTORY_FILE,
    Activities,
    Activity,
    How,
    Provenance,
    Push,
    Superseded,
)
from syncd.values import dataclass

COMMITTED: Final = "committed"
REFUSED: Final = "refused"
UNCONFIRMED: Final = "unconfirmed"
PULLED: Final = frozenset({How.CLONED, How.PULLED, How.MERGED})
PUSHED: Final = frozenset({How.PUSHED})
_Version: TypeAlias = tuple[str, Cid | None]
"""A path, and what was there."""
_BESIDE: Final = 100
"""So many more are read than are asked for, so that the two files meet at the oldest one shown."""


@dataclass(frozen=True, slots=True)
class Question:
    """The events that a person asks for.

    Attributes:
        name: Which records; None: all.
        record: The one record that `name` means as a whole, if it means one.
        since: The unix second of the oldest event; None: no bound.
        hows: Only what came or went like this; empty: everything.
        most: The number of events; None: all.
        reach: Only so many of the newest of all events are looked at; None: as many as it takes.
    """

    name: Name | None = None
    record: RecordPath | None = None
    since: int | None = None
    hows: frozenset[How] = frozenset()
    most: int | None = None
    reach: int | None = None

    @property
    def is_plain(self) -> bool:
        """Return whether the question is for the newest of all events."""
        return self.name is None and self.since is None and not self.hows

    @property
    def bound(self) -> int | None:
        """Return how many of the newest events have the answer; None: it takes all of them."""
        return self.reach or (self.most if self.is_plain else None)

    def covers(self, path: str) -> bool:
        """Return whether the question covers a record, or a collection as a whole."""
        if self.record is not None:
            return path == self.record
        return self.name is None or self.name.covers(path)


@dataclass(frozen=True, slots=True)
class Event:
    """A change, at the unix second `at`, of one record, or of `count` records of a collection.

    Attributes:
        how: How it came or went; `committed` to git; None: decided here, or before there was a log.
        deed: created, replaced, deleted; refused by the PDS, or unconfirmed: a version was kept
            before a push that, as far as is known, never reached the repo.
        side: Where; None: on both sides, or in git.
        path: The path of the record, or the name of the collection where there are many.
        keys: Their record keys, if they are known.
        commit: The repo's commit, or that of git.
        origin: Where the replaced version was; None: none is kept.
        validation: What the PDS said of the record's lexicon.
        author, subject: Those of the git commit.
    """

    at: int
    how: str | None
    deed: str
    side: Side | None
    path: str
    before: Cid | None = None
    after: Cid | None = None
    count: int = 1
    keys: tuple[str, ...] = ()
    rev: Tid | None = None
    commit: str | None = None
    pds: str = ""
    reason: str = ""
    origin: Provenance | None = None
    validation: str | None = None
    author: str = ""
    subject: str = ""

    @property
    def is_of_many(self) -> bool:
        """Return whether the event is about a collection."""
        return "/" not in self.path


def read_events(
    workspace: Workspace, question: Question, on_notice: OnNotice = ignore
) -> list[Event]:
    """Return the events that answer a question, newest first."""
    most = None if question.bound is None else question.bound * 2 + _BESIDE
    limit = -1 if most is None else most
    superseded = read_superseded(workspace, question.record, limit, on_notice)
    read = _activities(workspace, question, most, on_notice)
    activities, since = read.found, _logged_since(workspace, read, most)
    pushes = read_pushes(workspace)
    events = [
        *_joined(activities, superseded, pushes.values(), since),
        *_commits(workspace, question, on_notice),
    ]
    wanted = [event for event in events if _is_wanted(event, question)]
    if question.record is not None:
        wanted = _from_its_beginning(wanted)
    return sorted(wanted, key=lambda event: -event.at)[: question.most]


def merged(answers: Sequence[Sequence[Event]], most: int | None) -> list[Event]:
    """Return the newest events of several answers, each once where more than one has it."""
    found = Counter[Event]()
    for events in answers:
        found |= Counter(events)
    return sorted(found.elements(), key=lambda event: -event.at)[:most]


def mark_of(own: Path) -> object:
    """Return a value that changes with each event in the mirror of `own`, `.syncd`."""
    found: list[tuple[int, int, int]] = []
    for name in (ACTIVITY_FILE, HISTORY_FILE, PUSHES):
        with suppress(OSError):
            stat = (own / name).stat()
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return found


def _from_its_beginning(events: Sequence[Event]) -> list[Event]:
    """Leave out the clones that came before a record was made."""
    made = [event.at for event in events if event.deed == "created" and event.how != How.CLONED]
    first = min(made, default=0)
    return [event for event in events if event.how != How.CLONED or event.at >= first]


def _is_wanted(event: Event, question: Question) -> bool:
    if question.since is not None and event.at < question.since:
        return False
    if question.hows and event.how not in question.hows:
        return False
    if not event.is_of_many:
        return question.covers(event.path)
    if question.record is not None or question.name is not None:
        named = (f"{event.path}/{key}" for key in event.keys)
        collection = (question.record or "").partition("/")[0]
        # Of a clone no keys are kept: it is the beginning of every record of the collection.
        is_all = not event.keys and (collection == event.path or question.covers(f"{event.path}/"))
        return is_all or any(question.covers(path) for path in named)
    return True


def _activities(
    workspace: Workspace, question: Question, most: int | None, on_notice: OnNotice
) -> Activities:
    """Return the activities; report those that cannot be read in one notice."""
    about: Collection[str] = ()
    if question.record is not None:
        collection, _, rkey = question.record.partition("/")
        about = (f'"{question.record}"', f'"{rkey}"', f'"path":"{collection}"')
    try:
        read = workspace.activity.read(most, about=about, since=question.since)
    except OSError as error:
        file = error.filename or workspace.own
        on_notice(Notice(f"what came in and went out is not listed: {file}: {error.strerror}"))
        return Activities((), unread=1)
    if read.unread:
        what = "1 entry" if read.unread == 1 else f"{read.unread} entries"
        message = f"the activity log has {what} that cannot be read; syncd leaves them out"
        on_notice(
            Notice(message, "nothing to do if a newer syncd wrote them; no sync depends on the log")
        )
    return read


def _logged_since(workspace: Workspace, read: Activities, most: int | None) -> float:
    """Return the unix second from which on `read` lacks no push of the records asked for.

    Before it there was no activity log, or it is not kept any more, or was not read; so may others
    of the very second of the oldest one. Infinite where a line cannot be read: it may be any push.
    """
    if read.unread:
        return math.inf
    if most is not None and len(read.found) >= most:
        return read.found[-1].at + 1
    with suppress(OSError):
        oldest = workspace.activity.oldest()
        return math.inf if oldest is None else oldest.at + 1
    return math.inf


def _joined(
    activities: Sequence[Activity],
    superseded: Sequence[Superseded],
    pushes: Iterable[Push],
    since: float,
) -> Iterator[Event]:
    """Yield one event for each change, newest first within each source.

    From the unix second `since` on, `activities` have each push that reached the repo.
    """
    waiting: dict[tuple[object, ...], list[Superseded]] = defaultdict(list)
    for version in superseded:
        key = (version.path, version.side, version.cid, version.after)
        waiting[key].append(version)
    answers = {(push.path, push.cid): push for push in pushes}
    own = set[_Version]()
    for activity in activities:
        event = _event_of(activity)
        found = waiting.get((event.path, event.side, event.before, event.after))
        if activity.how is How.PUSHED and (found or event.before is None):
            own.add((event.path, event.after))
        if found:
            version = found.pop(0)
            reason = event.reason if event.deed == REFUSED else version.reason
            event = replace(event, reason=reason, origin=version.origin)
        yield _answered(event, answers)
    logged = {(a.path, a.after) for a in activities if a.how is not How.REFUSED}
    # A push that tells of its own version tells nothing of an earlier one that a guard refused.
    reached = (logged | {*answers} | _sent(superseded)) - own
    for version in (version for versions in waiting.values() for version in versions):
        event = _event_of_version(version)
        is_logged = version.after is not None and (version.path, version.after) in reached
        if _is_before_a_push(version) and version.at >= since and not is_logged:
            event = replace(event, deed=UNCONFIRMED)
        yield _answered(event, answers)
    in_many = {path for a in activities if a.how is How.PUSHED and a.is_of_many for path in a.paths}
    for push in answers.values():
        if push.is_new and (push.path, push.cid) not in logged and push.path not in in_many:
            yield _event_of_push(push)


def _sent(superseded: Iterable[Superseded]) -> set[_Version]:
    """Return what was sent, and taken by the repo, but did not stay in it."""
    return {(v.path, v.cid) for v in superseded if v.origin is Provenance.FOLDER}


def _is_before_a_push(version: Superseded) -> bool:
    """Return whether it was kept because syncd was about to replace it in the repo.

    What was found overwritten afterwards has no rev, or was in the folder.
    """
    is_in_repo = version.side is Side.REMOTE and version.origin is not Provenance.FOLDER
    return is_in_repo and version.rev is not None


def _event_of(activity: Activity) -> Event:
    sides = {How.PUSHED: Side.REMOTE, How.REFUSED: Side.REMOTE, How.ADOPTED: None}
    commit = None if activity.commit is None else str(activity.commit)
    deed = "created" if activity.is_of_many else _deed(activity.before, activity.after)
    return Event(
        activity.at,
        activity.how,
        REFUSED if activity.how is How.REFUSED else deed,
        sides.get(activity.how, Side.LOCAL),
        activity.path,
        activity.before,
        activity.after,
        activity.count,
        activity.keys,
        activity.rev,
        commit,
        activity.pds,
        "created in the folder"
        if activity.how is How.PUSHED and not activity.before
        else activity.reason,
    )


def _event_of_version(version: Superseded) -> Event:
    deed = "deleted" if version.after is None else "replaced"
    named = (version.at, None, deed, version.side, version.path, version.cid, version.after)
    return Event(*named, rev=version.rev, reason=version.reason, origin=version.origin)


def _event_of_push(push: Push) -> Event:
    named = (push.at, How.PUSHED, "created", Side.REMOTE, push.path, None, push.cid)
    reason = "created in the folder"
    return Event(*named, rev=push.rev, reason=reason, validation=push.validation)


def _answered(event: Event, answers: dict[tuple[RecordPath, Cid], Push]) -> Event:
    """Return the event with the PDS's verdict on the record, if this was its last push."""
    if event.side is not Side.REMOTE or event.after is None or event.deed in (REFUSED, UNCONFIRMED):
        return event
    push = answers.get((RecordPath(event.path), event.after))
    return event if push is None else replace(event, validation=push.validation)


def _commits(workspace: Workspace, question: Question, on_notice: OnNotice) -> list[Event]:
    if question.record is None or question.hows:
        return []
    return [_event_of_commit(c) for c in committed(workspace, question.record, on_notice=on_notice)]


def _event_of_commit(version: Committed) -> Event:
    found = version.found
    deed = "deleted" if found.content is None else "replaced"
    named = (found.at, COMMITTED, deed, None, version.path, None, version.cid)
    return Event(*named, commit=found.commit, author=found.author, subject=found.subject)


def _deed(before: Cid | None, after: Cid | None) -> str:
    if before is None:
        return "created" if after is not None else "deleted"
    return "deleted" if after is None else "replaced"
