"""Print what a restore or an undo did or would do. Restores nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncd.cli.screen.output import cid_json, many, say, say_json, short
from syncd.errors import SyncdError
from syncd.mirror.past.undo import Undo
from syncd.mirror.restore import Restored
from syncd.mirror.times import rfc3339
from syncd.model import RecordPath
from syncd.state import Superseded


def say_undone(
    done: Sequence[Undo], failed: Mapping[RecordPath, SyncdError], as_json: bool, *, is_done: bool
) -> None:
    """Print the effects of an undo, done or planned, and the files that stay."""
    if as_json:
        versions = [{"path": one.path, "cid": cid_json(one.back)} for one in done]
        say_json({"undone" if is_done else "undo": versions, "failed": _failed_json(failed)})
        return
    for one in done:
        what = "removed: it had no file" if one.back is None else f"again as {short(one.back)}"
        say(f"{'undone' if is_done else 'undo':<9} {one.path} {what}")
    _say_failed(failed)
    rest = f"; {len(failed)} {'could not' if is_done else 'cannot'} be" if failed else ""
    say(f"{many(len(done), 'record')} {'undone' if is_done else 'to undo; nothing was done'}{rest}")


def say_plan(events: Sequence[Superseded], as_json: bool, away: Mapping[RecordPath, str]) -> None:
    """Print what a restore would bring back; `away` has the reasons for the files left out."""
    if as_json:
        restore = [_version_json(event) for event in events]
        say_json({"restore": restore, "left_out": _away_json(away)})
        return
    for event in events:
        say(f"restore   {event.path} as it was {_when(event)} ({short(event.cid)})")
    _say_away(away)
    say(f"{many(len(events), 'record')} to restore; nothing was done")


def say_all(restored: Restored, as_json: bool, away: Mapping[RecordPath, str]) -> None:
    """Print the restored records, and those that could not be restored."""
    if as_json:
        failed = _failed_json(restored.failed)
        done = [_version_json(event) for event in restored.done]
        say_json({"restored": done, "failed": failed, "left_out": _away_json(away)})
    else:
        for event in restored.done:
            say(f"restored  {event.path} as it was {_when(event)} ({short(event.cid)})")
        _say_failed(restored.failed)
        _say_away(away)
        left = f"; {len(restored.failed)} could not be" if restored.failed else ""
        say(f"{many(len(restored.done), 'record')} restored{left}")


def say_restored(event: Superseded, as_json: bool, *, is_new: bool) -> None:
    """Print the version that one record has again, or that it has already."""
    if as_json:
        say_json({**_version_json(event), "changed": is_new})
    elif is_new:
        say(f"restored {event.path} as it was {_when(event)} ({short(event.cid)})")
    else:
        say(f"{event.path} has this version already ({short(event.cid)}); nothing was changed")


def _failed_json(failed: Mapping[RecordPath, SyncdError]) -> list[dict[str, str]]:
    return [
        {"path": path, "reason": error.message, "hint": error.hint}
        for path, error in failed.items()
    ]


def _say_failed(failed: Mapping[RecordPath, SyncdError]) -> None:
    for path, error in failed.items():
        say(f"problem   {path}: {error.message}")
        say(f"  next: {error.hint}")


def _away_json(away: Mapping[RecordPath, str]) -> list[dict[str, str]]:
    return [{"path": path, "reason": reason} for path, reason in away.items()]


def _say_away(away: Mapping[RecordPath, str]) -> None:
    for path, reason in away.items():
        say(f"left out  {path}: {reason}")
    if away:
        say("  next: to restore a record anyway, name it: syncd restore PATH")


def _version_json(event: Superseded) -> dict[str, str]:
    return {"path": event.path, "cid": str(event.cid)}


def _when(event: Superseded) -> str:
    """Return the time of a version; only those of git and of both sides have no end."""
    return event.reason if event.content else f"until {rfc3339(event.at)}"
