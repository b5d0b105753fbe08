"""`syncd log` and `syncd restore`: what came, went and was replaced, and bringing it back.

`restore` writes the file and nothing else; the push follows as for any edit, by this or a running
syncd's next cycle.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import click

from syncd.cli.arguments.places import standing
from syncd.cli.asking import confirm
from syncd.cli.query import Query
from syncd.cli.screen.colour import has_colour
from syncd.cli.screen.events import ALIKE, alike, event_json, event_parts, folded, painted
from syncd.cli.screen.output import (
    NEEDS_A_PERSON,
    columns,
    say,
    say_json,
    tell_notice,
)
from syncd.cli.screen.restored import say_all, say_plan, say_restored, say_undone
from syncd.cycle.workspace import Workspace
from syncd.errors import SyncdError
from syncd.folder.root import OWN, find_root
from syncd.mirror.names import (
    Name,
    check_known,
    read_names,
    record_meant,
    record_named,
    was_known,
)
from syncd.mirror.notices import OnNotice, ignore
from syncd.mirror.offline import open_files
from syncd.mirror.past.elsewhere import kept_elsewhere
from syncd.mirror.past.events import (
    PULLED,
    PUSHED,
    UNCONFIRMED,
    Event,
    mark_of,
)
from syncd.mirror.past.undo import plan_undo
from syncd.mirror.restore import (
    Wish,
    edited_since,
    find_back,
    find_version,
    has_version,
    has_versions,
    plan_restore,
    restore_all,
    restore_version,
    undo_restore,
)
from syncd.mirror.times import read_past
from syncd.model import RecordPath
from syncd.state import How, Superseded

FOLLOWED = 5_000
FOLLOW_SECONDS = 1.0
"""`--follow` looks so often, at so many of the newest events."""
ASKED_ABOVE = 10
"""So many records are restored without a question on a terminal."""


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option(
    "-n", "count", type=click.IntRange(1), default=50, help="Show at most this many (50)."
)
@click.option("--since", metavar="TIME", help="Only since TIME: 2h, 3d, 2030-01-02T03:04Z.")
@click.option("--pulled", is_flag=True, help="Only what came in: cloned, pulled, merged.")
@click.option("--pushed", is_flag=True, help="Only what went out.")
@click.option("--follow", "-f", is_flag=True, help="Follow new entries until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def log(
    directory: Path,
    paths: tuple[str, ...],
    count: int,
    since: str | None,
    pulled: bool,
    pushed: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """List what came in, what went out and what was replaced, newest first.

    PATH is a record, its file, a directory, an at:// URI or a pattern. For a record, the git
    commits that changed its file are listed too. With --follow, the newest come last.

    \b
    Examples:
      syncd log --since 2h --pulled
      syncd log app.bsky.actor.profile/self
      syncd log 'com.example.*/*' app.bsky.feed.post -n 5
      syncd log --follow --json
    """
    hows = frozenset[How]().union(*([PULLED] * pulled), *([PUSHED] * pushed))
    query = Query(directory, paths, since, hows, as_json, int(time.time()))
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(query, count)
    elif as_json:
        _say_events(query, query.look(count, tell_notice))
    else:
        _show(query, count)


def _show(query: Query, count: int) -> None:
    """Print the newest `count` lines of the answer for people, or why there is none."""
    # What is chosen by anything but its number is found by reading all of the log.
    shown = _whole_lines(query, count, count + ALIKE if query.is_of_all else None)
    _say_lines(shown, query.said)
    if not shown:
        say(_nothing(query.paths, query.since, query.hows))


def _whole_lines(query: Query, count: int, most: int | None) -> list[Event]:
    """Return the newest `count` lines, each with all its similar events.

    `most`: so many events are looked at first; None: all.
    """
    on_notice: OnNotice = tell_notice
    while True:
        events = query.look(most, on_notice)
        lines = list(alike(events))
        # The events of the last line may go on beyond what was read.
        if most is None or len(lines) > count or len(events) < most:
            return lines[:count]
        most, on_notice = most * 4, ignore


def _say_events(query: Query, events: Iterable[Event]) -> None:
    """Print events, each on a line; those that are alike on one, if it is for people."""
    if query.as_json:
        for event in events:
            say_json({**event_json(event), "blobs": query.blobs.get(event)}, indent=None)
        return
    _say_lines(alike(list(events)))


def _say_lines(
    events: Iterable[Event], said: Mapping[Event, Sequence[str]] = MappingProxyType({})
) -> None:
    is_terminal = sys.stdout.isatty()
    has_paint = has_colour(sys.stdout, os.environ)
    for event in events:
        paint = painted(event) if has_paint else str
        for line in folded(event_parts(event, is_local=is_terminal), columns()):
            say(line, paint=paint)
        for words in said.get(event, ()):
            say(f"          {words}")


def _follow(query: Query, count: int) -> NoReturn:
    """Print the newest events, the oldest first, and then each new one."""
    own = find_root(query.directory) / OWN
    mark = mark_of(own)
    shown = _confirmed(query.look(max(count, FOLLOWED), tell_notice))
    _say_events(query, shown[:count][::-1])
    before = Counter(map(_same, shown))
    while True:
        time.sleep(FOLLOW_SECONDS)
        # The mark is older than what is read after it, so nothing that comes between is missed.
        if (now := mark_of(own)) != mark:
            mark = now
            found = _confirmed(query.look(FOLLOWED, ignore, FOLLOWED))
            _say_events(query, _unseen(found, before)[::-1])
            before = Counter(map(_same, found))


def _confirmed(events: Sequence[Event]) -> list[Event]:
    """Leave out pushes under way: each is shown once it is confirmed or refused."""
    return [event for event in events if event.deed != UNCONFIRMED]


def _unseen(found: Sequence[Event], before: Counter[object]) -> list[Event]:
    """Return the new events of `found`; of two views of one event, the newer."""
    left = Counter(map(_same, found)) - before
    new: list[Event] = []
    for event in found:
        if left[_same(event)] > 0:
            left[_same(event)] -= 1
            new.append(event)
    return new


def _same(event: Event) -> object:
    """Return a value that is equal for an event in two looks."""
    return event.path, event.side, event.deed, event.before, event.after, event.keys


def _nothing(paths: Sequence[str], since: str | None, hows: frozenset[How]) -> str:
    what = {PULLED: "nothing came in", PUSHED: "nothing went out"}.get(
        hows, "nothing came in, went out or was replaced"
    )
    where = f" at {' and '.join(paths)}" if paths else ""
    return f"{what}{where}{f' since {since}' if since else ''}" + ("" if paths or since else " yet")


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1)
@click.option(
    "--back", type=click.IntRange(1), help="The version this many steps before the present one."
)
@click.option("--undo", is_flag=True, help="Undo the last restore; repeat it to redo.")
@click.option(
    "--cid", "wanted", help="The version with this CID, as in `syncd log`, or its last letters."
)
@click.option("--deleted", is_flag=True, help="Only records that have no file any more.")
@click.option(
    "--before", metavar="TIME", help="The versions as of TIME: 2h, 3d, 2030-01-02T03:04Z."
)
@click.option("--dry-run", is_flag=True, help="Print what would be restored, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def restore(
    directory: Path,
    paths: tuple[str, ...],
    back: int | None,
    undo: bool,
    wanted: str | None,
    deleted: bool,
    before: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write superseded versions of PATH (the newest, or --cid) into the folder.

    PATH is a record, its file, a directory, an at:// URI or a pattern. With --cid, versions that
    are in git on any branch count too. What a file held goes to history first. --back walks through
    the versions of one record, however often they were restored.

    \b
    Examples:
      syncd restore app.bsky.actor.profile/self
      syncd restore app.bsky.actor.profile/self --cid yaqjkzzvfu
      syncd restore app.bsky.actor.profile/self --back 3
      syncd restore 'com.example.*' --deleted --before 2h
      syncd restore --undo
    """
    has_other = deleted or wanted is not None or before is not None
    _check_choices(paths, has_other, back, undo)
    _check_wanted(wanted, is_of_many=deleted or before is not None or len(paths) > 1)
    if undo:
        _undo(directory, dry_run, as_json)
        return
    with open_files(directory) as workspace:
        names = read_names(workspace, paths, standing(directory))
        is_of_one = len(names) == 1 and not (deleted or before is not None)
        if is_of_one and (back or wanted or record_meant(workspace, names[0])):
            record = record_named(workspace, paths[0], standing(directory))
            event = _version_of(workspace, record, names[0], back, wanted)
            _restore_one(workspace, event, dry_run, as_json)
            return
        moment = None if before is None else read_past(before, workspace.now())
        _restore_many(workspace, Wish(names, deleted, moment), dry_run, as_json)


