"""Witness that a folder is where its state lived without a break; notice a move, copy or backup.

A random token, new with each sync, is kept outside the folder first and in the state file second;
then the older token is dropped outside. A crash at any moment leaves a state file whose token is
one of those outside. A doubt is kept in the state file with the new token. A copy that was made
while a daemon ran has the token of that daemon: so what is kept outside when syncd ends is also
how far the state file had come by then. Changes no other fact.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from syncd.atproto.syntax import Tid
from syncd.cycle.decide.doubt import HINT, Outside, Spot, doubt_about
from syncd.cycle.outside import filesystem_of, leave_trace, number_of, write_outside
from syncd.errors import BadShape, SyncdError
from syncd.folder.linux import keeps_numbers, made_ns
from syncd.folder.root import OWN
from syncd.model import CODEC
from syncd.private import state_directory
from syncd.state import History, State
from syncd.state.notes import Doubt, LastCycle, Place, Witness
from syncd.typedjson import plain, text_of
from syncd.values import dataclass

DIRECTORY: Final = "witness"
"""Below `$XDG_STATE_HOME/syncd`; it has a file for each folder that was synced."""
MACHINE = Path("/etc/machine-id")
_SEATS = 64
"""How many accounts and machines may take turns in one folder without any doubt."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Whether a mirror was moved, copied or restored since it was last opened for a sync."""

    before: Spot
    place: Place
    witness: Witness
    outside: Outside | None
    doubt: Doubt | None


def suspect(root: Path, state: State) -> Doubt | None:
    """Return the doubt about a mirror that is opened only to be read."""
    return state.note(Doubt) or _look(root, state, None).doubt


def take_place(root: Path, state: State, history: History) -> list[tuple[str, str]]:
    """Note that the state file lives here now. Return (what happened, what to do next)."""
    found = _look(root, state, _newest(history))
    seat = secrets.token_hex(8) if found.outside is None else found.outside.seat
    old, new = found.before.tokens.get(seat, ""), secrets.token_hex(16)
    file = _file(root, found.witness, state.marker)
    turn = max(state.turn(), found.outside.turn if found.outside else 0)
    # In doubt the old token is no witness: a crash before the doubt is noted must raise it again.
    is_renewed = _write(file, Outside(seat, (new,) if found.doubt else (new, old), turn))
    if not is_renewed:
        # What is outside stays as it is. It is what the state file has, but for a doubt.
        new = found.outside.tokens[0] if found.outside and found.doubt else old
    witness = replace(found.witness, tokens=_with_token(found.before.tokens, seat, new))
    if found.doubt is None:
        state.keep(found.place, witness)
    else:
        state.keep_anew(found.place, witness, found.doubt, turn=turn)
    if is_renewed:
        _write(file, Outside(seat, (new,), turn))
    return _notices(found, state)


def leave_place(root: Path, state: State) -> None:
    """Note outside how far the state file has come since it was opened; a backup may be younger."""
    turn, file = state.turn(), _file(root, _measure(root, state), state.marker)
    outside = _read(file)
    # It costs two waits for the disk, so an end that leaves nothing new writes nothing.
    if outside is not None and outside.turn < turn:
        _write(file, replace(outside, turn=turn))


def remembers_waiting(root: Path) -> Callable[[bool], None]:
    """Return a function that notes outside the folder `root` whether a change is held in it."""
    return lambda waits: leave_trace(root, waits=waits)


def part_from_log(path: Path) -> None:
    """Set the log of the state file aside if another file took the place of that state file.

    SQLite would play the log into the file that is there now, and mix what two files know. A log is
    made when its file is opened, so a log that was made before the file belongs to another one.
    """
    log = path.with_name(f"{path.name}-wal")
    if 0 < made_ns(log) < made_ns(path):
        for part in (log, path.with_name(f"{path.name}-shm")):
            with suppress(OSError):
                part.replace(part.with_name(f"{part.name}.other"))


def _look(root: Path, state: State, known: Tid | None) -> Arrived:
    before = Spot(state.note(Place), state.note(Witness))
    # Where only its path says which folder it is, a link that leads to it is no other path.
    path = str(root) if keeps_numbers(root) else os.path.realpath(root)
    place = Place(path, number_of(root, state.path), known)
    witness, last = _measure(root, state), state.note(LastCycle)
    outside = _read(_file(root, witness, state.marker))
    doubt = doubt_about(
        before,
        Spot(place, witness),
        outside,
        is_blank=state.is_blank(),
        synced_at="" if last is None else last.at,
        turn=state.turn(),
    )
    if before == Spot(None, None):
        # A state file that was rebuilt knows best why.
        doubt = state.note(Doubt) or doubt
    return Arrived(before, place, witness, outside, doubt)


def _measure(root: Path, state: State) -> Witness:
    own = root / OWN
    return Witness(
        made_ns(state.path),
        (number_of(root, root), made_ns(root)),
        (number_of(root, own), made_ns(own)),
        filesystem_of(root),
        _machine(),
    )


def _machine() -> str:
    """Return a hash of the machine ID; the ID itself stays on the machine (machine-id(5))."""
    with suppress(OSError):
        text = MACHINE.read_text(encoding="ascii", errors="replace").strip()
        return hashlib.sha256(f"syncd {text}".encode()).hexdigest()[:32] if text else ""
    return ""


def _with_token(tokens: Mapping[str, str], seat: str, token: str) -> dict[str, str]:
    others = [name for name in sorted(tokens) if name != seat][: _SEATS - 1]
    kept = {name: tokens[name] for name in others}
    return {**kept, seat: token} if token else kept


# --- what is kept outside ------------------------------------------------------------------------


def _file(root: Path, witness: Witness, marker: str) -> Path:
    """Return the path of the witness of a folder; a copy of the folder has another one."""
    inode, made = witness.folder
    name = f"{marker} {witness.filesystem} {made or inode or os.path.realpath(root)}"
    return state_directory() / DIRECTORY / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def _read(file: Path) -> Outside | None:
    try:
        found = CODEC.parse(Outside, file.read_bytes())
    except (OSError, BadShape):
        return None
    return found if found.tokens else None


def _write(file: Path, outside: Outside) -> bool:
    return write_outside(file, text_of(plain(outside)).encode())


# --- what a person hears -------------------------------------------------------------------------


def _notices(found: Arrived, state: State) -> list[tuple[str, str]]:
    before, root = found.before.root, found.place.root
    said = []
    if found.doubt is not None:
        said.append((found.doubt.reason, HINT))
    # One folder has several names: of those that lead to it today, none says that it was moved.
    elif before and os.path.realpath(before) != os.path.realpath(root):
        hint = f"if a service runs it, change its command to: syncd run {root}"
        said.append((f"this mirror was moved here from {before}", hint))
    return [*said, *_older(found.before.place, found.place, state)]


def _older(before: Place | None, now: Place, state: State) -> list[tuple[str, str]]:
    """Report that history knows a newer repo than the state file: only one was put back."""
    newest, known = state.newest(), now.known
    if not (newest and known and known > newest) or (before and before.known == known):
        return []
    what = f"{state.path.name} is older than history.db, as after a crash or from a backup"
    hint = (
        "to see what differs: syncd diff; syncd adopts what is equal on both sides and "
        "deletes nothing"
    )
    return [(what, hint)]


def _newest(history: History) -> Tid | None:
    try:
        return history.newest_rev()
    except SyncdError:
        return None
