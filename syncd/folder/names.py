"""Map record paths to file paths and back, without loss. Pure; never looks at a disk.

The file of the record `collection/rkey` is `collection/rkey.json`. Some characters are escaped as
`%` and two lower-case hexadecimal digits; no rkey contains a `%`:

- a leading dot, always: so no record file is hidden, and dot files are free for editors;
- the dot of a final `.draft`, always: `NAME.draft.json` is a draft and no record;
- `:`, upper-case letters and the device names of Windows, if the names must be portable.

A name too long for one path component continues in a directory whose name ends with a bare `%`.
Each rkey has exactly one spelling; every other spelling is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from syncd.atproto.syntax import Nsid, Rkey, parse_nsid, parse_rkey
from syncd.errors import BadSyntax
from syncd.model import RecordPath, make_record_path, parse_record_path, split_record_path

SUFFIX = ".json"
DRAFT_SUFFIX = ".draft.json"
"""The end of a draft's name: the file never leaves the folder."""
CONTINUED = "%"
"""The last character of a directory name where longer names continue."""
FRESH = "+"
"""The first character of the name of a draft that gets a fresh rkey when it is published."""
OURS = ".syncd-"
"""The prefix of syncd's own unfinished files."""
COMPONENT_BYTES = 255
"""The longest name of a file or directory (NAME_MAX of Linux file systems)."""

_CHUNK = 180
_DRAFTED = ".draft"
_PLAIN = re.compile(r"([A-Za-z0-9_~:-][A-Za-z0-9_~.:-]{0,249})(?<!\.draft)\.json")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)")


def file_name(rkey: Rkey, *, portable: bool = False, suffix: str = SUFFIX) -> str:
    """Return the record's file name, relative to its collection's directory; may contain `/`."""
    if not portable and _PLAIN.fullmatch(name := rkey + suffix) and suffix == SUFFIX:
        return name
    tokens = [_token(char, portable) for char in rkey]
    if suffix == SUFFIX and rkey.endswith(_DRAFTED):
        tokens[-len(_DRAFTED)] = _escaped(".")
    return "/".join(_components(tokens, portable, suffix))


def former_file_name(rkey: Rkey, *, portable: bool = False) -> str | None:
    """Return the file name that versions before drafts gave to the record; None if it is the same.

    It is now the name of a draft.
    """
    stem = rkey.removesuffix(_DRAFTED)
    if stem in ("", rkey):
        return None
    return draft_name(Rkey(stem), portable=portable)


def draft_name(rkey: Rkey, *, portable: bool = False) -> str:
    """Return the name of a draft of the record, relative to its collection; may contain `/`."""
    return file_name(rkey, portable=portable, suffix=DRAFT_SUFFIX)


def drafted_name(relative: str) -> str:
    """Return NAME of the draft `relative`, which is `NAME.draft.json` or `+anything.json`.

    Escapes are decoded. NAME need not be a legal rkey.
    """
    stem = relative.removesuffix(DRAFT_SUFFIX)
    stem = stem.removesuffix(SUFFIX) if stem == relative else stem
    return _unescaped("".join(part.removesuffix(CONTINUED) for part in stem.split("/")))


def record_of_draft(relative: str) -> str:
    """Return `COLLECTION/NAME` of the draft `relative`; a record path if NAME is a legal rkey."""
    collection, _, name = relative.partition("/")
    return f"{collection}/{drafted_name(name)}"


def parse_file_name(relative: str, *, portable: bool = False) -> Rkey:
    """Return the rkey whose `file_name` is `relative`.

    Raises BadSyntax: no rkey has this file name; the hint gives the right spelling if there is one.
    """
    if not portable and (plain := _PLAIN.fullmatch(relative)):
        return Rkey(plain[1])
    rkey = parse_rkey(_decoded(relative))
    right = file_name(rkey, portable=portable)
    if right != relative:
        message = f"{relative!r} is not how syncd spells the file of the record key {rkey!r}"
        raise BadSyntax(message, hint=f"rename it to {right}")
    return rkey


def relative_path(path: RecordPath, *, portable: bool = False) -> str:
    """Return the record's file, relative to the folder. Raises BadSyntax on a bad record path."""
    collection, rkey = split_record_path(parse_record_path(path))
    return f"{collection}/{file_name(rkey, portable=portable)}"


def record_path_of(relative: str, *, portable: bool = False) -> RecordPath:
    """Return the record whose `relative_path` is `relative`. Raises BadSyntax if there is none."""
    collection, _, name = relative.partition("/")
    return make_record_path(parse_nsid(collection), parse_file_name(name, portable=portable))


def meant_path(collection: Nsid, name: str) -> RecordPath | None:
    """Guess the record that a misspelt file name in `collection` was meant for; None if unclear."""
    try:
        return make_record_path(collection, parse_rkey(_decoded(name)))
    except BadSyntax:
        return None


def conflict_name(rkey: Rkey, cid: str, *, portable: bool = False) -> str:
    """Return `<rkey>.<cid>.json`, with the rkey escaped and split like a record's file name."""
    return file_name(rkey, portable=portable, suffix=f".{cid}{SUFFIX}")


def parse_conflict_name(name: str) -> Rkey:
    """Return the rkey of a `conflict_name`. Raises BadSyntax if it is none."""
    stem = name.removesuffix(SUFFIX).rpartition(".")[0]
    return parse_rkey(_decoded(stem + SUFFIX))


def is_record_like(name: str) -> bool:
    """Return whether a person may have meant `name` as a record's file, and must fix it if not.

    False for drafts, for editors' temporary files, and for every name other than `*.json`.
    """
    stem = name.removesuffix(SUFFIX)
    if stem == name or name.startswith((FRESH, OURS)) or is_draft(name):
        return False
    return not name.startswith(".") or _is_rkey(stem)


def is_draft(name: str) -> bool:
    """Return whether `name` is `+anything.json` or `NAME.draft.json`.

    A hidden file counts if NAME is a legal rkey: others are the temporary files of editors.
    """
    stem = name.removesuffix(DRAFT_SUFFIX)
    if stem == name:
        return name.startswith(FRESH) and name.endswith(SUFFIX)
    return bool(stem) and not stem.startswith(OURS) and (stem[0] != "." or _is_rkey(stem))


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
    """Join the tokens to one component; escape its first character if no name may start with it."""
    text = "".join(tokens)
    if text.startswith(".") or (portable and _DEVICES.match(text)):
        return _escaped(text[0]) + text[1:]
    return text


def _chunk(tokens: list[str]) -> int:
    """Return how many tokens fit into one directory name. Tokens, and so escapes, stay whole."""
    length = 0
    for count, token in enumerate(tokens):
        length += len(token)
        if length > _CHUNK:
            return count
    return len(tokens)


def _decoded(relative: str) -> str:
    """Decode `relative` in any spelling. Raises BadSyntax if it is not of the form of a record."""
    *directories, last = relative.split("/")
    stem = last.removesuffix(SUFFIX)
    if stem == last or not all(name.endswith(CONTINUED) for name in directories):
        raise BadSyntax(f"{relative!r} is not the file of a record: it needs the form rkey.json")
    return _unescaped("".join(name.removesuffix(CONTINUED) for name in directories) + stem)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