def _version_of(
    workspace: Workspace, record: RecordPath, name: Name, back: int | None, wanted: str | None
) -> Superseded:
    """Return the requested version of one record."""
    try:
        if back is None:
            return find_version(workspace, record, wanted, tell_notice)
        return find_back(workspace, record, back, tell_notice)
    except SyncdError:
        # Of a record that nobody knows, there is more to say than that it has no versions.
        if not was_known(workspace, name):
            check_known(workspace, name)
        raise


def _restore_many(workspace: Workspace, wish: Wish, dry_run: bool, as_json: bool) -> None:
    wanted = plan_restore(workspace, wish, tell_notice)
    away = kept_elsewhere(workspace, [event.path for event in wanted])
    events = [event for event in wanted if event.path not in away]
    if not wanted:
        for name in wish.names:
            # One that was deleted and has its last version back already is in history alone.
            if not was_known(workspace, name):
                check_known(workspace, name)
        # Whoever asks for what was deleted, or for a moment, may find that all of it is here.
        is_choice = wish.deleted or wish.before or dry_run
        if not (is_choice or has_versions(workspace, wish)):
            where = " ".join(name.text for name in wish.names)
            message = f"{where} has no versions but those in the files"
            raise SyncdError(message, hint="list what can be restored: syncd log")
    if dry_run:
        say_plan(events, as_json, away)
    else:
        _ask(len(events))
        restored = restore_all(workspace, events)
        say_all(restored, as_json, away)
        raise click.exceptions.Exit(NEEDS_A_PERSON if restored.failed else 0)


