"""Resolve lexicons and say what became of each (`syncd lexicon update`). Never checks a record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from syncd.atproto.syntax import parse_nsid
from syncd.cli import loop
from syncd.cli.screen.output import NEEDS_A_PERSON, say, say_json
from syncd.config import FILE_NAME, load_config
from syncd.errors import Unreachable
from syncd.identity.lexicons import resolve_lexicon
from syncd.mirror.editors.install import refresh
from syncd.mirror.lexicons.updating import (
    MOST,
    Mirrored,
    Outcome,
    Updated,
    update_lexicons,
    wanted_of,
)
from syncd.mirror.offline import root_around
from syncd.mirror.times import rfc3339
from syncd.prepared.offer import offer_lexicons
from syncd.slips import near_name


def update_and_say(directory: Path, nsids: Sequence[str], *, is_json: bool) -> int:
    """Resolve lexicons of the mirror around `directory`; return the exit code."""
    root = root_around(directory)
    config = load_config(root / FILE_NAME, os.environ)
    mirrored = Mirrored(root, config.is_portable, config.forms)
    names = [parse_nsid(nsid) for nsid in nsids] or wanted_of(mirrored)
    resolve = partial(resolve_lexicon, plc=config.plc)
    on_done: Callable[[Updated], None] = (lambda _: None) if is_json else partial(_say, directory)
    done = loop.run(update_lexicons(mirrored, names, resolve, rfc3339(time.time()), on_done))
    refresh(mirrored)
    if is_json:
        say_json({"lexicons": [_json(each) for each in done], "is_cut": len(done) == MOST})
    elif not done:
        say("nothing to resolve: the folder has the documents of all its collections")
    elif len(done) == MOST:
        say(f"syncd asked for {MOST} lexicons, the most at once: name others by their NSID")
    return _code(done)


def _code(done: Sequence[Updated]) -> int:
    # What another lexicon refers to is not needed: its values are not checked.
    errors = [each.error for each in done if each.error is not None and each.referrer is None]
    is_offline = errors and all(isinstance(error, Unreachable) for error in errors)
    return Unreachable.exit_code if is_offline else NEEDS_A_PERSON if errors else 0


def _say(directory: Path, each: Updated) -> None:
    if each.error is not None:
        used = f"; syncd still uses the one of {each.now.fetched_at}" if each.now else ""
        why = f"; {each.referrer} refers to it" if each.referrer else ""
        say(f"{each.nsid}  not resolved: {each.error.message}{used}{why}")
        meant = near_name(each.nsid, offer_lexicons(directory, ""))
        hint = f"did you mean {meant}?" if meant else each.error.hint
        if hint:
            say(f"  next: {hint}")
        return
    assert each.now is not None
    moved = f" (before: {each.former_owner})" if each.former_owner else ""
    own = f"; {each.own} takes precedence" if each.own else ""
    say(f"{each.nsid}  {_OUTCOMES[each.outcome]}, published by {each.now.did}{moved}{own}")


_OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.NEW: "new",
    Outcome.CHANGED: "changed",
    Outcome.SAME: "unchanged",
}


def _json(each: Updated) -> dict[str, Any]:
    now = each.now
    return {
        "nsid": each.nsid,
        "outcome": each.outcome.value,
        "did": now.did if now else None,
        "rev": now.rev if now else None,
        "fetched_at": now.fetched_at if now else None,
        "former_did": each.former_owner,
        "referrer": each.referrer,
        "error": None if each.error is None else each.error.message,
        "hint": None if each.error is None else each.error.hint,
    }
