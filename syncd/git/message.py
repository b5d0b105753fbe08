"""Make and parse the message of a commit: a subject for people, trailers for programs. Pure.

The trailers tie the folder's tree to one commit of the repo. They hold only for the tree they
name: an amended, squashed or rebased commit can carry the trailers of another commit, or of
several. So they are read wherever they stand, and the tree says which of them count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.syntax import Did, Tid, parse_did, parse_tid
from syncd.errors import Malformed
from syncd.model import RecordPath, parse_record_path
from syncd.values import dataclass

REPO, REV, COMMIT = "Atproto-Repo", "Atproto-Rev", "Atproto-Commit"
TREE, UNPUBLISHED = "Atproto-Tree", "Atproto-Unpublished"
MANY = 1000
"""With more unpublished records than this, the trailer is `*`: no record counts as published."""
_LISTED = 20
_EVERYTHING = "*"
_KEYS = frozenset({REPO, REV, COMMIT, TREE, UNPUBLISHED})


@dataclass(frozen=True, slots=True)
class Published:
    """The trailers: the records in the git tree `tree` are those of the repo at `rev`.

    Attributes:
        did: The account.
        rev: The rev of the repo.
        commit: The CID of the repo's commit.
        tree: The id of the folder's git tree.
        unpublished: Records of the tree that the repo has in another version, or not at all.
    """

    did: Did
    rev: Tid
    commit: Cid
    tree: str
    unpublished: frozenset[RecordPath] = frozenset()


def make_message(moved: Mapping[RecordPath, str], published: Published) -> str:
    """Make the message of a commit; `moved` maps each record to "pulled", "pushed" and so on."""
    listed = [f"{how:<9} {path}" for path, how in sorted(moved.items())]
    rest = len(listed) - _LISTED
    more = [f"and {rest} more"] if rest > 0 else []
    body = "\n".join([*listed[:_LISTED], *more])
    trailers = "\n".join(f"{key}: {value}" for key, value in _trailers(published))
    parts = (_subject(moved, published.rev), body, trailers)
    return "\n\n".join(part for part in parts if part) + "\n"


def _subject(moved: Mapping[RecordPath, str], rev: Tid) -> str:
    by_way: dict[str, list[RecordPath]] = {}
    for path, how in moved.items():
        by_way.setdefault(how, []).append(path)
    if not by_way:
        return f"Published at rev {rev}"
    said = ", ".join(_counted(how, by_way[how]) for how in sorted(by_way))
    return said[:1].upper() + said[1:]


def _counted(how: str, paths: Sequence[RecordPath]) -> str:
    if len(paths) == 1:
        return f"{how} {paths[0]}"
    collections = {path.partition("/")[0] for path in paths}
    of = f" of {collections.pop()}" if len(collections) == 1 else ""
    return f"{how} {len(paths)} records{of}"


def _trailers(published: Published) -> Iterable[tuple[str, str]]:
    yield REPO, published.did
    yield REV, published.rev
    yield COMMIT, str(published.commit)
    names: Collection[str] = published.unpublished
    for name in sorted(names) if len(names) <= MANY else (_EVERYTHING,):
        yield UNPUBLISHED, name
    # At the end: a list that was cut short has no tree, and a block without one is not believed.
    yield TREE, published.tree


def parse_message(text: str) -> Published | None:
    """Parse the last complete block of trailers in a commit message; None if there is none."""
    return next(reversed(parse_blocks(text)), None)


def parse_blocks(text: str) -> tuple[Published, ...]:
    """Parse every complete block of trailers in a commit message, in order.

    A hook may have added paragraphs, and a squash or a rebase may have put several messages into
    one, indented or not. A block stands within one paragraph and has each line once.
    """
    found = (_parse_block(block) for paragraph in _paragraphs(text) for block in _split(paragraph))
    return tuple(published for published in found if published is not None)


_Lines: TypeAlias = list[tuple[str, str]]


def _paragraphs(text: str) -> Iterator[_Lines]:
    """Yield the lines of ours, as (key, value), of each paragraph that has any."""
    lines: _Lines = []
    for line in (*map(str.strip, text.splitlines()), ""):
        key, _, value = line.partition(": ")
        if key in _KEYS:
            lines.append((key, value.strip()))
        elif not line and lines:
            yield lines
            lines = []


def _split(lines: _Lines) -> Iterator[_Lines]:
    """Split a paragraph of several blocks where each begins; a single one may be in any order."""
    begins = [number for number, (key, _) in enumerate(lines) if key == REPO]
    if len(begins) < 2:
        yield lines
        return
    for begin, end in zip(begins, (*begins[1:], len(lines)), strict=True):
        yield lines[begin:end]


def _parse_block(lines: _Lines) -> Published | None:
    found: dict[str, list[str]] = {}
    for key, value in lines:
        found.setdefault(key, []).append(value)
    if any(len(found.get(key, ())) != 1 for key in (REPO, REV, COMMIT, TREE)):
        return None
    try:
        return Published(
            parse_did(found[REPO][0]),
            parse_tid(found[REV][0]),
            parse_cid(found[COMMIT][0]),
            found[TREE][0],
            frozenset(parse_record_path(name) for name in found.get(UNPUBLISHED, ())),
        )
    except Malformed:
        return None