def _check_choices(paths: Sequence[str], has_other: bool, back: int | None, undo: bool) -> None:
    """Raise UsageError unless the choices go together; `has_other`: there are more than named."""
    if undo and (paths or has_other or back):
        raise click.UsageError("--undo undoes the last restore: use it without PATH and version")
    if not (undo or paths):
        raise click.UsageError("name a PATH, or --undo for the last restore")
    if back and (len(paths) > 1 or has_other):
        raise click.UsageError("--back needs one PATH, and no other choice of a version")


def _check_wanted(wanted: str | None, *, is_of_many: bool) -> None:
    """Raise UsageError for an empty --cid, or one with options for several records."""
    if wanted == "":
        # A script whose variable is empty means no version, and least of all the newest.
        raise click.UsageError("--cid is empty: name a CID of `syncd log`, or its last letters")
    if wanted is not None and is_of_many:
        raise click.UsageError("--cid needs exactly one PATH")


def _restore_one(workspace: Workspace, event: Superseded, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        is_there = has_version(workspace, event)
        say_plan([] if is_there else [event], as_json, {})
        return
    is_new = restore_version(workspace, event)
    say_restored(event, as_json, is_new=is_new)


def _undo(directory: Path, dry_run: bool, as_json: bool) -> None:
    """Undo the last restore; end with 3 if some of it stays."""
    with open_files(directory) as workspace:
        plan = plan_undo(workspace)
        if dry_run:
            edited = {one.path: edited_since() for one in plan if one.is_edited}
            wanted = [one for one in plan if not one.is_edited]
            say_undone(wanted, edited, as_json, is_done=False)
        else:
            _ask(len(plan), "Undo the restore of")
            undone = undo_restore(workspace, plan)
            say_undone(undone.done, undone.failed, as_json, is_done=True)
            raise click.exceptions.Exit(NEEDS_A_PERSON if undone.failed else 0)


def _ask(count: int, question: str = "Restore") -> None:
    """Ask a person, if there is one, to confirm a change of so many. Raises Abort for a no."""
    if count > ASKED_ABOVE and sys.stdin.isatty() and sys.stderr.isatty():
        confirm(f"{question} {count} records?", abort=True)
