"""Record path <-> file path, both ways and without loss. Pure; never looks at a disk.

A record `collection/rkey` is the file `collection/rkey.json`. What a file system cannot hold is
written as `%` and two lower-case hexadecimal digits, which no rkey can contain:

- a leading dot, always; so no record file is hidden, and dot files are free for editors;
- `:`, upper-case letters and the device names of Windows, if the names are to be portable.

A name too long for one path component continues in a directory whose name ends with a bare `%`.
Each rkey has exactly one spelling; any other that decodes to it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from syncd.atproto.syntax import Nsid, Rkey, parse_nsid, parse_rkey
from syncd.errors import BadSyntax
from syncd.model import RecordPath, make_record_path, parse_record_path, split_record_path

SUFFIX = ".json"
CONTINUED = "%"
"""Ends the name of a directory that holds the rest of longer names."""
DRAFT = "+"
"""Begins the name of a file that is to become a record with a fresh rkey."""
OURS = ".syncd-"
"""Begins the names of files that syncd itself is still working on."""
COMPONENT_BYTES = 255
"""The longest name of a file or directory (NAME_MAX of Linux file systems)."""

_CHUNK = 180
_PLAIN = re.compile(r"([A-Za-z0-9_~:-][A-Za-z0-9_~.:-]{0,249})\.json")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)")


def file_name(rkey: Rkey, *, portable: bool = False, suffix: str = SUFFIX) -> str:
    """Where the record's file is, relative to its collection's directory; may hold `/`."""
    if not portable and _PLAIN.fullmatch(name := rkey + suffix) and suffix == SUFFIX:
        return name
    return "/".join(_components([_token(char, portable) for char in rkey], portable, suffix))


def parse_file_name(relative: str, *, portable: bool = False) -> Rkey:
    """The rkey whose `file_name` is `relative`. BadSyntax hints at the right name."""
    if not portable and (plain := _PLAIN.fullmatch(relative)):
        return Rkey(plain[1])
    rkey = parse_rkey(_decoded(relative))
    right = file_name(rkey, portable=portable)
    if right != relative:
        message = f"{relative!r} is not how syncd spells the file of the record key {rkey!r}"
        raise BadSyntax(message, hint=f"rename it to {right}")
    return rkey


def relative_path(path: RecordPath, *, portable: bool = False) -> str:
    """Where the record's file is, relative to the folder. Raises BadSyntax on a bad record path."""
    collection, rkey = split_record_path(parse_record_path(path))
    return f"{collection}/{file_name(rkey, portable=portable)}"


def record_path_of(relative: str, *, portable: bool = False) -> RecordPath:
    """The record whose `relative_path` is `relative`. Raises BadSyntax if there is none."""
    collection, _, name = relative.partition("/")
    return make_record_path(parse_nsid(collection), parse_file_name(name, portable=portable))


def meant_path(collection: Nsid, name: str) -> RecordPath | None:
    """The record that a wrongly spelled file name in `collection` seems to stand for, if any."""
    try:
        return make_record_path(collection, parse_rkey(_decoded(name)))
    except BadSyntax:
        return None


def conflict_name(rkey: Rkey, cid: str, *, portable: bool = False) -> str:
    """`<rkey>.<cid>.json`, with the rkey escaped and split like a record's file name."""
    return file_name(rkey, portable=portable, suffix=f".{cid}{SUFFIX}")


def is_record_like(name: str) -> bool:
    """True if a person may have meant `name` as a record's file: it is theirs to mend if it is not.

    False for drafts, for what editors leave behind, and for everything that is not `*.json`.
    """
    stem = name.removesuffix(SUFFIX)
    if stem == name or name.startswith((DRAFT, OURS)):
        return False
    return not name.startswith(".") or _is_rkey(stem)


def is_draft(name: str) -> bool:
    return name.startswith(DRAFT) and name.endswith(SUFFIX)


def _is_rkey(text: str) -> bool:
    try:
        parse_rkey(text)
    except BadSyntax:
        return False
    return True


def _token(char: str, portable: bool) -> str:
    return _escaped(char) if portable and (char == ":" or char.isupper()) else char


def _escaped(char: str) -> str:
    return f"%{ord(char):02x}"


def _components(tokens: list[str], portable: bool, suffix: str) -> Iterator[str]:
    while len(last := _guarded(tokens, portable) + suffix) > COMPONENT_BYTES:
        count = _chunk(tokens)
        yield _guarded(tokens[:count], portable) + CONTINUED
        tokens = tokens[count:]
    yield last


def _guarded(tokens: list[str], portable: bool) -> str:
    """The tokens as one component, its first character escaped if no name may begin so."""
    text = "".join(tokens)
    if text.startswith(".") or (portable and _DEVICES.match(text)):
        return _escaped(text[0]) + text[1:]
    return text


def _chunk(tokens: list[str]) -> int:
    """How many tokens go into one directory name: as many as fit, and no escape is cut."""
    length = 0
    for count, token in enumerate(tokens):
        length += len(token)
        if length > _CHUNK:
            return count
    return len(tokens)


def _decoded(relative: str) -> str:
    """What `relative` spells, in any spelling. Raises BadSyntax if it has not the right form."""
    *directories, last = relative.split("/")
    stem = last.removesuffix(SUFFIX)
    if stem == last or not all(name.endswith(CONTINUED) for name in directories):
        raise BadSyntax(f"{relative!r} is not the file of a record: it needs the form rkey.json")
    text = "".join(name.removesuffix(CONTINUED) for name in directories) + stem
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
