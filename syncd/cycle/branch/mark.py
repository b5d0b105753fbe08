"""What is known of the last publication of a branch, as text. Pure: bytes in, values out.

The text is the message of a commit beside the branch, or a file in a CI's cache. What cannot be
read whole is not believed: without a mark, nothing counts as deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from syncd.atproto.cid import Cid, parse_cid
from syncd.errors import Malformed
from syncd.model import RecordPath, Snapshot, parse_record_path
from syncd.values import dataclass

_TITLE: Final = "Published by syncd"
_COMMIT: Final = re.compile(r"published ([0-9a-f]{40}(?:[0-9a-f]{24})?)\Z")
_OPEN: Final = re.compile(r"open (\S+) (\S+)\Z")
_ABSENT: Final = "-"


@dataclass(frozen=True, slots=True)
class Mark:
    """The last published commit of git, and the records for which it does not hold.

    Attributes:
        commit: The id of the commit.
        open: What both sides last agreed on, where that is not what the commit has: records of
            open conflicts, held changes, refused records. None is absence.
    """

    commit: str
    open: Mapping[RecordPath, Cid | None] = field(default_factory=dict)


def make_mark(commit: str, in_git: Snapshot, base: Snapshot) -> Mark:
    """Return the mark of `commit`, which has the records `in_git`, after `base` was agreed on."""
    differ = {p for p in in_git.keys() | base.keys() if in_git.get(p) != base.get(p)}
    return Mark(commit, {path: base.get(path) for path in sorted(differ)})


def format_mark(mark: Mark) -> str:
    """Return the mark as text."""
    lines = [_TITLE, "", f"published {mark.commit}"]
    lines += [f"open {path} {cid or _ABSENT}" for path, cid in sorted(mark.open.items())]
    # The end shows that nothing was cut off.
    return "\n".join([*lines, f"{len(mark.open)} open"]) + "\n"


def parse_mark(text: str) -> Mark | None:
    """Read a mark; return None for any other text, and for a mark that is incomplete."""
    lines = text.strip().splitlines()
    if len(lines) < 4 or lines[:2] != [_TITLE, ""]:
        return None
    _, _, first, *opens, last = lines
    commit = _COMMIT.match(first)
    if commit is None or last != f"{len(opens)} open":
        return None
    try:
        return Mark(commit[1], dict(_parse_open(line) for line in opens))
    except Malformed:
        return None


def _parse_open(line: str) -> tuple[RecordPath, Cid | None]:
    found = _OPEN.match(line)
    if found is None:
        raise Malformed(f"{line} names no record")
    path, cid = found[1], found[2]
    return parse_record_path(path), None if cid == _ABSENT else parse_cid(cid)
